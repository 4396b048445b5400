//! A chat server that says what a test scripts: RFC 6120 in plain text on loopback, written down again from the
//! specification.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use hexchat_lab::read;
use rustix::net::sockopt::set_socket_linger;

use crate::child::PATIENCE;

/// The domain that it serves.
pub(crate) const DOMAIN: &str = "mock.example";
/// Who it says is logged in.
pub(crate) const CLIENT: &str = "me@mock.example/here";

const HEADER: &str = "<?xml version='1.0'?><stream:stream from='mock.example' id='1' version='1.0' \
                      xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// The server; its threads end with the test.
pub(crate) struct ChatServer {
    address: SocketAddr,
}

/// One connection of a client's. It is closed when the script ends.
pub(crate) struct Conversation {
    tcp: TcpStream,
    /// What came and was not asked for yet.
    heard: Vec<u8>,
}

impl ChatServer {
    /// Starts one that plays `script` to everybody. A script returns early when the client is gone.
    pub(crate) fn start(script: impl Fn(&mut Conversation) -> Option<()> + Send + Sync + 'static) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, script)
    }

    /// Starts one at this address of the loopback interface.
    pub(crate) fn start_at(
        address: Ipv4Addr,
        script: impl Fn(&mut Conversation) -> Option<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let script = Arc::new(script);
        thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let script = Arc::clone(&script);
                tcp.set_read_timeout(Some(PATIENCE * 6)).unwrap();
                thread::spawn(move || script(&mut Conversation { tcp, heard: Vec::new() }));
            }
        });
        Self { address }
    }

    /// One that gets as far as `features` and then does as scripted.
    pub(crate) fn with_features(
        features: &'static str,
        script: impl Fn(&mut Conversation) -> Option<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |client| {
            client.open(features)?;
            script(client)
        })
    }

    /// One that lets everybody log in, and then does as scripted.
    pub(crate) fn with_session(
        script: impl Fn(&mut Conversation) -> Option<()> + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |client| {
            client.log_in()?;
            script(client)
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A bridge line that logs in here without a name.
    pub(crate) fn anonymously(&self) -> String {
        format!("mode=classic;jid=bridge@{DOMAIN};login={DOMAIN};{}", self.route())
    }

    /// A bridge line that logs in here with a password.
    pub(crate) fn with_password(&self) -> String {
        format!("mode=classic;jid=bridge@{DOMAIN};login=alice@{DOMAIN}:sesame;{}", self.route())
    }

    /// The arguments that lead here.
    pub(crate) fn route(&self) -> String {
        format!("server={};tls=none", self.address)
    }
}

impl Conversation {
    /// Says something, unless the client is gone.
    pub(crate) fn say(&mut self, words: impl AsRef<[u8]>) -> Option<()> {
        self.tcp.write_all(words.as_ref()).ok()
    }

    /// Everything up to these words, once they have come.
    pub(crate) fn hear(&mut self, words: &str) -> Option<String> {
        loop {
            let found = self.heard.windows(words.len()).position(|window| window == words.as_bytes());
            if let Some(start) = found {
                let said = self.heard.drain(..start + words.len()).collect();
                return String::from_utf8(said).ok();
            }
            let mut buffer = [0; 4096];
            let length = read(&mut self.tcp, &mut buffer).ok().filter(|length| *length > 0)?;
            self.heard.extend_from_slice(&buffer[..length]);
        }
    }

    /// The client's stream header, and ours.
    pub(crate) fn greet(&mut self) -> Option<()> {
        self.hear("<stream:stream")?;
        self.hear(">")?;
        self.say(HEADER)
    }

    /// The client's stream header, and ours with these features.
    pub(crate) fn open(&mut self, features: &str) -> Option<()> {
        self.greet()?;
        self.say(format!("<stream:features>{features}</stream:features>"))
    }

    /// Lets the client log in without a name and become [`CLIENT`].
    pub(crate) fn log_in(&mut self) -> Option<()> {
        self.log_in_as(CLIENT)
    }

    /// Lets the client log in without a name and become `jid`.
    pub(crate) fn log_in_as(&mut self, jid: &str) -> Option<()> {
        self.open(&mechanism("ANONYMOUS"))?;
        self.hear("<auth")?;
        self.hear(">")?;
        self.say("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")?;
        self.open("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>")?;
        self.hear("<iq")?;
        let id = attribute(&self.hear("</iq>")?, "id");
        self.say(format!(
            "<iq type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{jid}</jid></bind></iq>"
        ))?;
        self.hear("<presence")?;
        self.hear(">")?;
        Some(())
    }

    /// Says nothing more until the client has gone.
    pub(crate) fn wait(&mut self) -> Option<()> {
        self.hear("nobody says this").map(drop)
    }

    /// Ends the connection by a reset.
    pub(crate) fn reset(&mut self) -> Option<()> {
        set_socket_linger(&self.tcp, Some(std::time::Duration::ZERO)).ok()
    }
}

/// The feature that offers this SASL mechanism alone.
pub(crate) fn mechanism(name: &str) -> String {
    format!("<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>{name}</mechanism></mechanisms>")
}

/// The value of an attribute in the text of a tag; nothing when there is none.
pub(crate) fn attribute(text: &str, name: &str) -> String {
    let Some((_, rest)) = text.split_once(&format!(" {name}=")) else { return String::new() };
    let quote = rest.chars().next().unwrap_or_default();
    rest.get(1..).and_then(|rest| rest.split(quote).next()).unwrap_or_default().to_owned()
}

/// What stands between the tags of an element; nothing when there is none.
pub(crate) fn content<'a>(text: &'a str, element: &str) -> &'a str {
    let inside = text.split_once(&format!("<{element}>")).map(|(_, rest)| rest);
    inside.and_then(|rest| rest.split("</").next()).unwrap_or_default()
}
