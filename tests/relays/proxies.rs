//! Proxies of bytestreams of real chat servers: found, connected to, and activated.

use std::time::Duration;

use crate::client::{Client, Lab, PATIENCE, connect};
use futures_util::FutureExt as _;
use hexchat_lab::server::{DOMAIN, RELAY};
use hexchat_lab::{Kind, on_both_servers};
use hexchat_pt::carrier::relay::activation::Refusal;
use hexchat_pt::carrier::relay::proxy::Proxy;
use hexchat_pt::carrier::relay::stream::{address, new_sid};
use hexchat_pt::carrier::services::NotActivated;
use hexchat_pt::xmpp::place::{BadPlace, Hosts, Place, PlaceDialer, Reach};
use hexchat_pt::xmpp::{Dialer, Socket, bytestream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{sleep, timeout};
use xmpp_parsers::jid::FullJid;

/// Bytes that go in each direction: 1 MB.
const SIZE: usize = 1_000_000;

/// How often a little more is written: each 20 ms, so that what a proxy keeps back comes soon.
const NUDGE: Duration = Duration::from_millis(20);

/// The client, its server's proxy, and a peer at some other server, of whom the proxy knows nothing but its name.
async fn with_proxy(lab: &Lab) -> (Client, Proxy, FullJid) {
    let mut client = Client::online(lab).await;
    let proxy = client.discover().await.expect("a proxy");
    (client, proxy, FullJid::new("bridge@elsewhere.example/there").unwrap())
}

async fn the_proxy_is_found_with_its_host_and_port(kind: Kind) {
    let lab = Lab::start(kind, Some(RELAY));
    let (_, proxy, _) = with_proxy(&lab).await;
    assert_eq!((proxy.jid.domain().as_str(), &*proxy.host, proxy.port), (RELAY, RELAY, lab.relay_port()));
}

async fn a_server_without_one_is_said_to_have_none(kind: Kind) {
    let lab = Lab::start(kind, None);
    assert_eq!(Client::online(&lab).await.discover().await, None);
}

/// Has what one end writes come out at the other. Dots are written behind it until it has, because Prosody keeps back the end of what it
/// reads until more comes (`bytestream`).
async fn carry(from: &mut Socket, to: &mut Socket, seed: u8) {
    let written: Vec<u8> = (0..SIZE).map(|n| (n as u8).wrapping_mul(31) ^ (n >> 8) as u8 ^ seed).collect();
    let mut read = vec![0; SIZE];
    let write = async {
        from.write_all(&written).await.unwrap();
        loop {
            from.write_all(b".").await.unwrap();
            from.flush().await.unwrap();
            sleep(NUDGE).await;
        }
    };
    let all = async {
        tokio::select! {
            all = to.read_exact(&mut read) => all,
            () = write => unreachable!("it writes for ever"),
        }
    };
    timeout(PATIENCE, all).await.expect("all of it in time").unwrap();
    assert!(read == written);
    // What it was nudged with.
    let mut rest = [0; 64];
    while let Some(read) = to.read(&mut rest).now_or_never() {
        assert!(rest[..read.unwrap()].iter().all(|byte| *byte == b'.'));
    }
}

async fn what_both_ends_connect_is_joined_by_the_activation_and_carries_bytes_both_ways(kind: Kind) {
    let lab = Lab::start(kind, Some(RELAY));
    let (mut client, proxy, peer) = with_proxy(&lab).await;
    let sid = new_sid(&mut rand::random);
    let at = address(&sid, client.jid(), &peer);
    let (mut near, mut far) = (connect(&proxy, at).await.unwrap(), connect(&proxy, at).await.unwrap());
    assert_eq!(client.activate(&sid, &peer).await, Ok(()));
    carry(&mut near, &mut far, 1).await;
    carry(&mut far, &mut near, 2).await;
    drop(far);
    let end = timeout(PATIENCE, near.read_to_end(&mut Vec::new())).await;
    end.expect("the end of one to be the other's").ok();
}

async fn who_connects_to_another_address_is_joined_with_nobody(kind: Kind) {
    let lab = Lab::start(kind, Some(RELAY));
    let (mut client, proxy, peer) = with_proxy(&lab).await;
    let sid = new_sid(&mut rand::random);
    let at = address(&sid, &peer, client.jid());
    let (_near, _far) = (connect(&proxy, at).await.unwrap(), connect(&proxy, at).await.unwrap());
    let refused = client.activate(&sid, &peer).await.unwrap_err();
    assert_eq!(refused, NotActivated::Refused(Refusal::NotConnected("item-not-found")));
}

async fn before_both_are_connected_the_activation_fails_and_says_so_and_afterwards_it_can_be_asked_for_again(
    kind: Kind,
) {
    let lab = Lab::start(kind, Some(RELAY));
    let (mut client, proxy, peer) = with_proxy(&lab).await;
    let sid = new_sid(&mut rand::random);
    let at = address(&sid, client.jid(), &peer);
    let mut near = connect(&proxy, at).await.unwrap();
    let refused = client.activate(&sid, &peer).await.unwrap_err();
    assert!(matches!(refused, NotActivated::Refused(Refusal::NotConnected(_))), "{refused}");
    let mut far = connect(&proxy, at).await.unwrap();
    assert_eq!(client.activate(&sid, &peer).await, Ok(()));
    carry(&mut near, &mut far, 3).await;
}

async fn a_proxy_that_is_named_by_its_address_is_called_only_where_that_is_listed(kind: Kind) {
    let lab = Lab::start(kind, Some("127.0.0.1"));
    let (_, proxy, peer) = with_proxy(&lab).await;
    let hosts = Hosts::of_domains([DOMAIN]);
    let at = |hosts: &Hosts| Place::new(&proxy.host, proxy.port, hosts);
    assert_eq!(at(&hosts), Err(BadPlace::Numbered));
    let place = at(&hosts.and(["127.0.0.1".to_owned()])).unwrap();
    let dialer = PlaceDialer::new(&Dialer::direct(), Reach::Public);
    let address = address("s", &peer, &peer);
    assert!(bytestream::connect(&dialer, &place, address).await.is_ok());
}

on_both_servers! {
    async fn the_proxy_is_found_with_its_host_and_port;
    async fn a_server_without_one_is_said_to_have_none;
    async fn what_both_ends_connect_is_joined_by_the_activation_and_carries_bytes_both_ways;
    async fn who_connects_to_another_address_is_joined_with_nobody;
    async fn before_both_are_connected_the_activation_fails_and_says_so_and_afterwards_it_can_be_asked_for_again;
    async fn a_proxy_that_is_named_by_its_address_is_called_only_where_that_is_listed;
}
