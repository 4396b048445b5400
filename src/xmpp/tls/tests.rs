#![allow(clippy::unwrap_used, reason = "tests")]

use hexchat_lab::ca::{Certificate, certificate_for};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{HandshakeKind, ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::*;

fn tls_fault(fault: CertificateError) -> AccountError {
    classify(&io::Error::new(io::ErrorKind::InvalidData, TlsError::InvalidCertificate(fault)), false)
}

#[test]
fn certificate_faults_are_told_apart() {
    assert_eq!(tls_fault(CertificateError::UnknownIssuer), AccountError::CertificateUntrusted);
    assert_eq!(tls_fault(CertificateError::NotValidForName), AccountError::CertificateWrongName);
    assert_eq!(tls_fault(CertificateError::Expired), AccountError::CertificateExpired);
    let alert =
        |alert| classify(&io::Error::new(io::ErrorKind::InvalidData, TlsError::AlertReceived(alert)), false);
    assert_eq!(alert(AlertDescription::BadCertificate), AccountError::ClientCertificate);
    assert_eq!(alert(AlertDescription::HandshakeFailure), AccountError::Tls);
    assert_eq!(
        classify(&io::ErrorKind::UnexpectedEof.into(), false),
        AccountError::Closed(Step::Tls),
        "no TLS fault at all"
    );
}

#[test]
fn a_ca_file_must_hold_a_certificate() {
    let ca_file = Some(Path::new("/nonexistent/ca.pem"));
    let missing = Tls::new(&Trust { domain: "chat.example", ca_file, pin: None });
    assert_eq!(missing.err(), Some(AccountError::CaFile("it cannot be read")));
    let mut authorities = Authorities { roots: RootCertStore::empty(), named: Vec::new() };
    assert_eq!(authorities.add_pem(b""), Err(AccountError::CaFile("there is no certificate in it")));
}

/// What the network holds before somebody has to read: more than a handshake has.
const ROOM: usize = 1 << 16;

/// A server's certificate, and a client that trusts it.
fn made() -> (Certificate, Tls, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate_for(&["chat.example"], folder.path()).unwrap();
    let trust = Trust { domain: "chat.example", ca_file: Some(&certificate.ca), pin: None };
    let tls = Tls::new(&trust).unwrap();
    (certificate, tls, folder)
}

/// A server of this version, which asks clients for certificates or does not.
fn server(
    certificate: &Certificate,
    version: &'static SupportedProtocolVersion,
    asks: bool,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(&certificate.ca).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider));
    let clients = clients.allow_unauthenticated().build().unwrap();
    let clients = if asks { clients } else { WebPkiClientVerifier::no_client_auth() };
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
    let chain =
        CertificateDer::pem_file_iter(&certificate.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    Arc::new(builder.with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap())
}

/// Shakes hands as far as the client's second flight, says this, and hangs up.
async fn break_off(mut far: DuplexStream, config: Arc<ServerConfig>, last_words: &[u8]) {
    let mut connection = ServerConnection::new(config).unwrap();
    let mut heard = vec![0; ROOM];
    let length = far.read(&mut heard).await.unwrap();
    connection.read_tls(&mut &heard[..length]).unwrap();
    connection.process_new_packets().unwrap();
    let mut flight = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut flight).unwrap();
    }
    far.write_all(&flight).await.unwrap();
    assert_ne!(far.read(&mut heard).await.unwrap(), 0);
    far.write_all(last_words).await.unwrap();
}

/// An alert that ends the handshake, by its number (RFC 5246 section 7.2).
fn alert(number: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, number]
}

const HANDSHAKE_FAILURE: u8 = 40;
const CERTIFICATE_UNKNOWN: u8 = 46;

#[tokio::test]
async fn before_tls_1_3_a_server_that_has_asked_for_a_certificate_and_breaks_off_is_said_to_demand_it() {
    let (certificate, tls, _folder) = made();
    for (asks, last_words, expected) in [
        (true, &alert(HANDSHAKE_FAILURE)[..], AccountError::ClientCertificate),
        (true, &alert(CERTIFICATE_UNKNOWN), AccountError::ClientCertificate),
        (true, b"", AccountError::ClientCertificate),
        (false, &alert(HANDSHAKE_FAILURE), AccountError::Tls),
        (false, b"", AccountError::Closed(Step::Tls)),
    ] {
        let (near, far) = duplex(ROOM);
        let served = break_off(far, server(&certificate, &TLS12, asks), last_words);
        let (connected, ()) = tokio::join!(tls.connect(near), served);
        assert_eq!(connected.err(), Some(expected), "{asks} {last_words:?}");
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_and_needs_none_lets_us_in() {
    let (certificate, tls, _folder) = made();
    for version in [&TLS12, &TLS13] {
        let (near, far) = duplex(ROOM);
        let acceptor = TlsAcceptor::from(server(&certificate, version, true));
        let (connected, accepted) = tokio::join!(tls.connect(near), acceptor.accept(far));
        assert!(connected.is_ok() && accepted.is_ok(), "{version:?}");
    }
}

/// Shakes hands with a server that has this certificate.
async fn outcome(certificate: &Certificate, tls: &Tls) -> Option<AccountError> {
    let (near, far) = duplex(ROOM);
    let acceptor = TlsAcceptor::from(server(certificate, &TLS13, false));
    let (connected, _) = tokio::join!(tls.connect(near), acceptor.accept(far));
    connected.err()
}

#[tokio::test]
async fn a_certificate_that_is_named_is_trusted_as_itself_and_no_other_for_that() {
    let (certificate, _, _folder) = made();
    let (other, _, _other_folder) = made();
    let trust = Trust { domain: "another.example", ca_file: Some(&certificate.certificate), pin: None };
    let tls = Tls::new(&trust).unwrap();
    assert_eq!(outcome(&certificate, &tls).await, None);
    assert_eq!(outcome(&other, &tls).await, Some(AccountError::CertificateUntrusted));
}

#[tokio::test]
async fn of_a_host_that_a_server_names_a_named_certificate_must_be_that_hosts() {
    let (certificate, _, _folder) = made();
    let tls = Tls::of_web(std::slice::from_ref(&certificate.certificate)).unwrap();
    assert_eq!(outcome(&certificate, &tls.named("chat.example").unwrap()).await, None);
    let elsewhere = outcome(&certificate, &tls.named("another.example").unwrap()).await;
    assert_eq!(elsewhere, Some(AccountError::CertificateWrongName));
}

#[tokio::test]
async fn the_next_connection_resumes_the_session_of_the_last() {
    let (certificate, tls, _folder) = made();
    let acceptor = TlsAcceptor::from(server(&certificate, &TLS12, false));
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let (near, far) = duplex(ROOM);
        let (connected, _) = tokio::join!(tls.connect(near), acceptor.accept(far));
        assert_eq!(connected.unwrap().get_ref().1.handshake_kind(), Some(expected));
    }
}
