//! Named certificates: those in `ca_file`, each of which is an authority, and trusted where a server shows it as its own.
//!
//! A server with a certificate that it has signed itself has no authority: whoever names that certificate means it, whatever name and time
//! stand in it. By the rules of RFC 5280 it is for no server at all.

use std::sync::Arc;

use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::xmpp::error::AccountError;

/// What an account trusts beside the well-known authorities.
pub(super) struct Authorities {
    /// All of them.
    pub(super) roots: RootCertStore,
    /// Those that somebody has named.
    pub(super) named: Vec<CertificateDer<'static>>,
}

/// Accepts what the authorities have signed, and the named certificates themselves.
#[derive(Debug)]
pub(super) struct NamedOrSigned {
    by_authority: Arc<WebPkiServerVerifier>,
    /// Whether a named certificate has to be for the host as well.
    checks_host: bool,
    named: Vec<CertificateDer<'static>>,
}

impl NamedOrSigned {
    /// For the chat server of an account.
    pub(super) fn new(trusted: Authorities, provider: &Arc<CryptoProvider>) -> Result<Self, AccountError> {
        let Authorities { roots, named } = trusted;
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let by_authority = builder.build().map_err(|_| AccountError::Tls)?;
        Ok(Self { by_authority, checks_host: false, named })
    }

    /// For hosts that others name, such as chat servers.
    pub(super) fn for_hosts(self) -> Self {
        Self { checks_host: true, ..self }
    }
}

impl ServerCertVerifier for NamedOrSigned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // That the server has the private half of its key is verified as always, by the signature of the handshake.
        if self.named.contains(end_entity) {
            if self.checks_host {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        self.by_authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}
