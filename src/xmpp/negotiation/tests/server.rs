//! Server of the tests, which says what a test wants, and the client in front of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac::{HMAC_SHA256, Key, sign};
use sasl::common::Password;
use sasl::common::scram::{ScramProvider as _, Sha1};

use super::super::*;
use crate::config::Credential;
use crate::xmpp::channel_binding::ChannelBindings;

pub(super) const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
pub(super) const SASL2: &str = "urn:xmpp:sasl:2";
pub(super) const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' from='chat.example' id='1' version='1.0'>";
pub(super) const FAILURE: &str = "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

const SALT: &[u8] = b"salt";
const MAX_STANZA: usize = 10_000;

/// What a server offers that has these mechanisms in this profile, and tokens where that has them.
pub(super) fn features(namespace: &str, mechanisms: &[&str]) -> String {
    let names: String = mechanisms.iter().map(|name| format!("<mechanism>{name}</mechanism>")).collect();
    let list = if namespace == SASL2 {
        format!(
            "<authentication xmlns='{SASL2}'>{names}<inline><fast xmlns='urn:xmpp:fast:0'>\
             <mechanism>HT-SHA-256-NONE</mechanism></fast></inline></authentication>"
        )
    } else {
        format!("<mechanisms xmlns='{SASL}'>{names}</mechanisms>")
    };
    format!("<stream:features>{list}</stream:features>")
}

/// The same features from a server that names these types of channel binding.
pub(super) fn naming(types: &[&str], features: &str) -> String {
    let types: String = types.iter().map(|name| format!("<channel-binding type='{name}'/>")).collect();
    let list = format!("<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>{types}</sasl-channel-binding>");
    features.replace("</stream:features>", &format!("{list}</stream:features>"))
}

/// A negotiation, and what came of it.
pub(super) struct Client {
    negotiation: Negotiation,
    /// All that was said, as it was written.
    pub(super) written: String,
    unseen: String,
    end: Option<Result<Progress, AccountError>>,
    /// Where what comes is cut, over and over again.
    pub(super) cuts: Vec<usize>,
}

impl Client {
    pub(super) fn for_tls() -> Self {
        Self::with(Negotiation::start_tls("chat.example", MAX_STANZA))
    }

    pub(super) fn new(memory: Memory) -> Self {
        Self::over(ChannelBindings::default(), memory)
    }

    /// One that logs in once.
    pub(super) fn once() -> Self {
        let (credential, bindings) = (Credential::Password("secret".into()), ChannelBindings::default());
        Self::who_comes_again(false, "alice@chat.example", credential, bindings, Memory::default())
    }

    /// One over a connection that has these names.
    pub(super) fn over(bindings: ChannelBindings, memory: Memory) -> Self {
        Self::of("alice@chat.example", Credential::Password("secret".into()), bindings, memory)
    }

    pub(super) fn anonymous() -> Self {
        Self::of("chat.example", Credential::Anonymous, ChannelBindings::default(), Memory::default())
    }

    fn of(jid: &str, credential: Credential, bindings: ChannelBindings, memory: Memory) -> Self {
        Self::who_comes_again(true, jid, credential, bindings, memory)
    }

    fn who_comes_again(
        comes_again: bool,
        jid: &str,
        credential: Credential,
        bindings: ChannelBindings,
        memory: Memory,
    ) -> Self {
        let who = Who {
            jid: jid.parse().unwrap(),
            credential,
            domain: "chat.example".to_owned(),
            from: Some(jid.to_owned()),
            agent: "agent".to_owned(),
            comes_again,
        };
        let channel = Channel::new(bindings, [7; 32]);
        let first_request = Bytes::from("<iq id='first'/>");
        Self::with(Negotiation::log_in(who, channel, memory, first_request, MAX_STANZA).unwrap())
    }

    /// One that knows this, and has heard that the server offers SCRAM-SHA-1 in this profile.
    pub(super) fn at(namespace: &str, memory: Memory) -> Self {
        let mut client = Self::new(memory);
        client.hear(&format!("{HEADER}{}", features(namespace, &["SCRAM-SHA-1"])));
        client.said();
        client
    }

    /// One that registers the first of these, or the next.
    pub(super) fn registering(accounts: Vec<NewAccount>) -> Self {
        let ids = ["third", "second", "first"].map(str::to_owned);
        let bindings = ChannelBindings::default();
        let applicant = Applicant { domain: "chat.example".to_owned(), accounts, ids, bindings };
        Self::with(Negotiation::register(applicant, MAX_STANZA))
    }

    /// The account that is to be kept now, as it then is.
    pub(super) fn keep(&mut self) -> NewAccount {
        let Some(Ok(Progress::Keep(account))) = self.end.take() else { panic!("nothing is to be kept") };
        self.negotiation.handle_kept().unwrap();
        account
    }

    fn with(negotiation: Negotiation) -> Self {
        let (written, unseen) = (String::new(), String::new());
        Self { negotiation, written, unseen, end: None, cuts: vec![usize::MAX] }
    }

    pub(super) fn hear(&mut self, text: &str) {
        let (mut rest, mut cuts) = (text.as_bytes(), self.cuts.clone().into_iter().cycle());
        while !rest.is_empty() {
            let (part, others) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = others;
            self.take(part);
        }
    }

    fn take(&mut self, part: &[u8]) {
        if self.end.is_some() {
            return;
        }
        self.end = self.negotiation.handle_read(part).err().map(Err);
        while self.end.is_none() {
            match self.negotiation.poll() {
                Ok(Progress::Waiting) => {
                    let output = String::from_utf8(self.negotiation.take_output().to_vec()).unwrap();
                    if output.is_empty() {
                        return;
                    }
                    self.written.push_str(&output);
                    self.unseen.push_str(&output);
                }
                Ok(Progress::Hash(hashing)) => {
                    let answered = hashing
                        .run()
                        .and_then(|(exchange, data)| self.negotiation.handle_response(exchange, &data));
                    self.end = answered.err().map(Err);
                }
                over => self.end = Some(over),
            }
        }
    }

    /// The names of what is said now, in order.
    pub(super) fn said(&mut self) -> Vec<String> {
        let output = String::from_utf8(self.negotiation.take_output().to_vec()).unwrap();
        self.written.push_str(&output);
        self.unseen.push_str(&output);
        let unseen = std::mem::take(&mut self.unseen);
        let mut depth = 0;
        let mut names = Vec::new();
        for tag in unseen.split('<').skip(1).filter(|tag| !tag.starts_with('?')) {
            let name = tag.split([' ', '>', '/']).next().unwrap();
            match name {
                "stream:stream" => names.push("header".to_owned()),
                "iq" => names.push("first request".to_owned()),
                "" => depth -= 1,
                _ => {
                    if depth == 0 {
                        names.push(name.to_owned());
                    }
                    depth += i32::from(!tag.trim_end().ends_with("/>"));
                }
            }
        }
        names
    }

    /// How it has ended, if it has.
    pub(super) fn end(&self) -> Option<Result<&'static str, AccountError>> {
        self.end.as_ref().map(|end| match end {
            Ok(Progress::Tls) => Ok("tls"),
            Ok(Progress::LoggedIn(agreed)) if agreed.ongoing.is_none() => Ok("another stream"),
            Ok(Progress::LoggedIn(_)) => Ok("the same stream"),
            Ok(Progress::Keep(_)) => Ok("to be kept"),
            Ok(Progress::Registered(_)) => Ok("registered"),
            Ok(Progress::Waiting | Progress::Hash(_)) => panic!("no end"),
            Err(error) => Err(error.clone()),
        })
    }

    /// What a login has taught.
    pub(super) fn memory(self) -> Memory {
        match self.end {
            Some(Ok(Progress::LoggedIn(agreed))) => agreed.memory,
            _ => panic!("not logged in"),
        }
    }

    /// The data of the last element of this name.
    pub(super) fn data(&self, name: &str) -> Vec<u8> {
        let (_, element) = self
            .written
            .rsplit_once(&format!("<{name} "))
            .or_else(|| self.written.rsplit_once(&format!("<{name}")))
            .unwrap();
        let text = element.split_once('>').unwrap().1;
        BASE64.decode(text.split('<').next().unwrap()).unwrap()
    }
}

/// The server's part of SCRAM-SHA-1 (RFC 5802 section 5).
pub(super) struct Scram {
    namespace: &'static str,
    challenge: String,
}

impl Scram {
    pub(super) fn in_words_of(namespace: &'static str) -> Self {
        Self { namespace, challenge: String::new() }
    }

    pub(super) fn challenge(&mut self, client: &mut Client) {
        self.challenge_saying(client, "");
    }

    /// The challenge says this, too.
    pub(super) fn challenge_saying(&mut self, client: &mut Client, more: &str) {
        let nonce = self.first(client).1.split_once("r=").unwrap().1.to_owned();
        self.challenge = format!("r={nonce}more,s={},i=4096{more}", BASE64.encode(SALT));
        let data = BASE64.encode(&self.challenge);
        client.hear(&format!("<challenge xmlns='{}'>{data}</challenge>", self.namespace));
    }

    /// The header of the client's first message, and the message.
    pub(super) fn first(&self, client: &Client) -> (String, String) {
        let element = if self.namespace == SASL2 { "initial-response" } else { "auth" };
        let first = String::from_utf8(client.data(element)).unwrap();
        let (header, message) = first.split_at(first.find("n=alice").unwrap());
        (header.to_owned(), message.to_owned())
    }

    /// Whether it accepts the client, at whose connection it sees this.
    pub(super) fn accepts(&self, client: &mut Client, binding: &[u8]) -> bool {
        client.said();
        let response = String::from_utf8(client.data("response")).unwrap();
        let (without_proof, proof) = response.rsplit_once(",p=").unwrap();
        let (header, first) = self.first(client);
        let input = BASE64.encode([header.as_bytes(), binding].concat());
        let message = format!("{first},{},{without_proof}", self.challenge);
        let salted = Sha1::derive(&Password::Plain("secret".to_owned()), SALT, 4096).unwrap();
        let stored = Sha1::hash(&Sha1::hmac(b"Client Key", &salted).unwrap());
        let signature = Sha1::hmac(message.as_bytes(), &stored).unwrap();
        let proof = BASE64.decode(proof).unwrap();
        let key: Vec<u8> = proof.iter().zip(signature).map(|(proof, signature)| proof ^ signature).collect();
        Sha1::hash(&key) == stored && without_proof.starts_with(&format!("c={input},"))
    }

    /// Believes the client, and proves that it knows the password, if it was asked to.
    pub(super) fn succeed(&mut self, client: &mut Client, more: &str) {
        if self.challenge.is_empty() {
            return self.succeed_with(client, "", more);
        }
        client.said();
        let response = String::from_utf8(client.data("response")).unwrap();
        let without_proof = response.rsplit_once(",p=").unwrap().0;
        let message = format!("{},{},{without_proof}", self.first(client).1, self.challenge);
        let salted = Sha1::derive(&Password::Plain("secret".to_owned()), SALT, 4096).unwrap();
        let key = Sha1::hmac(b"Server Key", &salted).unwrap();
        let signature = format!("v={}", BASE64.encode(Sha1::hmac(message.as_bytes(), &key).unwrap()));
        self.succeed_with(client, &signature, more);
    }

    pub(super) fn succeed_with(&self, client: &mut Client, data: &str, more: &str) {
        success(client, self.namespace, data.as_bytes(), more);
    }
}

/// Logs the client in, and says more inside that.
fn success(client: &mut Client, namespace: &str, data: &[u8], more: &str) {
    let data = BASE64.encode(data);
    let data = if namespace == SASL2 { format!("<additional-data>{data}</additional-data>") } else { data };
    client.hear(&format!("<success xmlns='{namespace}'>{data}{more}</success>"));
}

/// Answers a login with this token, at the other end of a connection with this name.
pub(super) fn accept_token(client: &mut Client, token: &str, binding: &[u8]) {
    let key = Key::new(HMAC_SHA256, token.as_bytes());
    let hash = |who: &[u8]| sign(&key, &[who, binding].concat());
    client.said();
    let first = client.data("initial-response");
    assert_eq!(first, [&b"alice\0"[..], hash(b"Initiator").as_ref()].concat());
    success(client, SASL2, hash(b"Responder").as_ref(), "");
}
