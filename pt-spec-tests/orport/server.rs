//! Tor's end of the extended ORPort, from its specification ("ext-orport-spec"), a step at a time.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use ring::hmac;

use crate::halves::accept;

/// The secret in the cookie file.
pub(crate) type Secret = [u8; 32];

/// Where connections to Tor arrive.
pub(crate) struct Tor(TcpListener);

/// One of them. It panics when the other end does not do what is expected.
pub(crate) struct Connection(TcpStream);

impl Tor {
    pub(crate) fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").unwrap())
    }

    pub(crate) fn address(&self) -> String {
        self.0.local_addr().unwrap().to_string()
    }

    /// The next connection.
    pub(crate) fn accept(&self) -> Connection {
        Connection(accept(&self.0))
    }

    /// Whether nobody has connected.
    pub(crate) fn is_untouched(&self) -> bool {
        self.0.set_nonblocking(true).unwrap();
        self.0.accept().is_err()
    }
}

impl Connection {
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// As [`say`](Self::say), in packets of one byte.
    pub(crate) fn say_slowly(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.say(&[*byte]));
    }

    /// Says no more.
    pub(crate) fn hang_up(&mut self) {
        self.0.shutdown(std::net::Shutdown::Write).unwrap();
    }

    pub(crate) fn hear<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn expect(&mut self, expected: &[u8]) {
        let mut heard = vec![0; expected.len()];
        self.0.read_exact(&mut heard).unwrap();
        assert_eq!(heard.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    /// Expects the connection to be closed without another byte.
    pub(crate) fn expect_the_end(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let end = self.0.read_to_end(&mut rest);
        let waiting = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!waiting, "the connection is still open");
        assert!(rest.is_empty(), "{} bytes before the end", rest.len());
    }

    /// Section 3: which types of authentication there are, and that the first is chosen.
    pub(crate) fn offer_safe_cookie(&mut self) {
        self.say(&[1, 0]);
        self.expect(&[1]);
    }

    /// Section 4.2: proves that we know the secret, checks the answer, and says that it is right.
    pub(crate) fn authenticate(&mut self, secret: &Secret) {
        let expected = self.prove(secret, Self::say);
        self.expect(&expected);
        self.say(&[1]);
    }

    /// Sends hash and nonce; what the other end must answer.
    pub(crate) fn prove(&mut self, secret: &Secret, say: fn(&mut Self, &[u8])) -> [u8; 32] {
        let client_nonce: [u8; 32] = self.hear();
        let mut server_nonce = [0; 32];
        rand::fill(&mut server_nonce);
        let hash = |text: &str| -> [u8; 32] {
            let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
            let message = [text.as_bytes(), &client_nonce, &server_nonce].concat();
            hmac::sign(&key, &message).as_ref().try_into().unwrap()
        };
        say(self, &hash("ExtORPort authentication server-to-client hash"));
        say(self, &server_nonce);
        hash("ExtORPort authentication client-to-server hash")
    }

    /// Section 5: the name of the transport, and that this is all.
    pub(crate) fn expect_the_announcement(&mut self) {
        self.expect(b"\0\x02\0\x07hexchat\0\0\0\0");
    }

    /// All of it; afterwards it is a connection to the ORPort.
    pub(crate) fn welcome(&mut self, secret: &Secret) {
        self.offer_safe_cookie();
        self.authenticate(secret);
        self.expect_the_announcement();
        self.say(&OKAY);
    }
}

/// The answers of section 5, each without a body.
pub(crate) const OKAY: [u8; 4] = [0x10, 0, 0, 0];
pub(crate) const DENY: [u8; 4] = [0x10, 1, 0, 0];
