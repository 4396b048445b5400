//! Somebody in between: ends the TLS of clients with a certificate for the server's domain that they should not have, and passes on
//! what is said, changed where they like, over TLS of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hexchat_lab::ChatServer;
use hexchat_lab::ca::{Certificate, certificate_for};
use hexchat_lab::server::DOMAIN;
use tempfile::TempDir;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy, copy_bidirectional, split,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What is done to a server's offer.
type Change = fn(&str) -> String;

/// See the [module](self). Ends with the test.
pub(crate) struct InBetween {
    pub(crate) address: SocketAddr,
    /// Whom clients trust: whoever signed the server's certificate, and whoever signed the other one.
    pub(crate) ca_file: PathBuf,
    is_awake: watch::Sender<bool>,
    _folder: TempDir,
}

impl InBetween {
    /// In front of the server's port for direct TLS.
    pub(crate) async fn start(server: &ChatServer, change: Change) -> Self {
        let in_between = Self::asleep(server, change).await;
        in_between.wake();
        in_between
    }

    /// The same, only passing on bytes until it wakes.
    pub(crate) async fn asleep(server: &ChatServer, change: Change) -> Self {
        let folder = TempDir::new().unwrap();
        let certificate = certificate_for(&[DOMAIN], folder.path()).unwrap();
        let ca_file = folder.path().join("both.pem");
        let pem = |path: &Path| std::fs::read_to_string(path).unwrap();
        std::fs::write(&ca_file, pem(&certificate.ca) + &pem(server.ca_file())).unwrap();
        let relay = Relay {
            target: server.tls_address(),
            acceptor: TlsAcceptor::from(Arc::new(accepting(&certificate))),
            connector: connector(server.ca_file()),
            change,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_awake, wakes) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay.clone().carry(client, wakes.clone()));
            }
        });
        Self { address, ca_file, is_awake, _folder: folder }
    }

    /// From now on it listens in; what it has passed on until now is cut.
    pub(crate) fn wake(&self) {
        self.is_awake.send_replace(true);
    }
}

#[derive(Clone)]
struct Relay {
    target: SocketAddr,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    change: Change,
}

impl Relay {
    async fn carry(self, mut client: TcpStream, mut wakes: watch::Receiver<bool>) {
        let mut server = TcpStream::connect(self.target).await.unwrap();
        if *wakes.borrow() {
            return self.listen_in(client, server).await;
        }
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => {}
            _ = wakes.changed() => {}
        }
    }

    async fn listen_in(self, client: TcpStream, server: TcpStream) {
        let Ok(client) = self.acceptor.accept(client).await else { return };
        let server = self.connector.connect(name(), server).await.unwrap();
        let (mut from_client, to_client) = split(client);
        let (from_server, mut to_server) = split(server);
        tokio::select! {
            _ = copy(&mut from_client, &mut to_server) => {}
            _ = copy_changed(from_server, to_client, self.change) => {}
        }
    }
}

/// Copies; the server's first words, up to the end of its offer, are changed.
async fn copy_changed(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    change: Change,
) -> std::io::Result<()> {
    let mut first = Vec::new();
    while !String::from_utf8_lossy(&first).contains("</stream:features>") {
        if from.read_buf(&mut first).await? == 0 {
            return Ok(());
        }
    }
    to.write_all(change(str::from_utf8(&first).unwrap()).as_bytes()).await?;
    to.flush().await?;
    copy(&mut from, &mut to).await.map(|_| ())
}

fn accepting(certificate: &Certificate) -> ServerConfig {
    let chain = vec![CertificateDer::from_pem_file(&certificate.certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    builder.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

/// Connects to a server whose certificate this authority has signed.
pub(crate) fn connector(ca_file: &Path) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

pub(crate) fn name() -> ServerName<'static> {
    ServerName::try_from(DOMAIN).unwrap()
}
