//! Dialer of the accounts, made from what Tor demands of outgoing connections.

use std::io;

use tor_pt::dial::{BadSource, Unresolved};
use tor_pt::proxy::ProxyError;

use crate::xmpp::{AccountError, Dialer, Dialling, Socket};

/// Lets accounts reach their servers as Tor says. A proxy is given names, so that none is looked up around it.
pub(super) fn core_dialer(dialer: tor_pt::Dialer) -> Dialer {
    if dialer.has_proxy() {
        Dialer::through(move |host, port| connect(&dialer, host, port))
    } else {
        let sources = dialer.clone();
        Dialer::to_addresses(move |address| connect(&dialer, &address.ip().to_string(), address.port()))
            .asking_from(move |server| sources.source_for(server))
    }
}

/// The proxy that `TOR_PT_PROXY` names to a command of a person's, as Tor writes it.
pub(super) fn proxy_of_person() -> anyhow::Result<Option<tor_pt::Proxy>> {
    Ok(tor_pt::env::proxy_from_env(|name| std::env::var_os(name))?)
}

fn connect(dialer: &tor_pt::Dialer, host: &str, port: u16) -> Dialling {
    let (dialer, host) = (dialer.clone(), host.to_owned());
    Box::pin(async move {
        let connected = dialer.connect(&host, port).await;
        connected.and_then(Socket::tcp).map_err(|error| dial_error(&error))
    })
}

/// Keeps apart what the proxy, the resolver and the chat server did.
fn dial_error(error: &io::Error) -> AccountError {
    let inner = error.get_ref();
    if let Some(fault) = inner.and_then(|inner| inner.downcast_ref::<ProxyError>()) {
        // It repeats nothing that the proxy said in words.
        return AccountError::Proxy(fault.to_string());
    }
    if inner.is_some_and(|inner| inner.is::<Unresolved>()) {
        return AccountError::NameNotFound;
    }
    if inner.is_some_and(|inner| inner.is::<BadSource>()) {
        return AccountError::BadSource;
    }
    AccountError::dial(error)
}
