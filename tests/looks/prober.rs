//! Prober: somebody with an account at the same server who may send whatever is well-formed XML.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hexchat_lab::ChatServer;
use hexchat_lab::server::name_and_domain;
use sasl::common::Credentials;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_xmpp::client_login;
use tokio_xmpp::xmlstream::{FallibleStreamElement, StreamHeader, Timeouts, initiate_stream};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

#[path = "reading.rs"]
mod reading;

use reading::Cutter;

/// What no step of a test may take longer than.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A login that sends and gets stanzas as they are.
pub(crate) struct Prober {
    io: BufStream<TlsStream<TcpStream>>,
    cutter: Cutter,
    /// Its full JID.
    pub(crate) jid: String,
    sent: u64,
    /// What it sent last, in short.
    last: VecDeque<String>,
}

impl Prober {
    /// Logs in as `user`, and sends no presence.
    pub(crate) async fn log_in(server: &ChatServer, user: &str) -> Self {
        Box::pin(Self::log_in_as(server, user, "")).await
    }

    /// The same, with this resource, or one that the server chooses if it is empty.
    pub(crate) async fn log_in_as(server: &ChatServer, user: &str, resource: &str) -> Self {
        let (_, domain) = name_and_domain(user);
        Box::pin(Self::log_in_at(server.tls_address(), server.ca_file(), user, domain, resource)).await
    }

    /// The same at any server.
    pub(crate) async fn log_in_at(
        address: SocketAddr,
        ca_file: &Path,
        user: &str,
        domain: &str,
        resource: &str,
    ) -> Self {
        let (name, _) = name_and_domain(user);
        let header = || StreamHeader { to: Some(Cow::Borrowed(domain)), from: None, id: None };
        let tls = connect_tls(address, ca_file, domain).await;
        let timeouts = Timeouts { read_timeout: PATIENCE * 10, response_timeout: PATIENCE };
        let pending =
            initiate_stream(BufStream::new(tls), ns::JABBER_CLIENT, header(), timeouts).await.unwrap();
        let (features, stream) = pending.recv_features::<FallibleStreamElement>().await.unwrap();
        let credentials =
            Credentials::default().with_username(name).with_password(ChatServer::password(user));
        let mechanisms = features.sasl_mechanisms;
        let stream = client_login(stream, mechanisms, credentials).await.unwrap();
        let pending = stream.send_header(header()).await.unwrap();
        let (_, stream) = pending.recv_features::<Element>().await.unwrap();
        let (io, cutter) = (stream.into_inner(), Cutter::default());
        let mut prober = Self { io, cutter, jid: String::new(), sent: 0, last: VecDeque::new() };
        prober.jid = prober.bind(resource).await;
        prober
    }

    async fn bind(&mut self, resource: &str) -> String {
        let resource =
            if resource.is_empty() { String::new() } else { format!("<resource>{resource}</resource>") };
        self.send(&format!(
            "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>"
        ))
        .await;
        let answer = self.next().await;
        answer.children().next().unwrap().children().next().unwrap().text()
    }

    /// Shows itself, and wants to know what becomes of its subscriptions.
    pub(crate) async fn come_online(&mut self) {
        self.send("<presence/>").await;
        self.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>").await;
        self.until_answer("roster").await;
    }

    /// Its bare JID.
    pub(crate) fn bare(&self) -> &str {
        self.jid.split('/').next().unwrap()
    }

    /// An id that was not used before. All are of the same length, as the times that they take must be.
    pub(crate) fn new_id(&mut self) -> String {
        self.sent += 1;
        format!("probe-{:07}", self.sent)
    }

    /// Sends a stanza as it is written.
    pub(crate) async fn send(&mut self, xml: &str) {
        self.remember(xml);
        let send = async {
            self.io.write_all(xml.as_bytes()).await?;
            self.io.flush().await
        };
        if !matches!(timeout(PATIENCE, send).await, Ok(Ok(()))) {
            panic!("the server reads no more after {:#?}", self.last);
        }
    }

    fn remember(&mut self, xml: &str) {
        self.last.push_back(xml.chars().take(300).collect());
        if self.last.len() > 3 {
            self.last.pop_front();
        }
    }

    /// The next stanza. What no client could read is passed over.
    pub(crate) async fn next(&mut self) -> Element {
        match timeout(PATIENCE, self.read()).await {
            Ok(Some(stanza)) => stanza,
            Ok(None) => panic!("the server closed the stream after {:#?}", self.last),
            Err(_) => panic!("nothing comes after {:#?}", self.last),
        }
    }

    async fn read(&mut self) -> Option<Element> {
        loop {
            while let Some(element) = self.cutter.pop() {
                if let Some(stanza) = reading::read(&element) {
                    return Some(stanza);
                }
                self.remember(&format!("(and heard) {}", String::from_utf8_lossy(&element)));
            }
            let bytes = self.io.fill_buf().await.ok()?;
            if bytes.is_empty() {
                return None;
            }
            self.cutter.feed(bytes);
            let length = bytes.len();
            self.io.consume(length);
        }
    }

    /// Waits for a stanza.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Element) -> bool) {
        while !wanted(&self.next().await) {}
    }

    /// What comes until the answer to the request `id`, which is the last one.
    pub(crate) async fn until_answer(&mut self, id: &str) -> Vec<Element> {
        let mut stanzas = Vec::new();
        loop {
            let stanza = self.next().await;
            let done = stanza.name() == "iq" && stanza.attr("id") == Some(id);
            stanzas.push(stanza);
            if done {
                return stanzas;
            }
        }
    }
}

async fn connect_tls(address: SocketAddr, ca_file: &Path, domain: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from(domain.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap()
}
