//! Faults, one sentence each, within half a minute.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use hexchat_lab::DnsServer;
use hexchat_lab::ca::{Certificate, certificate_for, certificate_until};
use hexchat_lab::dns::Record;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{ServerConfig, ServerConnection};

use super::{DIRECT, HERE, START_TLS};
use crate::subject::{Subject, chat_server, login};

const ACCOUNT: &str = "[[account]]\njid = \"bob@chat.example\"\npassword = \"secret-of-bob\"\n";

pub(crate) fn fault(records: &[(&str, Record)], more: &str, words: &str) {
    let dns = DnsServer::start(records).unwrap();
    let line = Subject::start(&dns, &format!("{ACCOUNT}{more}")).says(words);
    assert!(!line.contains("chat.example") && !line.contains("bob"), "{line}");
}

#[test]
fn a_domain_that_does_not_exist_is_said() {
    fault(&[], "", "the domain of the account has no address; check the domain and the network");
    fault(&[], "server = \"nowhere.example:5222\"\n", "the name in `server` has no address; check `server`");
}

#[test]
fn a_record_that_leads_nowhere_is_said() {
    let records = [(START_TLS, Record::srv(0, 5222, "nowhere.example"))];
    fault(&records, "", "the machine that the domain's SRV records name has no address; ask whoever runs");
}

#[test]
fn a_record_without_a_port_is_said() {
    let records = [(START_TLS, Record::srv(0, 0, "host.example")), ("host.example", HERE)];
    fault(&records, "", "the SRV records of the domain name no port; ask whoever runs");
}

#[test]
fn a_domain_that_declines_both_services_is_said() {
    let records =
        [(DIRECT, Record::srv(0, 0, ".")), (START_TLS, Record::srv(0, 0, ".")), ("chat.example", HERE)];
    fault(&records, "", "the SRV records of the domain say that it has none");
}

#[test]
fn a_machine_that_refuses_is_said() {
    let records = [(START_TLS, Record::srv(0, 1, "host.example")), ("host.example", HERE)];
    fault(&records, "", "dialling the chat server: connection refused");
}

#[test]
fn a_resolver_without_a_server_is_said() {
    Subject::start_with("# none\n", ACCOUNT).says("this machine is configured with no DNS server");
}

#[test]
fn a_dns_server_that_does_not_answer_is_said() {
    // Nobody listens there, and nothing says so but the kernel.
    Subject::start_with("nameserver 127.0.0.254\n", ACCOUNT).says("no DNS server answers");
}

/// TLS with this certificate, for everybody, or for those alone whose own certificate passes.
pub(crate) fn tls(
    certificate: &Certificate,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Arc<ServerConfig> {
    let chain =
        CertificateDer::pem_file_iter(&certificate.certificate).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&certificate.key).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let clients = clients.unwrap_or_else(WebPkiClientVerifier::no_client_auth);
    Arc::new(builder.with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap())
}

/// Shows a certificate to whoever comes, until the test is over.
fn tls_server(certificate: &Certificate) -> SocketAddr {
    let config = tls(certificate, None);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            shake_hands(stream.unwrap(), &config);
        }
    });
    address
}

pub(crate) fn shake_hands(mut stream: TcpStream, config: &Arc<ServerConfig>) {
    let mut connection = ServerConnection::new(Arc::clone(config)).unwrap();
    // The client hangs up, which is what it is to do.
    let _ = connection.complete_io(&mut stream);
}

#[test]
fn each_fault_of_a_certificate_is_said_and_the_better_known_one_of_two_machines() {
    let folder = tempfile::tempdir().unwrap();
    let made = |certificate: Certificate| (tls_server(&certificate).port(), certificate.ca);
    let expired = made(certificate_until(2021, &["chat.example"], folder.path()).unwrap());
    let ca_file = |(_, ca): &(u16, std::path::PathBuf)| format!("ca_file = \"{}\"\n", ca.display());
    let records = |port| {
        [
            (DIRECT, Record::srv(0, port, "host.example")),
            (DIRECT, Record::srv(1, 1, "host.example")),
            ("host.example", HERE),
        ]
    };
    fault(&records(expired.0), &ca_file(&expired), "its certificate is not valid at this time");

    let folder = tempfile::tempdir().unwrap();
    let other = made(certificate_for(&["host.example"], folder.path()).unwrap());
    fault(&records(other.0), &ca_file(&other), "it has no certificate for the domain of the account");
    fault(&records(other.0), "", "its certificate is from an unknown authority");
}

#[test]
fn a_port_for_tls_from_the_first_byte_is_suspected_where_nobody_has_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let address = tls_server(&certificate_for(&["chat.example"], folder.path()).unwrap());
    let line = "if its port is for TLS from the first byte, as 5223 and 443 mostly are, put it into `server` and add `tls = \"direct\"`";
    fault(&[], &format!("server = \"{address}\"\n"), line);
}

#[test]
fn after_one_that_closes_behind_tls_the_next_is_tried() {
    let (server, folder) = (chat_server(), tempfile::tempdir().unwrap());
    let certificate = certificate_for(&["chat.example"], folder.path()).unwrap();
    let both = [server.ca_file(), &certificate.ca].map(|path| std::fs::read_to_string(path).unwrap());
    let ca_file = folder.path().join("both.pem");
    std::fs::write(&ca_file, both.concat()).unwrap();
    let dns = DnsServer::start(&[
        (DIRECT, Record::srv(0, tls_server(&certificate).port(), "host.example")),
        (DIRECT, Record::srv(1, server.tls_address().port(), "host.example")),
        ("host.example", HERE),
    ])
    .unwrap();
    let config = login(&server, "bob")
        .replace(&server.ca_file().display().to_string(), &ca_file.display().to_string());
    let subject = Subject::start(&dns, &config);
    subject.is_online();
    assert_eq!(subject.count("opening the stream with the chat server"), 1);
}

#[test]
fn an_onion_service_is_never_looked_up() {
    let dns = DnsServer::start(&[]).unwrap();
    for more in ["", "server = \"Hidden.Onion:5222\"\n"] {
        let config = format!("{}{more}", ACCOUNT.replace("chat.example", "hidden.onion"));
        Subject::start(&dns, &config).says(
            "cannot be used: dialling the chat server: a .onion address is reached through a proxy alone",
        );
    }
    assert_eq!(dns.asked(), Vec::<String>::new());
}
