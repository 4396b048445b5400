//! Faults of a host where the server sends us: one sentence each, which says that it does.

use std::fmt::Display;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use hexchat_lab::ca::certificate_for;
use hexchat_lab::ports::{free_port, loopback};

use crate::faults::{fault, shake_hands, tls};
use crate::proxy_faults::{narrow, proxy as server};
use crate::refusals::{answer_start_tls, at, say};
use crate::subject::Subject;

const SENT: &str = "the chat server has sent us to another host, [scrubbed], where this failed: ";

fn error(host: impl Display) -> String {
    format!(
        "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{host}</see-other-host></stream:error>"
    )
}

/// Sends everybody there.
fn sending_to(host: impl Display) -> SocketAddr {
    let error = error(host);
    server(move |stream| say(stream, &error))
}

/// Sends everybody to a host that is known later, and counts them.
fn sending_to_later(host: Arc<OnceLock<SocketAddr>>, count: Arc<AtomicU32>) -> SocketAddr {
    server(move |stream| {
        count.fetch_add(1, Ordering::SeqCst);
        say(stream, &error(host.wait()))
    })
}

#[test]
fn a_host_that_refuses_the_connection_is_the_one_where_the_server_has_sent_us() {
    let address = sending_to(loopback(free_port().unwrap()));
    let sentence = format!(
        "account 1 is not online: {SENT}dialling the chat server: connection refused; ask whoever runs the chat server, or set `server` to \
         where it lets us in; trying again"
    );
    fault(&[], &at(address), &sentence);
}

#[test]
fn servers_that_send_us_in_a_circle_are_said_to_and_left_alone_for_a_while() {
    let (first, logins) = (Arc::new(OnceLock::new()), Arc::new(AtomicU32::new(0)));
    let second = sending_to_later(Arc::clone(&first), Arc::clone(&logins));
    first.set(sending_to(second)).unwrap();
    let sentence = "account 1 is not online: the chat server sends us in a circle, at last to [scrubbed]; ask whoever runs the chat \
                    server, or set `server` to where it lets us in; trying again within half a minute";
    fault(&[], &at(*first.get().unwrap()), sentence);
    assert_eq!(logins.load(Ordering::SeqCst), 1);
}

#[test]
fn a_host_with_a_certificate_of_another_name_is_the_one_where_the_server_has_sent_us() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate_for(&["host.example"], folder.path()).unwrap();
    let config = tls(&certificate, None);
    let there = server(move |mut stream| {
        answer_start_tls(&mut stream, "proceed")?;
        shake_hands(stream, &config);
        Ok(())
    });
    let more = format!("{}ca_file = \"{}\"\n", at(sending_to(there)), certificate.ca.display());
    let sentence = format!(
        "account 1 is not online: {SENT}setting up TLS with the chat server: it has no certificate for the domain of the account; that \
         host needs a certificate for the domain of the account, too; without one, somebody in between may have sent us there: ask whoever \
         runs the chat server, or set `server` to where it lets us in; trying again"
    );
    fault(&[], &more, &sentence);
}

#[test]
fn a_host_that_the_proxy_does_not_reach_is_the_one_where_the_server_has_sent_us() {
    let proxy = format!("http://{}", narrow(sending_to("other.example")));
    let account = "[[account]]\njid = \"bob@chat.example\"\npassword = \"secret-of-bob\"\n";
    let line = Subject::behind(&proxy, account).says("is not online");
    let sentence = format!(
        "account 1 is not online: {SENT}dialling the chat server: the proxy refuses this connection (code 403); use a proxy that gets there, \
         ask whoever runs the chat server, or set `server` to where it lets us in; trying again"
    );
    assert!(line.contains(&sentence), "{line}");
}
