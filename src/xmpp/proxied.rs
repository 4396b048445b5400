//! SRV records through a proxy: DNS over TCP (RFC 7766) at resolvers that everybody may ask.
//!
//! Nothing goes around the proxy, and the resolvers see the proxy's address and not ours. What they or anybody on the way forges can
//! keep us from a server, but not lead us to one without the domain's certificate. Many proxies let nobody ask: then there are no
//! records.

use std::io;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::dialer::Dialer;
use super::resolver::{fault_of, srv_records};
use super::socket::Socket;
use super::srv::{Found, Service};

/// Resolvers that everybody may ask, and that keep no names: Quad9's and Cloudflare's.
const RESOLVERS: [&str; 2] = ["9.9.9.9", "1.1.1.1"];
const PORT: u16 = 53;

/// How long one resolver may take, the proxy's connection to it included: 2.5 seconds. A proxy that refuses says so at once, and one
/// that says nothing is not to cost more than a quarter of a login's time.
const PER_RESOLVER: Duration = Duration::from_millis(2500);

/// What the first resolver that knows says of the services of `domain`, or else one that does not know; nothing when none answers.
pub(super) async fn services(dialer: Dialer, domain: &str, services: &[Service]) -> Option<Vec<Found>> {
    let mut unknown = None;
    for resolver in RESOLVERS {
        let asked = async { ask(&mut dialer.dial(resolver, PORT, None).await.ok()?, domain, services).await };
        match timeout(PER_RESOLVER, asked).await {
            Ok(Some(found)) if found.iter().all(|found| found.fault.is_none()) => return Some(found),
            Ok(Some(found)) => unknown = Some(found),
            Ok(None) | Err(_) => {}
        }
    }
    unknown
}

async fn ask(resolver: &mut Socket, domain: &str, services: &[Service]) -> Option<Vec<Found>> {
    let mut open = Vec::new();
    for service in services {
        let question = question(&service.record_name(domain))?;
        resolver.write_all(&framed(&question.to_vec().ok()?)?).await.ok()?;
        open.push((question.metadata.id, *service));
    }
    resolver.flush().await.ok()?;
    let mut found = Vec::new();
    // Answers come in any order.
    while !open.is_empty() {
        let answer = read(resolver).await.ok()?;
        let place = open.iter().position(|(id, _)| *id == answer.metadata.id)?;
        let (_, service) = open.swap_remove(place);
        let fault = match answer.metadata.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => None,
            code => Some(fault_of(code)),
        };
        found.push(Found { service, records: srv_records(&answer.answers), fault });
    }
    Some(found)
}

fn question(name: &str) -> Option<Message> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(format!("{name}.")).ok()?, RecordType::SRV));
    Some(message)
}

/// Behind its length, as over TCP.
fn framed(message: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(message.len()).ok()?;
    Some([&length.to_be_bytes(), message].concat())
}

async fn read(resolver: &mut Socket) -> io::Result<Message> {
    let mut message = vec![0; usize::from(resolver.read_u16().await?)];
    resolver.read_exact(&mut message).await?;
    Message::from_vec(&message).map_err(|_| io::ErrorKind::InvalidData.into())
}
