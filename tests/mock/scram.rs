//! SCRAM-SHA-1 as a server does it, step by step, so that a test can do each of them wrong.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sasl::common::Password;
use sasl::common::scram::{ScramProvider as _, Sha1};
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::sasl::{Challenge, Nonza, Success};

use super::{MockServer, Peer};

const SALT: &[u8] = b"some salt";

/// The server's part of SCRAM-SHA-1, as RFC 5802 section 5 has it.
pub(crate) struct Scram {
    pub(crate) peer: Peer,
    pub(crate) said: Vec<String>,
}

impl Scram {
    pub(crate) async fn begin(server: &MockServer) -> Self {
        let mut peer = server.greet("SCRAM-SHA-1").await;
        let XmppStreamElement::Sasl(Nonza::Auth(auth)) = peer.next().await else { panic!("no login") };
        let first = String::from_utf8(auth.data).unwrap().strip_prefix("n,,").unwrap().to_owned();
        Self { peer, said: vec![first] }
    }

    pub(crate) fn salt() -> String {
        STANDARD.encode(SALT)
    }

    pub(crate) async fn challenge(&mut self, iterations: &str) {
        let nonce = self.said[0].split_once("r=").unwrap().1.to_owned();
        self.challenge_with(&format!("{nonce}more"), iterations).await;
    }

    pub(crate) async fn challenge_with(&mut self, nonce: &str, iterations: &str) {
        let challenge = format!("r={nonce},s={},i={iterations}", Self::salt());
        self.say_challenge(challenge.clone()).await;
        self.said.push(challenge);
    }

    pub(crate) async fn say_challenge(&mut self, text: String) {
        let challenge = Nonza::Challenge(Challenge { data: text.into_bytes() });
        self.peer.send(XmppStreamElement::Sasl(challenge)).await;
    }

    pub(crate) async fn response(&mut self) -> String {
        match self.peer.next().await {
            XmppStreamElement::Sasl(Nonza::Response(response)) => String::from_utf8(response.data).unwrap(),
            other => panic!("no response: {other:?}"),
        }
    }

    /// Takes the client's proof; what shows that the server knows this password.
    pub(crate) async fn signature(&mut self, password: &str) -> String {
        let response = self.response().await;
        let without_proof = response.rsplit_once(",p=").unwrap().0;
        let message = format!("{},{},{without_proof}", self.said[0], self.said[1]);
        let salted = Sha1::derive(&Password::Plain(password.to_owned()), SALT, 4096).unwrap();
        let key = Sha1::hmac(b"Server Key", &salted).unwrap();
        format!("v={}", STANDARD.encode(Sha1::hmac(message.as_bytes(), &key).unwrap()))
    }

    pub(crate) async fn succeed(mut self, data: &str) -> Peer {
        let success = Nonza::Success(Success { data: data.as_bytes().to_vec() });
        self.peer.send(XmppStreamElement::Sasl(success)).await;
        self.peer
    }
}
