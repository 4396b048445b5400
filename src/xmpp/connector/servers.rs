//! Servers of one account: found, dialled and made secure, in whichever way gets through.

use std::sync::Arc;

use tokio::time::timeout;

use super::Progress;
use crate::config::ServerAddr;
use crate::xmpp::dialer::Dialer;
use crate::xmpp::error::{AccountError, NamedBy, OtherHost, ProxyFault, Step, Unfollowed};
use crate::xmpp::finder::{AskForWebSocket, Finder};
use crate::xmpp::hints::Hints;
use crate::xmpp::login::Protected;
use crate::xmpp::security::{Kind, Security, plain};
use crate::xmpp::seen::{How, Observer, Protection, Seen};
use crate::xmpp::socket::Socket;
use crate::xmpp::srv::Endpoint;
use crate::xmpp::websocket::WebSocket;

/// Knows where an account's servers are, and how connections to them are protected.
pub(super) struct Servers {
    finder: Finder,
    security: Security,
    /// The last resort, where nobody has said what else to use.
    web_socket: Option<Arc<WebSocket>>,
    observer: Observer,
}

impl Servers {
    /// Those that `finder` finds.
    pub(super) fn new(finder: Finder, security: Security) -> Self {
        Self { finder, security, web_socket: None, observer: Observer::default() }
    }

    /// All those of the domain `host`, in ASCII, and its WebSocket if none is reached.
    /// What worked in an earlier run is in `hints`.
    pub(super) fn or_web_socket(host: String, security: Security, hints: Option<Arc<dyn Hints>>) -> Self {
        let web_socket = Arc::new(WebSocket::new(None, &host, security.tls()));
        let finder = Finder::new(host, None, None).or_by_web_socket(asking(Arc::clone(&web_socket)));
        let finder = finder.hinted(hints);
        Self { finder, security, web_socket: Some(web_socket), observer: Observer::default() }
    }

    /// The same, with somebody who looks on.
    pub(super) fn observed_by(self, observer: Observer) -> Self {
        Self { observer, ..self }
    }

    /// The first connection that is secure. Where TLS does not come off, another server of the domain or another kind of connection is
    /// tried: nobody has been told by then who wants to log in.
    pub(super) async fn connect(
        &self,
        dialer: &Dialer,
        progress: &mut Progress,
    ) -> Result<Protected, AccountError> {
        let mut search = self.finder.search(dialer)?;
        progress.sent_to = search.sent_to().cloned();
        progress.fault = None;
        loop {
            progress.step = Step::Dial;
            let next = search.next().await;
            if let Some(whereabouts) = search.whereabouts() {
                self.observer.tell(Seen::Found(whereabouts));
            }
            let (candidate, socket) = next?;
            let how = how(candidate.endpoint.kind);
            self.observer.tell(Seen::Connected { took: search.connected_in(), how });
            let securing = self.secure(&candidate.endpoint, socket, &mut progress.step);
            let secured = match search.patience() {
                None => securing.await,
                Some(patience) => match timeout(patience, securing).await {
                    Ok(secured) => secured,
                    Err(_) => Err(dialer.timed_out(progress.step)),
                },
            };
            match secured {
                Ok(protected) => {
                    search.remember(candidate);
                    self.observer.tell(Seen::Secured(protection(how, &protected)));
                    return Ok(protected);
                }
                Err(error) => search.fail(&candidate, error),
            }
            progress.fault = search.fault();
        }
    }

    /// Protects a connection to `endpoint` on which nothing was said. `step` follows what is being done.
    async fn secure(
        &self,
        endpoint: &Endpoint,
        socket: Socket,
        step: &mut Step,
    ) -> Result<Protected, AccountError> {
        match (endpoint.kind, &self.web_socket) {
            (Kind::Plain, _) => Ok(plain(socket)),
            (Kind::StartTls, _) => self.security.start_tls(socket, step).await,
            (Kind::Direct, _) => self.security.direct(socket, step).await,
            (Kind::WebSocket, Some(web_socket)) => {
                let address = ServerAddr { host: endpoint.host.clone(), port: endpoint.port };
                web_socket.open_found(socket, &address, step).await.map(Protected::unbound)
            }
            (Kind::WebSocket, None) => Err(AccountError::NoWebSocketNamed),
        }
    }

    /// As [`Connector::follow`](super::Connector::follow).
    pub(super) fn follow(&self, host: &OtherHost) -> Result<(), Unfollowed> {
        self.finder.follow(host)
    }

    /// A session has lasted.
    pub(super) fn handle_steady(&self) {
        self.finder.handle_steady();
    }

    /// There was a login.
    pub(super) fn handle_login(&self) {
        self.finder.handle_login();
    }

    /// There was none, and `step` is how far it came.
    pub(super) fn handle_failure(&self, step: Step) {
        self.finder.handle_failure(step);
    }
}

fn how(kind: Kind) -> How {
    match kind {
        Kind::Plain => How::Plain,
        Kind::StartTls => How::StartTls,
        Kind::Direct => How::Direct,
        Kind::WebSocket => How::WebSocket,
    }
}

fn protection(how: How, protected: &Protected) -> Protection {
    match how {
        How::Plain => Protection::None,
        How::WebSocket => Protection::WebServer,
        // Where a login can be bound to keys that TLS exports, it is of that version (`tls::channel_bindings`).
        How::StartTls | How::Direct if protected.bindings.exporter.is_some() => Protection::Tls13,
        How::StartTls | How::Direct => Protection::Tls12,
    }
}

fn asking(web_socket: Arc<WebSocket>) -> AskForWebSocket {
    Box::new(move |dialer| {
        let (web_socket, dialer) = (Arc::clone(&web_socket), dialer.clone());
        Box::pin(async move {
            if let Some(refusal) = web_socket.refusal() {
                return Err(refusal);
            }
            let url = web_socket.find(&dialer, &mut Step::HostMeta).await.map_err(|error| match error {
                // The domain's servers have other names, and there is no web server.
                AccountError::NoAddress(NamedBy::Account)
                | AccountError::Proxy(ProxyFault::NotReached(_)) => AccountError::NoWebSocketNamed,
                AccountError::WebServer(fault) if fault.may_mean_none() => AccountError::NoWebSocketNamed,
                error => error,
            })?;
            Ok(Endpoint { host: url.address.host, port: url.address.port, kind: Kind::WebSocket })
        })
    })
}
