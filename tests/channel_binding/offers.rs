//! Offers of Debian 12's servers, as they are: when another Debian has others, these tests say so.

use std::collections::BTreeSet;

use hexchat_lab::server::DOMAIN;
use hexchat_lab::{ChatServer, Kind, Rate};
use hexchat_pt::config::TlsMode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::in_between::{connector, name};
use super::{ALL, Client, PATIENCE, USER, server};

fn stock(kind: Kind) -> ChatServer {
    ChatServer::start(kind, Rate::Unlimited, &[USER]).unwrap()
}

/// What it offers over TLS, which is 1.3 with all of them.
async fn offer(server: &ChatServer) -> String {
    let socket = TcpStream::connect(server.tls_address()).await.unwrap();
    let mut tls = connector(server.ca_file()).connect(name(), socket).await.unwrap();
    let header = format!(
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' \
         version='1.0' to='{DOMAIN}' from='{USER}@{DOMAIN}'>"
    );
    tls.write_all(header.as_bytes()).await.unwrap();
    tls.flush().await.unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("</stream:features>") {
        timeout(PATIENCE, tls.read_buf(&mut said)).await.expect("an offer").unwrap();
    }
    String::from_utf8(said).unwrap()
}

/// The mechanisms, of whatever kind.
fn mechanisms(offer: &str) -> BTreeSet<&str> {
    let texts = offer.split("<mechanism>").skip(1);
    texts.map(|text| text.split('<').next().unwrap()).collect()
}

fn binding_types(offer: &str) -> BTreeSet<&str> {
    let texts = offer.split("<channel-binding ").skip(1);
    texts.map(|text| text.split(['\'', '"']).nth(1).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn debians_prosody_binds_nothing_over_tls_1_3() {
    let offer = offer(&stock(Kind::Prosody)).await;
    assert_eq!(mechanisms(&offer), ["PLAIN", "SCRAM-SHA-1"].into());
    assert!(binding_types(&offer).is_empty(), "{offer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn debians_prosody_modules_bind_no_login_and_no_token() {
    let offer = offer(&stock(Kind::ProsodyModules)).await;
    assert_eq!(mechanisms(&offer), ["HT-SHA-256-NONE", "PLAIN", "SCRAM-SHA-1"].into());
    assert!(binding_types(&offer).is_empty(), "{offer}");
}

/// It means `tls-unique`, which TLS 1.3 does not have, and has no word for that.
#[tokio::test(flavor = "multi_thread")]
async fn debians_ejabberd_offers_to_bind_and_does_not_say_to_what_and_we_log_in_without() {
    let server = stock(Kind::Ejabberd);
    let offer = offer(&server).await;
    assert!(mechanisms(&offer).contains("SCRAM-SHA-1-PLUS"), "{offer}");
    assert!(binding_types(&offer).is_empty(), "{offer}");
    Client::open(server.tls_address(), TlsMode::Direct, server.ca_file()).until_online().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_prosody_of_these_tests_offers_what_prosody_13_does() {
    let offer = offer(&server(Kind::Prosody, ALL, true)).await;
    assert_eq!(mechanisms(&offer), ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"].into());
    assert_eq!(binding_types(&offer), ALL.iter().copied().collect());
}
