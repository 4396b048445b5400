//! Finding through a proxy, which is given names and asks nobody by itself.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hexchat_lab::dns::Record;
use hexchat_lab::{ChatServer, DnsServer};
use hexchat_pt::config::{AccountConfig, Credential, Login, Server, ServerAddr, ServerConfig, TlsMode, Url};
use hexchat_pt::xmpp::{
    AccountError, AccountEvent, AccountPool, Dialer, ProxyFault, Socket, StreamManagement,
};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{DIRECT, HERE};
use crate::subject::{SOON, chat_server};

/// A proxy that knows where the two resolvers and the chat server's machine are, and notes what it is asked for.
#[derive(Clone, Default)]
struct Proxy {
    routes: Vec<(&'static str, SocketAddr)>,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
}

impl Proxy {
    fn dialer(&self) -> Dialer {
        let proxy = self.clone();
        Dialer::through(move |host, port| {
            proxy.asked.lock().unwrap().push((host.to_owned(), port));
            let route = proxy.routes.iter().find(|(name, _)| *name == host).map(|(_, address)| *address);
            Box::pin(async move {
                let refused = ProxyFault::Refused { code: 403, port };
                let address = route.ok_or(AccountError::Proxy(refused))?;
                let connected = TcpStream::connect(address).await.and_then(Socket::tcp);
                connected.map_err(|error| AccountError::dial(&error))
            })
        })
    }

    fn asked(&self) -> Vec<(String, u16)> {
        self.asked.lock().unwrap().clone()
    }
}

/// An account wherever its domain says.
fn account(jid: &str) -> AccountConfig {
    Login { jid: jid.parse().unwrap(), credential: Credential::Password(ChatServer::password("bob").into()) }
        .at(ServerConfig::default())
}

async fn first_event(proxy: &Proxy, server: &ChatServer) -> AccountEvent {
    let ca_file = Some(server.ca_file().to_owned());
    first_event_of(AccountConfig { ca_file, ..account("bob@chat.example") }, proxy).await
}

async fn first_event_of(config: AccountConfig, proxy: &Proxy) -> AccountEvent {
    let (pool, mut events) = AccountPool::new(proxy.dialer());
    pool.open(config, StreamManagement::Unwanted);
    timeout(SOON, events.recv()).await.unwrap().unwrap().1
}

#[tokio::test]
async fn a_proxy_that_lets_resolvers_be_asked_leads_to_the_server_that_they_name() {
    let server = chat_server();
    let port = server.tls_address().port();
    let records = [(DIRECT, Record::srv(0, port, "host7.hosting.example")), ("host7.hosting.example", HERE)];
    let dns = DnsServer::start(&records).unwrap();
    let routes =
        vec![("1.1.1.1", dns.listen_for_tcp().unwrap()), ("host7.hosting.example", server.tls_address())];
    let proxy = Proxy { routes, ..Proxy::default() };
    let event = first_event(&proxy, &server).await;
    assert!(matches!(event, AccountEvent::Online { .. }), "{event:?}");
    let asked = [("9.9.9.9", 53), ("1.1.1.1", 53), ("host7.hosting.example", port)];
    assert_eq!(proxy.asked(), asked.map(|(host, port)| (host.to_owned(), port)));
}

#[tokio::test]
async fn a_proxy_that_does_not_is_given_the_name_of_the_domain() {
    let server = chat_server();
    let proxy = Proxy { routes: vec![("chat.example", server.address())], ..Proxy::default() };
    let event = first_event(&proxy, &server).await;
    assert!(matches!(event, AccountEvent::Online { .. }), "{event:?}");
    assert_eq!(proxy.asked().last(), Some(&("chat.example".to_owned(), 5222)));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_said_and_nothing_goes_around_it() {
    let server = chat_server();
    let event = first_event(&Proxy::default(), &server).await;
    assert!(is_refused(&event), "{event:?}");
}

/// Whether the proxy refused to connect to the server, and to the domain's web server, which is one cause.
fn is_refused(event: &AccountEvent) -> bool {
    matches!(event, AccountEvent::Unreachable(AccountError::Proxy(ProxyFault::Refused { code: 403, .. })))
}

#[tokio::test]
async fn no_resolver_is_asked_for_what_public_dns_does_not_have() {
    for domain in ["hidden.onion", "hidden.i2p", "printer.local", "chat.internal", "chat.home.arpa", "chat"] {
        let proxy = Proxy::default();
        let event = first_event_of(account(&format!("bob@{domain}")), &proxy).await;
        assert!(is_refused(&event), "{event:?}");
        assert_eq!(proxy.asked(), [5222, 443].map(|port| (domain.to_owned(), port)));
    }
}

#[tokio::test]
async fn nothing_goes_through_a_proxy_without_tls() {
    let address = ServerAddr { host: "127.0.0.1".into(), port: 5222 };
    let web_socket = Url::web_socket("ws://127.0.0.1:5280/ws").map(Server::WebSocket);
    for server in [Some(address.into()), web_socket] {
        let proxy = Proxy::default();
        let config = AccountConfig { server, tls: Some(TlsMode::None), ..account("bob@chat.example") };
        let event = first_event_of(config, &proxy).await;
        assert!(matches!(event, AccountEvent::Failed(AccountError::PlaintextRefused)), "{event:?}");
        assert_eq!(proxy.asked(), []);
    }
}
