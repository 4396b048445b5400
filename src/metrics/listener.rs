//! Listener that hands a page out by HTTP/1.1 (RFC 9112), as much of it as a scraper needs.
//!
//! It owes nobody anything: who says nonsense, takes long or comes in numbers is cut off, and the page is made once a second at the most.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// Connections at a time: 4. A scraper has one.
const MOST: usize = 4;

/// How long an exchange may take: 5 seconds, on the same machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest head of a request: 4 KiB, many times what scrapers send.
const MAX_HEAD: usize = 4096;

/// Fields of a head, at most: 32.
const MAX_FIELDS: usize = 32;

/// How old a page may be: 1 second. Scrapers come every ten or so.
const FRESH: Duration = Duration::from_secs(1);

/// The pause after a connection could not be taken: 1 second.
const PAUSE: Duration = Duration::from_secs(1);

/// What a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Page,
    BadRequest,
    Forbidden,
    NotFound,
    NotAllowed,
}

/// Hands out what `make` makes, until dropped.
pub(super) async fn serve(socket: TcpListener, make: impl Fn() -> String + Send + Sync + 'static) {
    let (places, page) = (Arc::new(Semaphore::new(MOST)), Arc::new(Page::new(make)));
    loop {
        let Ok((tcp, _)) = socket.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        // One too many is closed without a word.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let page = Arc::clone(&page);
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, exchange(tcp, &page)).await;
            drop(place);
        });
    }
}

/// The page, as it was made last.
struct Page<F> {
    make: F,
    last: Mutex<Option<(Instant, Arc<str>)>>,
}

impl<F: Fn() -> String> Page<F> {
    fn new(make: F) -> Self {
        Self { make, last: Mutex::default() }
    }

    fn get(&self) -> Arc<str> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match &*last {
            Some((made, page)) if now.saturating_duration_since(*made) < FRESH => Arc::clone(page),
            _ => {
                let page: Arc<str> = (self.make)().into();
                *last = Some((now, Arc::clone(&page)));
                page
            }
        }
    }
}

/// One request and its answer; then the connection ends.
async fn exchange<F: Fn() -> String>(mut tcp: TcpStream, page: &Page<F>) -> std::io::Result<()> {
    let Some(answer) = read_request(&mut tcp).await? else { return Ok(()) };
    let (status, body): (_, Arc<str>) = match answer {
        Answer::Page => ("200 OK", page.get()),
        Answer::BadRequest => ("400 Bad Request", "this is no request\n".into()),
        Answer::Forbidden => ("403 Forbidden", "the metrics are for this machine alone\n".into()),
        Answer::NotFound => ("404 Not Found", "the metrics are at /metrics\n".into()),
        Answer::NotAllowed => ("405 Method Not Allowed", "only GET is known\n".into()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    tcp.write_all(head.as_bytes()).await?;
    tcp.write_all(body.as_bytes()).await?;
    tcp.shutdown().await
}

/// What the request that comes is to be answered; none where the peer leaves before it is complete.
async fn read_request(tcp: &mut TcpStream) -> std::io::Result<Option<Answer>> {
    let (mut head, mut filled) = ([0; MAX_HEAD], 0);
    loop {
        let Some(room) = head.get_mut(filled..).filter(|room| !room.is_empty()) else {
            return Ok(Some(Answer::BadRequest));
        };
        match tcp.read(room).await? {
            0 => return Ok(None),
            count => filled += count,
        }
        if let Some(answer) = head.get(..filled).and_then(answer_to) {
            return Ok(Some(answer));
        }
    }
}

/// What a request is to be answered, once its head is complete.
fn answer_to(head: &[u8]) -> Option<Answer> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(head) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(_) => return Some(Answer::BadRequest),
    }
    let hosts = request.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("host"));
    if !hosts.map(|field| field.value).all(is_of_this_machine) {
        return Some(Answer::Forbidden);
    }
    let path = request.path.unwrap_or_default();
    Some(match (request.method, path.split('?').next()) {
        (Some("GET"), Some("/metrics")) => Answer::Page,
        (Some("GET"), _) => Answer::NotFound,
        _ => Answer::NotAllowed,
    })
}

/// Whether a request names this machine as its host. A page in a browser whose name leads here (DNS rebinding) names its own.
fn is_of_this_machine(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.trim().rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host.trim(),
    };
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::net::SocketAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// Where pages are handed out that say how many were made.
    async fn listening() -> SocketAddr {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, made) = (socket.local_addr().unwrap(), AtomicUsize::new(0));
        tokio::spawn(serve(socket, move || format!("page {}\n", made.fetch_add(1, Ordering::Relaxed))));
        address
    }

    /// All that is answered to these bytes.
    async fn answer(address: SocketAddr, request: &[u8]) -> String {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(request).await.unwrap();
        let mut answer = String::new();
        // What was not read when the connection ends makes a reset of it, behind the answer.
        let _ = tcp.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn a_scraper_gets_the_page_and_the_length_of_it() {
        let address = listening().await;
        let said = answer(address, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9464\r\n\r\n").await;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        assert!(said.contains("Content-Length: 7\r\n") && said.ends_with("\r\n\r\npage 0\n"), "{said}");
        assert!(said.contains("Content-Type: text/plain; version=0.0.4"), "{said}");
    }

    #[tokio::test]
    async fn who_asks_twice_in_a_second_gets_the_same_page() {
        let page = Page::new({
            let made = AtomicUsize::new(0);
            move || made.fetch_add(1, Ordering::Relaxed).to_string()
        });
        tokio::time::pause();
        let first = page.get();
        tokio::time::advance(FRESH / 2).await;
        let second = page.get();
        tokio::time::advance(FRESH).await;
        assert_eq!((&*first, &*second, &*page.get()), ("0", "0", "1"));
    }

    #[test]
    fn other_requests_are_told_what_is_wrong_with_them() {
        for (request, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", Some(Answer::NotFound)),
            ("GET /metrics?a=b HTTP/1.0\r\n\r\n", Some(Answer::Page)),
            ("POST /metrics HTTP/1.1\r\n\r\n", Some(Answer::NotAllowed)),
            ("\u{16}\u{3}\u{1}", Some(Answer::BadRequest)),
            ("GET /metrics HTTP/1.1\r\nHost: localhost\r\n", None),
        ] {
            assert_eq!(answer_to(request.as_bytes()), expected, "{request:?}");
        }
    }

    #[test]
    fn a_page_in_a_browser_whose_name_leads_here_gets_nothing() {
        let ask = |host: &str| answer_to(format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes());
        for host in ["localhost:9464", "127.0.0.1", "[::1]:9464", "LOCALHOST"] {
            assert_eq!(ask(host), Some(Answer::Page), "{host}");
        }
        for host in ["evil.example", "evil.example:9464", "192.0.2.1", ""] {
            assert_eq!(ask(host), Some(Answer::Forbidden), "{host}");
        }
    }

    #[tokio::test]
    async fn a_head_that_never_ends_is_no_request() {
        let address = listening().await;
        let said =
            answer(address, &[b"GET /metrics HTTP/1.1\r\nA: ", &vec![b'a'; MAX_HEAD][..]].concat()).await;
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400 "), "{said}");
    }

    #[tokio::test]
    async fn those_who_say_nothing_take_a_few_places_and_lose_them() {
        let address = listening().await;
        let mut silent = Vec::new();
        for _ in 0..MOST {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let request = b"GET /metrics HTTP/1.1\r\n\r\n";
        let while_full = answer(address, request).await;
        assert_eq!(while_full, "", "one too many");
        for mut tcp in silent {
            let mut rest = Vec::new();
            let cut = timeout(PATIENCE * 2, tcp.read_to_end(&mut rest)).await;
            assert!(cut.is_ok() && rest.is_empty());
        }
        let then = answer(address, request).await;
        assert!(then.starts_with("HTTP/1.1 200 "), "{then}");
    }
}
