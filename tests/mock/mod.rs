//! Chat server in this process that does exactly what a test tells it to. Its connections are in memory, so that tests can run
//! on virtual time.

mod scram;

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hexchat_pt::config::{AccountConfig, Credential, DailyFiles, ServerAddr, TlsMode};
use hexchat_pt::xmpp::{AccountError, Dialer, Socket};
use tokio::io::{BufStream, DuplexStream, duplex};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tokio_xmpp::Stanza;
use tokio_xmpp::xmlstream::{StreamHeader, Timeouts, XmlStream, XmppStreamElement, accept_stream};
use xmpp_parsers::bind::BindFeature;
use xmpp_parsers::iq::Iq;
use xmpp_parsers::message::Message;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};
use xmpp_parsers::stream_features::StreamFeatures;
use xmpp_parsers::stream_limits::Limits;
use xmpp_parsers::{ns, sasl, sm};

#[allow(unused_imports, reason = "not every test logs in with a password")]
pub(crate) use scram::Scram;

/// What no step of a test may take longer than.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes that a connection keeps each way while nobody reads them: as much as the buffers of two sockets.
const BUFFER: usize = 256 * 1024;

pub(crate) struct MockServer {
    dialer: Dialer,
    dialled: Arc<std::sync::Mutex<Vec<(String, u16)>>>,
    /// The largest stanza that it says it takes.
    pub(crate) max_bytes: Option<NonZeroU32>,
    connections: Mutex<mpsc::UnboundedReceiver<DuplexStream>>,
}

/// One connection from a client.
pub(crate) struct Peer {
    stream: XmlStream<BufStream<DuplexStream>, XmppStreamElement>,
    pub(crate) features: StreamFeatures,
}

impl MockServer {
    pub(crate) fn start() -> Self {
        let (accept, connections) = mpsc::unbounded_channel();
        let dialled = Arc::new(std::sync::Mutex::new(Vec::new()));
        let log = Arc::clone(&dialled);
        let dialer = Dialer::to_addresses(move |address| {
            log.lock().unwrap().push((address.ip().to_string(), address.port()));
            let (near, far) = duplex(BUFFER);
            let accepted = accept.send(far).map_err(|_| AccountError::Refused);
            Box::pin(async move { accepted.map(|()| Socket::new(near)) })
        });
        Self { dialer, dialled, max_bytes: None, connections: Mutex::new(connections) }
    }

    /// Whatever is dialled with it reaches this server.
    pub(crate) fn dialer(&self) -> Dialer {
        self.dialer.clone()
    }

    /// Where clients wanted to connect to, since this was asked last.
    #[allow(dead_code, reason = "not every test looks")]
    pub(crate) fn take_dialled(&self) -> Vec<(String, u16)> {
        std::mem::take(&mut self.dialled.lock().unwrap())
    }

    /// An anonymous login at this server.
    pub(crate) fn anonymous(&self) -> AccountConfig {
        AccountConfig {
            jid: "mock.example".parse().unwrap(),
            credential: Credential::Anonymous,
            server: Some(ServerAddr { host: "127.0.0.1".into(), port: 5222 }.into()),
            tls: Some(TlsMode::None),
            pin: None,
            ca_file: None,
            roster: false,
            sessions: None,
            daily_bytes: None,
            daily_files: DailyFiles::Unbounded,
        }
    }

    pub(crate) fn with_password(&self) -> AccountConfig {
        AccountConfig {
            jid: "alice@mock.example".parse().unwrap(),
            credential: Credential::Password("secret".into()),
            ..self.anonymous()
        }
    }

    /// The next connection within `wait`.
    pub(crate) async fn connection_within(&self, wait: Duration) -> Option<DuplexStream> {
        timeout(wait, self.connections.lock().await.recv()).await.ok().flatten()
    }

    /// The next connection, which is offered `mechanism` and nothing else.
    pub(crate) async fn greet(&self, mechanism: &str) -> Peer {
        let socket = self.connection_within(PATIENCE).await.expect("a connection");
        Self::greet_on(socket, mechanism).await
    }

    async fn greet_on(socket: DuplexStream, mechanism: &str) -> Peer {
        let stream =
            accept_stream(BufStream::new(socket), ns::JABBER_CLIENT, Timeouts::default()).await.unwrap();
        let features =
            StreamFeatures { sasl_mechanisms: [mechanism.to_owned()].into(), ..StreamFeatures::default() };
        let stream = stream.send_header(header()).await.unwrap().send_features(&features).await.unwrap();
        Peer { stream, features }
    }

    /// The next connection, logged in.
    pub(crate) async fn log_in(&self, acks: bool) -> Peer {
        let mut peer = self.greet("ANONYMOUS").await;
        assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
        Box::pin(peer.welcome(vec![], acks, self.max_bytes)).await
    }

    /// The next connection, logged in with the [password](Self::with_password).
    pub(crate) async fn log_in_with_password(&self, acks: bool) -> Peer {
        let mut scram = Scram::begin(self).await;
        scram.challenge("4096").await;
        let signature = scram.signature("secret").await;
        Box::pin(scram.peer.welcome(signature.into_bytes(), acks, self.max_bytes)).await
    }

    /// The next connection, which may take so long to come.
    #[allow(dead_code, reason = "not every test waits")]
    pub(crate) async fn connection_after(&self, wait: Duration) -> Peer {
        Self::greet_on(self.connection_within(wait).await.expect("a connection"), "ANONYMOUS").await
    }

    /// The next connection, which may take so long to come, with a new session without stream management.
    #[allow(dead_code, reason = "not every test waits")]
    pub(crate) async fn session_after(&self, wait: Duration) -> Peer {
        let mut peer = self.log_in_after(wait).await;
        peer.open().await;
        peer
    }

    /// The next connection, which may take so long to come, logged in.
    pub(crate) async fn log_in_after(&self, wait: Duration) -> Peer {
        let mut peer = self.connection_after(wait).await;
        assert!(matches!(peer.next().await, XmppStreamElement::Sasl(sasl::Nonza::Auth(_))));
        Box::pin(peer.welcome(vec![], false, self.max_bytes)).await
    }

    /// The next connection, with a new session.
    pub(crate) async fn session(&self, acks: bool) -> Peer {
        let mut peer = self.log_in(acks).await;
        peer.open().await;
        peer
    }
}

impl Peer {
    /// Lets the client in, on a new stream.
    async fn welcome(self, data: Vec<u8>, acks: bool, max_bytes: Option<NonZeroU32>) -> Self {
        let success = XmppStreamElement::Sasl(sasl::Nonza::Success(sasl::Success { data }));
        let stream = self.stream.accept_reset(&success).await.unwrap();
        let features = StreamFeatures {
            bind: Some(BindFeature { required: true }),
            stream_management: acks.then_some(sm::StreamManagement { optional: false }),
            limits: max_bytes.map(|_| Limits { max_bytes, idle_seconds: None }),
            ..StreamFeatures::default()
        };
        let stream = stream.send_header(header()).await.unwrap().send_features(&features).await.unwrap();
        Self { stream, features }
    }

    pub(crate) async fn next(&mut self) -> XmppStreamElement {
        timeout(PATIENCE, self.stream.next()).await.expect("the client to say something").unwrap().unwrap()
    }

    pub(crate) async fn send(&mut self, element: XmppStreamElement) {
        self.stream.send(&element).await.unwrap();
    }

    /// Sends to a client that may hang up.
    pub(crate) async fn try_send(&mut self, stanza: Stanza) -> std::io::Result<()> {
        self.stream.send(&XmppStreamElement::Stanza(stanza)).await
    }

    pub(crate) async fn send_sm(&mut self, nonza: sm::Nonza) {
        self.send(XmppStreamElement::SM(nonza)).await;
    }

    /// Binds, and enables stream management if it was offered.
    pub(crate) async fn open(&mut self) {
        self.bind().await;
        if self.features.stream_management.is_some() {
            self.enable().await;
        }
    }

    /// Lets the client count, and resume the session.
    pub(crate) async fn enable(&mut self) {
        assert!(matches!(self.next().await, XmppStreamElement::SM(sm::Nonza::Enable(_))));
        let id = Some(sm::StreamId("session".into()));
        self.send_sm(sm::Nonza::Enabled(sm::Enabled { id, location: None, max: None, resume: true })).await;
    }

    pub(crate) async fn bind(&mut self) {
        let id = self.bind_request().await;
        self.bound(id, "alice@mock.example/here").await;
    }

    /// The id of the request for a resource.
    pub(crate) async fn bind_request(&mut self) -> String {
        let bind = self.stanza().await;
        let Stanza::Iq(bind) = bind else { panic!("no bind request: {bind:?}") };
        bind.id().to_owned()
    }

    /// Gives the client no resource.
    #[allow(dead_code, reason = "most servers do")]
    pub(crate) async fn refuse_to_bind(&mut self, id: String, condition: DefinedCondition) {
        let error = StanzaError {
            type_: ErrorType::Cancel,
            by: None,
            defined_condition: condition,
            texts: Default::default(),
            other: None,
        };
        let refusal = Iq::Error { from: None, to: None, id, error, payload: None };
        self.send(XmppStreamElement::Stanza(refusal.into())).await;
    }

    /// Answers that the client is `jid`.
    pub(crate) async fn bound(&mut self, id: String, jid: &str) {
        let jid = Element::builder("jid", ns::BIND).append(jid);
        let payload = Some(Element::builder("bind", ns::BIND).append(jid).build());
        let response = Iq::Result { from: None, to: None, id, payload };
        self.send(XmppStreamElement::Stanza(response.into())).await;
    }

    /// Resumes the session, of which the server has handled so many stanzas.
    pub(crate) async fn resume(&mut self, handled: u32) {
        let XmppStreamElement::SM(sm::Nonza::Resume(resume)) = self.next().await else { panic!("no resume") };
        self.send_sm(sm::Nonza::Resumed(sm::Resumed { h: handled, previd: resume.previd })).await;
    }

    /// Refuses to resume the session, and says perhaps how much of it was handled.
    pub(crate) async fn refuse_to_resume(&mut self, handled: Option<u32>) {
        assert!(matches!(self.next().await, XmppStreamElement::SM(sm::Nonza::Resume(_))));
        self.send_sm(sm::Nonza::Failed(sm::Failed { h: handled, error: None })).await;
    }

    /// Answers the ping with this id.
    pub(crate) async fn pong(&mut self, id: String) {
        let pong = Iq::Result { from: None, to: None, id, payload: None };
        self.send(XmppStreamElement::Stanza(pong.into())).await;
    }

    pub(crate) async fn presence(&mut self) {
        let presence = self.stanza().await;
        assert!(matches!(presence, Stanza::Presence(_)), "no presence: {presence:?}");
    }

    /// The next stanza; requests for acknowledgements are passed over.
    pub(crate) async fn stanza(&mut self) -> Stanza {
        loop {
            match self.next().await {
                XmppStreamElement::Stanza(stanza) => return stanza,
                XmppStreamElement::SM(sm::Nonza::Req(_)) => {}
                other => panic!("no stanza: {other:?}"),
            }
        }
    }

    /// The next stanza, for which there is so much time.
    pub(crate) async fn stanza_after(&mut self, patience: Duration) -> Stanza {
        match timeout(patience, self.stream.next()).await.expect("a stanza").unwrap().unwrap() {
            XmppStreamElement::Stanza(stanza) => stanza,
            other => panic!("no stanza: {other:?}"),
        }
    }

    /// The body of the next stanza, which is a message.
    pub(crate) async fn text(&mut self) -> String {
        match self.stanza().await {
            Stanza::Message(Message { bodies, .. }) => bodies.into_values().next().unwrap(),
            other => panic!("no message: {other:?}"),
        }
    }

    /// Acknowledges the first `handled` stanzas of the session.
    pub(crate) async fn ack(&mut self, handled: u32) {
        self.send_sm(sm::Nonza::Ack(sm::A { h: handled })).await;
    }

    /// Whether the client opens the stream that follows a login.
    pub(crate) async fn begins_anew(self) -> bool {
        let io = self.stream.into_inner();
        timeout(PATIENCE, accept_stream(io, ns::JABBER_CLIENT, Timeouts::default())).await.unwrap().is_ok()
    }

    /// Whether the client drops the connection, and says nothing before.
    pub(crate) async fn is_dropped(&mut self) -> bool {
        use tokio_xmpp::xmlstream::ReadError;
        let next = timeout(PATIENCE, self.stream.next()).await.expect("the client to hang up");
        matches!(next, None | Some(Err(ReadError::HardError(_))))
    }

    /// The connection itself, to say on it what no library would.
    pub(crate) fn into_io(self) -> BufStream<DuplexStream> {
        self.stream.into_inner()
    }

    /// Whether the client ends the stream in good order.
    pub(crate) async fn is_closed(&mut self) -> bool {
        use tokio_xmpp::xmlstream::ReadError;
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("the client to close") {
                Some(Ok(XmppStreamElement::SM(_))) => {}
                Some(Err(ReadError::StreamFooterReceived)) => return true,
                _ => return false,
            }
        }
    }
}

fn header() -> StreamHeader<'static> {
    StreamHeader { from: Some(Cow::Borrowed("mock.example")), to: None, id: Some(Cow::Borrowed("1")) }
}
