//! WebSocket that is found by itself, where no other port gets through.

use std::sync::{Arc, Mutex};

use hexchat_lab::ca::certificate_for;
use hexchat_lab::dns::Record;
use hexchat_lab::{ChatServer, DnsServer, TcpCutter};
use hexchat_pt::config::{Credential, Login, ServerConfig};
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountPool, Dialer, ProxyFault, Socket, StreamManagement,
};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::START_TLS;
use crate::faults::tls;
use crate::refusals::known_by;
use crate::subject::{SOON, Subject, chat_server, login};
use crate::web_server::WebServer;

/// A domain whose web server names the WebSocket of its chat server, and on whose address no other port is open.
struct Domain {
    server: ChatServer,
    /// In front of the WebSocket.
    cutter: TcpCutter,
    web: WebServer,
    folder: TempDir,
}

impl Domain {
    fn start() -> Self {
        let (server, folder) = (chat_server(), tempfile::tempdir().unwrap());
        let certificate = certificate_for(&["chat.example"], folder.path()).unwrap();
        let cutter = TcpCutter::start(server.web_address()).unwrap();
        let url = format!("wss://{}{}", cutter.address(), server.web_socket_path());
        let web = WebServer::start(&certificate, &url);
        let both = [server.ca_file(), &certificate.ca].map(|path| std::fs::read_to_string(path).unwrap());
        std::fs::write(folder.path().join("both.pem"), both.concat()).unwrap();
        Self { server, cutter, web, folder }
    }

    /// A login there that says neither `server` nor `tls`.
    fn login(&self) -> String {
        let ca_file = self.folder.path().join("both.pem");
        login(&self.server, "bob")
            .replace(&self.server.ca_file().display().to_string(), &ca_file.display().to_string())
    }

    fn dns(&self, more: &[(&str, Record)]) -> DnsServer {
        let here = [("chat.example", Record::A(self.web.address))];
        DnsServer::start(&[&here, more].concat()).unwrap()
    }
}

#[test]
fn where_port_443_alone_is_open_a_login_comes_in_over_the_websocket_that_the_domain_names() {
    let domain = Domain::start();
    let dns = domain.dns(&[]);
    let subject = Subject::start(&dns, &domain.login());
    subject.is_online();
    assert_eq!((domain.web.requests(), domain.cutter.accepted()), (1, 1));
    assert_eq!(subject.count("cannot log in"), 0, "it took more than one attempt");
}

#[test]
fn the_websocket_that_was_found_is_dialled_first_after_a_cut() {
    let domain = Domain::start();
    let dns = domain.dns(&[]);
    let subject = Subject::start(&dns, &domain.login());
    subject.is_online();
    let asked = dns.asked();
    domain.cutter.cut();
    subject.says("lost its connection");
    subject.says_again("is online as", 2);
    assert_eq!((dns.asked(), domain.web.requests(), domain.cutter.accepted()), (asked, 1, 2));
}

#[test]
fn after_a_restart_the_websocket_is_asked_for_at_once_and_the_state_file_names_nobody() {
    let domain = Domain::start();
    let dns = domain.dns(&[]);
    let subject = Subject::start(&dns, &domain.login());
    subject.is_online();
    let state = std::fs::read_to_string(subject.state().join("hexchat_state.json")).unwrap();
    assert!(state.contains("websocket") && !state.contains("chat.example"), "{state}");
    let subject = subject.restart();
    subject.is_online();
    assert_eq!((domain.web.requests(), domain.cutter.accepted()), (2, 2));
}

/// Records that name a server for STARTTLS at this port of this machine.
fn naming(port: u16) -> [(&'static str, Record); 2] {
    [(START_TLS, Record::srv(0, port, "host7.hosting.example")), ("host7.hosting.example", super::HERE)]
}

#[test]
fn after_a_restart_a_server_that_was_out_of_reach_is_tried_again_before_the_websocket() {
    let domain = Domain::start();
    let swallowed = TcpCutter::start(domain.server.address()).unwrap();
    swallowed.stall(true);
    let dns = domain.dns(&naming(swallowed.address().port()));
    let subject = Subject::start(&dns, &domain.login());
    subject.is_online();
    assert_eq!((swallowed.accepted(), domain.cutter.accepted()), (1, 1));
    swallowed.stall(false);
    let subject = subject.restart();
    subject.is_online();
    assert_eq!((swallowed.accepted(), domain.cutter.accepted()), (2, 1));
}

#[test]
fn a_line_that_swallows_what_is_no_web_page_is_got_around() {
    let domain = Domain::start();
    let swallowed = TcpCutter::start(domain.server.address()).unwrap();
    swallowed.stall(true);
    let dns = domain.dns(&naming(swallowed.address().port()));
    Subject::start(&dns, &domain.login()).is_online();
    assert_eq!((swallowed.accepted(), domain.web.requests()), (1, 1));
}

#[test]
fn a_domain_whose_server_answers_is_asked_for_no_websocket() {
    let domain = Domain::start();
    let dns = domain.dns(&naming(domain.server.address().port()));
    Subject::start(&dns, &domain.login()).is_online();
    assert_eq!(domain.web.requests(), 0);
}

#[test]
fn when_nothing_works_one_sentence_says_what_was_tried() {
    let domain = Domain::start();
    let dns = domain.dns(&[]);
    drop(domain.cutter);
    let ca_file = domain.folder.path().join("both.pem");
    let text = format!(
        "[[account]]\njid = \"bob@chat.example\"\npassword = \"x\"\nca_file = \"{}\"\n",
        ca_file.display()
    );
    Subject::start(&dns, &text).says(
        "is not online: dialling the chat server: connection refused; check that the chat server runs, and `server` with its port (where \
         neither that nor the domain's SRV records name one, it is 5222, or 5223 for `tls = \"direct\"`); trying again",
    );
    let nowhere = DnsServer::start(&[("chat.example", super::HERE)]).unwrap();
    Subject::start(&nowhere, &text).says(
        "is not online: dialling the chat server: connection refused; check that the chat server runs, and `server` with its port (where \
         neither that nor the domain's SRV records name one, it is 5222, or 5223 for `tls = \"direct\"`); trying again",
    );
}

#[test]
fn a_web_server_with_a_bad_certificate_is_not_taken_for_the_chat_server() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate_for(&["parked.example"], folder.path()).unwrap();
    let web = WebServer::start(&certificate, "wss://chat.example/ws");
    let dns = DnsServer::start(&[("chat.example", Record::A(web.address))]).unwrap();
    let ca_file = format!("ca_file = \"{}\"\n", certificate.ca.display());
    let account = "[[account]]\njid = \"bob@chat.example\"\npassword = \"x\"\n";
    for (more, fault) in [
        ("", "has a certificate from an unknown authority"),
        (ca_file.as_str(), "has no certificate for its own name"),
    ] {
        let line = Subject::start(&dns, &format!("{account}{more}")).says("is not online");
        let asked = "asking the domain of the account for its WebSocket: the web server that was asked";
        let expected = format!(
            "dialling the chat server: connection refused (over a WebSocket: {asked} {fault}); check"
        );
        assert!(line.contains(&expected), "{line}");
        let by_web_socket = format!("{account}{more}tls = \"websocket\"\n");
        let line = Subject::start(&dns, &by_web_socket).says("is not online");
        assert!(line.contains(&format!("is not online: {asked} {fault}; ")), "{line}");
        assert!(line.contains("put the URL of the WebSocket into `server`"), "{line}");
    }
}

#[test]
fn a_web_server_that_demands_a_certificate_of_ours_is_not_taken_for_the_chat_server() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate_for(&["chat.example"], folder.path()).unwrap();
    let config = tls(&certificate, Some(known_by(&certificate)));
    let web = WebServer::start_with(config, "wss://chat.example/ws");
    let dns = DnsServer::start(&[("chat.example", Record::A(web.address))]).unwrap();
    let account = format!(
        "[[account]]\njid = \"bob@chat.example\"\npassword = \"x\"\ntls = \"websocket\"\nca_file = \"{}\"\n",
        certificate.ca.display()
    );
    Subject::start(&dns, &account).says(
        "is not online: asking the domain of the account for its WebSocket: the web server that was asked demands a certificate of ours, and \
         there is none; put the URL of the WebSocket into `server`",
    );
}

/// What a web server answers to whatever is asked, what is said of it, and whether that is said beside the fault of a chat server, too.
const ANSWERS: [(&str, &str, bool); 8] = [
    ("404 x", "it has no host-meta that names one; put its URL into `server`", false),
    (
        "403 x",
        "the web server that was asked answers with status 403; it lets nobody read the host-meta",
        false,
    ),
    (
        "302 x\r\nLocation: http://chat.example/",
        "the web server that was asked answers with status 302; it sends us to",
        false,
    ),
    (
        "200 x",
        "the web server that was asked answers with something that is no host-meta; put the URL",
        false,
    ),
    (
        "200 x\r\nContent-Length: 99999",
        "the web server that was asked says more than any host-meta does; put the URL",
        false,
    ),
    ("", "what was asked there does not answer in HTTP; put the URL", false),
    ("502 x", "the web server that was asked answers with status 502; it may be down", true),
    ("429 x", "the web server that was asked answers with status 429; let it rest", true),
];

#[test]
fn what_a_web_server_has_in_the_place_of_a_host_meta_is_said_where_it_matters() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate_for(&["chat.example"], folder.path()).unwrap();
    let account = format!(
        "[[account]]\njid = \"bob@chat.example\"\npassword = \"x\"\nca_file = \"{}\"\n",
        certificate.ca.display()
    );
    let asked = "asking the domain of the account for its WebSocket";
    let says = &|(status, fault, is_beside): (&str, &str, bool)| {
        let said = if status.is_empty() {
            "SSH-2.0-x\r\n".to_owned()
        } else {
            format!("HTTP/1.1 {status}\r\n\r\n<html>")
        };
        let web = WebServer::answering(tls(&certificate, None), said);
        let dns = DnsServer::start(&[("chat.example", Record::A(web.address))]).unwrap();
        let line = Subject::start(&dns, &format!("{account}tls = \"websocket\"\n")).says("is not online");
        assert!(line.contains(&format!("is not online: {asked}: {fault}")), "{line}\n{fault}");
        let line = Subject::start(&dns, &account).says("is not online");
        assert!(line.contains("is not online: dialling the chat server: connection refused"), "{line}");
        assert_eq!(line.contains(&format!("(over a WebSocket: {asked}: ")), is_beside, "{line}");
    };
    std::thread::scope(|scope| {
        for answer in ANSWERS {
            scope.spawn(move || says(answer));
        }
    });
}

#[test]
fn tls_of_the_users_own_choice_is_not_replaced() {
    let domain = Domain::start();
    let dns = domain.dns(&[]);
    let login = domain.login() + "tls = \"starttls\"\n";
    let line = Subject::start(&dns, &login).says("connection refused");
    assert!(!line.contains("WebSocket") && domain.web.requests() == 0, "{line}");
}

/// What it was asked for, in order.
type Asked = Arc<Mutex<Vec<(String, u16)>>>;

/// A proxy that connects to port 443 of the domain and to its WebSocket, and to nothing else.
fn narrow_proxy(domain: &Domain, asked: &Asked) -> Dialer {
    let (web, web_socket) = (domain.web.socket(), domain.cutter.address());
    let asked = Arc::clone(asked);
    Dialer::through(move |host, port| {
        asked.lock().unwrap().push((host.to_owned(), port));
        let route = match (host, port) {
            ("chat.example", 443) => Some(web),
            ("127.0.0.1", port) if port == web_socket.port() => Some(web_socket),
            _ => None,
        };
        Box::pin(async move {
            let address = route.ok_or(AccountError::Proxy(ProxyFault::Refused { code: 403, port }))?;
            let connected = TcpStream::connect(address).await.and_then(Socket::tcp);
            connected.map_err(|error| AccountError::dial(&error))
        })
    })
}

#[tokio::test]
async fn a_proxy_that_passes_web_pages_alone_leads_to_the_websocket() {
    let (domain, asked) = (Domain::start(), Asked::default());
    let (pool, mut events) = AccountPool::new(narrow_proxy(&domain, &asked));
    let config = Login {
        jid: "bob@chat.example".parse().unwrap(),
        credential: Credential::Password(ChatServer::password("bob").into()),
    }
    .at(ServerConfig { ca_file: Some(domain.folder.path().join("both.pem")), ..ServerConfig::default() });
    pool.open(config, StreamManagement::Unwanted);
    let event = timeout(SOON, events.recv()).await.unwrap().unwrap().1;
    assert!(matches!(event, AccountEvent::Online { .. }), "{event:?}");
    let names = ["chat.example", "chat.example", "127.0.0.1"].map(str::to_owned);
    let ports = [5222, 443, domain.cutter.address().port()];
    let expected: Vec<_> = names.into_iter().zip(ports).collect();
    assert!(asked.lock().unwrap().ends_with(&expected), "{asked:?}");
}
