//! TLS to a chat server: whom to trust, and what went wrong.

mod client_certificate;
mod named;
mod pinned;
mod server_end_point;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, ConfigBuilder, Error as TlsError,
    ProtocolVersion, WantsVerifier,
};

use super::channel_binding::ChannelBindings;
use super::error::{AccountError, Step, demands_certificate};
use crate::config::CertificatePin;
use client_certificate::{NoCertificate, noting};
use named::{Authorities, NamedOrSigned};
use pinned::PinnedKey;

/// Bytes that are read in one go from TLS: the most that one of its records holds, 16 KiB.
pub(super) const READ_BUFFER: usize = 16 * 1024;

/// The protocol name of XMPP for ALPN (XEP-0368 section 3).
const ALPN: &[u8] = b"xmpp-client";

/// The protocol name of HTTP/1.1 for ALPN (RFC 7301 section 6).
const HTTP: &[u8] = b"http/1.1";

/// Which certificates an account takes for those of its server.
#[derive(Clone, Copy)]
pub(super) struct Trust<'a> {
    /// The name that they must have, in its ASCII form: the account's domain.
    pub(super) domain: &'a str,
    /// A PEM file of authorities to trust beside the well-known ones.
    pub(super) ca_file: Option<&'a Path>,
    /// The only key that is trusted, whatever stands in its certificate.
    pub(super) pin: Option<CertificatePin>,
}

/// The TLS side of one account.
#[derive(Clone)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// For servers that `trust` accepts, whatever host is dialled.
    pub(super) fn new(trust: &Trust<'_>) -> Result<Self, AccountError> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match trust.pin {
            None => Arc::new(NamedOrSigned::new(authorities(trust.ca_file)?, &provider)?),
            Some(pin) => Arc::new(PinnedKey::new(pin, &provider)),
        };
        let builder = builder(&provider)?.dangerous().with_custom_certificate_verifier(verifier);
        Self::with(trust.domain, builder.with_client_cert_resolver(Arc::new(NoCertificate)))
    }

    /// For what speaks HTTP, each [by its name](Self::named), trusting the authorities in these files beside the well-known ones.
    pub(super) fn of_web(ca_files: &[PathBuf]) -> Result<Self, AccountError> {
        let provider = Arc::new(ring::default_provider());
        let trusted = authorities(ca_files.iter().map(PathBuf::as_path))?;
        let verifier = Arc::new(NamedOrSigned::new(trusted, &provider)?.for_hosts());
        let builder = builder(&provider)?.dangerous().with_custom_certificate_verifier(verifier);
        let config = builder.with_client_cert_resolver(Arc::new(NoCertificate));
        Ok(Self::with("web.invalid", config)?.for_http())
    }

    fn with(domain: &str, config: ClientConfig) -> Result<Self, AccountError> {
        let name = ServerName::try_from(domain.to_owned())
            .map_err(|_| AccountError::BadAddress("its domain is not a host name"))?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// The same, asking for XMPP from the first byte.
    pub(super) fn direct(&self) -> Self {
        self.asking_for(ALPN)
    }

    /// The same for what speaks HTTP.
    pub(super) fn for_http(&self) -> Self {
        self.asking_for(HTTP)
    }

    fn asking_for(&self, protocol: &[u8]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = vec![protocol.to_vec()];
        Self { config: Arc::new(config), name: self.name.clone() }
    }

    /// The same for a certificate of another host: a name, or an address.
    pub(super) fn named(&self, host: &str) -> Result<Self, AccountError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| AccountError::BadAddress("its server is no host name"))?;
        Ok(Self { config: Arc::clone(&self.config), name })
    }

    /// Shakes hands over `io`.
    pub(super) async fn connect<S>(&self, io: S) -> Result<TlsStream<S>, AccountError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let (connected, was_asked) = noting(connector.connect(self.name.clone(), io)).await;
        connected.map_err(|error| classify(&error, was_asked))
    }
}

/// What names a connection after its handshake.
pub(super) fn channel_bindings<S>(stream: &TlsStream<S>) -> ChannelBindings {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates().and_then(<[_]>::first);
    ChannelBindings {
        exporter: exporter(connection),
        server_end_point: certificate.and_then(|certificate| server_end_point::hash(certificate)),
    }
}

/// RFC 9266 section 2. With TLS 1.2 that names a connection only under conditions (section 4.2) of which the library does not say whether
/// they are met.
fn exporter(connection: &ClientConnection) -> Option<Vec<u8>> {
    if connection.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let keying_material = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", None);
    keying_material.ok().map(Vec::from)
}

fn builder(
    provider: &Arc<CryptoProvider>,
) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, AccountError> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider));
    builder.with_safe_default_protocol_versions().map_err(|_| AccountError::Tls)
}

fn authorities<'a>(ca_files: impl IntoIterator<Item = &'a Path>) -> Result<Authorities, AccountError> {
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let mut authorities = Authorities { roots, named: Vec::new() };
    for path in ca_files {
        let pem = std::fs::read(path).map_err(|_| AccountError::CaFile("it cannot be read"))?;
        authorities.add_pem(&pem)?;
    }
    Ok(authorities)
}

impl Authorities {
    fn add_pem(&mut self, pem: &[u8]) -> Result<(), AccountError> {
        let before = self.named.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| AccountError::CaFile("it is not PEM"))?;
            let added = self.roots.add(certificate.clone());
            added.map_err(|_| AccountError::CaFile("a certificate in it is malformed"))?;
            self.named.push(certificate);
        }
        if self.named.len() == before {
            return Err(AccountError::CaFile("there is no certificate in it"));
        }
        Ok(())
    }
}

/// What a failed handshake means. `was_asked` says whether the server had asked for a certificate of ours by then.
fn classify(error: &io::Error, was_asked: bool) -> AccountError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        Some(TlsError::InvalidCertificate(fault)) => certificate(fault),
        // All that is left for the server to judge is that we have none. Before TLS 1.3 there is no alert for that, and some servers just hang up.
        Some(TlsError::AlertReceived(_)) if was_asked => AccountError::ClientCertificate,
        None if was_asked && AccountError::io(Step::Tls, error).is_cut() => AccountError::ClientCertificate,
        Some(TlsError::AlertReceived(AlertDescription::UnrecognisedName)) => {
            AccountError::CertificateWrongName
        }
        Some(_) if demands_certificate(error) => AccountError::ClientCertificate,
        Some(_) => AccountError::Tls,
        None => AccountError::io(Step::Tls, error),
    }
}

fn certificate(fault: &CertificateError) -> AccountError {
    match fault {
        CertificateError::UnknownIssuer => AccountError::CertificateUntrusted,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            AccountError::CertificateWrongName
        }
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => AccountError::CertificateExpired,
        CertificateError::ApplicationVerificationFailure => AccountError::CertificateNotPinned,
        _ => AccountError::CertificateUntrusted,
    }
}

#[cfg(test)]
mod tests;
