//! Control of the search: what really is shown to the client's server is found. So that nothing is found elsewhere means something.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::stream;
use hexchat_pt::xmpp::place::{Hosts, Reach};
use hexchat_pt::xmpp::transfer::file_place::FilePlace;
use hexchat_pt::xmpp::transfer::{Transfers, Upload};
use hexchat_pt::xmpp::{AccountError, Dialer, Socket};
use tokio::net::TcpStream;

use super::recording::{Log, federation};
use super::{OURS, plaintext, text};
use crate::harness::{Half, Target, connect, transfer};

/// Little enough to pass in a moment.
const LITTLE: usize = 5_000;

/// Puts a file at the upload service with no permission, as far as it is let.
async fn put(site: &hexchat_lab::federation::Site, file: Vec<u8>) {
    let address = site.for_files();
    let dialer = Dialer::through(move |_name, _port| {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await;
            stream.and_then(Socket::tcp).map_err(|_| AccountError::Refused)
        })
    });
    let transfers = Transfers::new(&dialer, &[site.ca_file().to_owned()], Reach::Anywhere).unwrap();
    let hosts = Hosts::of_domains([site.domain().as_str()]);
    let place =
        FilePlace::new(&format!("https://{}/file_share/a/tor.jpg", site.upload_authority()), &hosts).unwrap();
    let upload = Upload { place: &place, fields: &[], content_type: "image/jpeg", size: file.len() };
    transfers.put(upload, stream::iter([Bytes::from(file)]), || ()).await.expect_err("there is no such slot");
}

#[test]
fn what_the_clients_server_is_shown_without_encryption_is_found_in_stanzas_and_in_files() {
    let federation = federation();
    let plaintext = plaintext(LITTLE);
    federation.home.run(|| {
        let target = Target::start();
        let _serve = Half::serve(&federation.ejabberd.account_section("bob"), &[target.address()]);
        let (config, to) = (federation.prosody.account_section("alice"), federation.ejabberd.jid("bob"));
        let forward = Half::forward(&config, &to, target.address());
        let application = connect(forward.entrance());
        transfer(application, target.accept(), &plaintext);
    });
    let in_stanzas = Log::of(&federation, BTreeSet::new());
    let mut traces = super::Traces::default();
    traces.add("the plaintext", &plaintext);
    traces.add("our name", b"hexchat");
    assert_eq!(traces.found_in(&in_stanzas.everything()), ["our name", "the plaintext"].into());
    assert!(in_stanzas.web().is_empty());
    federation.home.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(put(&federation.prosody, plaintext.clone()));
    });
    let with_file = Log::of(&federation, BTreeSet::new());
    assert_eq!(traces.found_in(&with_file.web()), ["the plaintext"].into());
    // The one is in a namespace of the classic protocol, the other in the path of the file.
    assert_eq!(text::words_in(&with_file.text(), &OURS), ["packet", "tor"].into());
    assert!(text::hosts_in(&with_file.text()).contains("tor.jpg"));
}
