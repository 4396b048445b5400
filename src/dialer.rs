//! Dialer of the accounts, made from what Tor demands of outgoing connections.

use std::io;

use tor_pt::dial::BadSource;
use tor_pt::proxy::ProxyError;

use crate::xmpp::{AccountError, Dialer, Dialling, ProxyFault, Socket};

/// Lets accounts reach their servers as Tor says. A proxy is given names, so that none is looked up around it.
pub(crate) fn core_dialer(dialer: tor_pt::Dialer) -> Dialer {
    if dialer.has_proxy() {
        Dialer::through(move |host, port| connect(&dialer, host, port))
    } else {
        let sources = dialer.clone();
        Dialer::to_addresses(move |address| connect(&dialer, &address.ip().to_string(), address.port()))
            .asking_from(move |server| sources.source_for(server))
    }
}

fn connect(dialer: &tor_pt::Dialer, host: &str, port: u16) -> Dialling {
    let (dialer, host) = (dialer.clone(), host.to_owned());
    Box::pin(async move {
        let connected = dialer.connect(&host, port).await;
        connected.and_then(Socket::tcp).map_err(|error| dial_error(&error, port))
    })
}

/// Keeps apart what the proxy, this machine and the chat server, at this port, did.
fn dial_error(error: &io::Error, port: u16) -> AccountError {
    let inner = error.get_ref();
    if let Some(fault) = inner.and_then(|inner| inner.downcast_ref::<ProxyError>()) {
        return AccountError::Proxy(proxy_fault(fault, port));
    }
    if inner.is_some_and(|inner| inner.is::<BadSource>()) {
        return AccountError::BadSource;
    }
    AccountError::dial(error)
}

fn proxy_fault(fault: &ProxyError, port: u16) -> ProxyFault {
    match fault {
        ProxyError::Unreachable(error) => ProxyFault::Unreachable(error.kind()),
        ProxyError::Io(_) => ProxyFault::HungUp,
        ProxyError::BadHost => ProxyFault::BadHost,
        ProxyError::Auth => ProxyFault::Credentials,
        ProxyError::NotReached(code) => ProxyFault::NotReached(*code),
        ProxyError::Refused(code) => ProxyFault::Refused { code: *code, port },
        // Whatever else it answers is not of its protocol.
        _ => ProxyFault::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_a_proxy_are_told_from_those_of_this_machine_and_of_the_server() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        for (fault, expected) in [
            (ProxyError::Unreachable(refused()), ProxyFault::Unreachable(io::ErrorKind::ConnectionRefused)),
            (ProxyError::Io(refused()), ProxyFault::HungUp),
            (ProxyError::Protocol, ProxyFault::Protocol),
            (ProxyError::Auth, ProxyFault::Credentials),
            (ProxyError::BadHost, ProxyFault::BadHost),
            (ProxyError::NotReached(503), ProxyFault::NotReached(503)),
            (ProxyError::Refused(2), ProxyFault::Refused { code: 2, port: 443 }),
        ] {
            assert_eq!(dial_error(&io::Error::other(fault), 443), AccountError::Proxy(expected));
        }
        assert_eq!(dial_error(&refused(), 443), AccountError::Refused);
    }
}
