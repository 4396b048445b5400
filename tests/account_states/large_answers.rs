//! Answers to strangers that are larger than a server takes.

use std::num::NonZeroU32;

use hexchat_pt::persona;
use hexchat_pt::xmpp::StreamManagement;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio_xmpp::Stanza;

use crate::client::{Client, HALF_A_MINUTE, says_until};
use crate::mock::MockServer;

/// Whether an account sends the refusal of a stranger's request with an id of so many bytes.
async fn refuses(client: &Client, io: &mut (impl AsyncRead + Unpin), length: usize) -> bool {
    let id = "x".repeat(length);
    for id in [&*id, "last"] {
        let stranger = "eve@mock.example/r".parse().unwrap();
        let refusal = persona::refusal(Some(stranger), id.to_owned());
        client.pool.send(client.id, Stanza::from(refusal), None);
    }
    says_until(io, "last").await.contains(&id)
}

#[tokio::test(start_paused = true)]
async fn no_stranger_can_have_us_send_an_answer_that_the_server_does_not_take() {
    for (told, answered, unanswered) in [(None, 200_000, 262_000), (NonZeroU32::new(12_000), 11_000, 11_980)]
    {
        let mut server = MockServer::start();
        server.max_bytes = told;
        let client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
        let mut io = server.session(false).await.into_io();
        assert!(refuses(&client, &mut io, answered).await, "{told:?}");
        assert!(!refuses(&client, &mut io, unanswered).await, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_too_large_for_the_server_is_the_last_one_of_its_size() {
    let server = MockServer::start();
    let client = Client::open_with(&server, server.anonymous(), StreamManagement::Unwanted);
    let mut io = server.session(false).await.into_io();
    assert!(refuses(&client, &mut io, 20_000).await);
    let error = "<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
                 <text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>XML stanza is too big</text></stream:error>";
    io.write_all(error.as_bytes()).await.unwrap();
    io.flush().await.unwrap();
    let mut io = server.session_after(HALF_A_MINUTE).await.into_io();
    assert!(!refuses(&client, &mut io, 20_000).await);
    assert!(refuses(&client, &mut io, 9000).await);
}
