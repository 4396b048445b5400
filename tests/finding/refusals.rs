//! Refusals before a login: by servers that do not begin TLS, or want a certificate of ours.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use hexchat_lab::ca::{Certificate, certificate_for};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;

use crate::faults::{fault, shake_hands, tls};
use crate::proxy_faults::proxy as server;

/// How a server begins its stream.
const STREAM: &str = "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
                      from='chat.example' version='1.0'>";

/// Begins a stream that goes on with these words, and is over when the client hangs up.
pub(crate) fn say(mut stream: TcpStream, words: &str) -> io::Result<()> {
    stream.write_all(format!("{STREAM}{words}</stream:stream>").as_bytes())?;
    io::copy(&mut stream, &mut io::sink()).map(|_| ())
}

/// Reads up to and including these words.
fn hear(stream: &mut TcpStream, words: &str) -> io::Result<()> {
    let mut said = Vec::new();
    while !said.ends_with(words.as_bytes()) {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        said.push(byte[0]);
    }
    Ok(())
}

/// Offers TLS, and answers who asks for it with this.
pub(crate) fn answer_start_tls(stream: &mut TcpStream, answer: &str) -> io::Result<()> {
    let features = "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>";
    stream.write_all(format!("{STREAM}{features}").as_bytes())?;
    hear(stream, "</starttls>")?;
    stream.write_all(format!("<{answer} xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>").as_bytes())
}

/// Lets in those alone who show a certificate of this one's authority.
pub(crate) fn known_by(certificate: &Certificate) -> Arc<dyn ClientCertVerifier> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate.ca).unwrap()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap()
}

pub(crate) fn at(address: SocketAddr) -> String {
    format!("server = \"{address}\"\n")
}

#[test]
fn a_server_that_offers_tls_and_does_not_begin_it_is_said_to_refuse() {
    let address = server(|mut stream| {
        answer_start_tls(&mut stream, "failure")?;
        io::copy(&mut stream, &mut io::sink()).map(|_| ())
    });
    let sentence = "asking the chat server for TLS: it refuses to begin; if it stays, ask whoever runs the server, give its port for TLS \
                    from the first byte as `server` and add `tls = \"direct\"`, or use an account at another server; trying again";
    fault(&[], &at(address), sentence);
}

#[test]
fn a_server_that_demands_a_certificate_of_ours_is_said_to() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = certificate_for(&["chat.example"], folder.path()).unwrap();
    let config = tls(&certificate, Some(known_by(&certificate)));
    let address = server(move |mut stream| {
        shake_hands(stream.try_clone()?, &config);
        io::copy(&mut stream, &mut io::sink()).map(|_| ())
    });
    let more = format!("{}tls = \"direct\"\nca_file = \"{}\"\n", at(address), certificate.ca.display());
    let sentence = "setting up TLS with the chat server: it demands a certificate of ours, and there is none; ask \
                    whoever runs the server for a port where a password is enough, and put it into `server`, or use an account at \
                    another server; trying again";
    fault(&[], &more, sentence);
}
