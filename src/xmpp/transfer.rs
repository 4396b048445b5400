//! Transfer of files: PUT and GET at an upload service, over kept-alive connections (XEP-0363, RFC 9110).
//!
//! All goes through the [`Dialer`] of the accounts, so that nothing leaves by another way. Files have a size that is known beforehand: what is
//! longer or shorter is none. Redirections are not followed, since whoever named the first place need not have meant the second.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`file_place`] | URLs that may be called |
//! | `exchange` | one request and its answer on a connection |
//! | [`fault`] | what went wrong, and what follows from it |

mod exchange;
pub mod fault;
pub mod file_place;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_rustls::client::TlsStream;

use self::exchange::{Body, Got};
use self::fault::{Doing, Fault, TransferError};
use self::file_place::FilePlace;
use super::dialer::Dialer;
use super::error::{AccountError, NamedBy};
use super::finder;
use super::place::{PlaceDialer, Reach};
use super::socket::Socket;
use super::tls::Tls;
use crate::config::ServerAddr;

/// How long a transfer may take: 20 seconds, with the connection. What a file holds goes another way then, and has to have arrived before
/// the other end takes us for somebody who never sends it, after 30.
const TRANSFER: Duration = Duration::from_secs(20);

/// A file that is not there is asked for again after so many milliseconds each time, 1.55 seconds in all: it may still be on its way to its service, or the
/// service about to let it be seen. That is known to be so for a moment, and then it is not there.
const RETRY_AFTER_MS: [u64; 5] = [50, 100, 200, 400, 800];

/// How long a connection is kept that is not used: 10 seconds. Servers close theirs after 15 or more.
const IDLE: Duration = Duration::from_secs(10);

/// Connections that are kept, at most: 16. A session uses four for what it puts, and four for what it fetches.
const MOST_IDLE: usize = 16;

type Io = TlsStream<Socket>;

/// Puts files and fetches them. Clones share their connections.
#[derive(Clone)]
pub struct Transfers {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: PlaceDialer,
    tls: Tls,
    idle: Mutex<Vec<Idle>>,
}

/// A connection that waits for its next use. It is for one or the other alone: those who put files and those who fetch them have different
/// names (`persona`), and nobody changes his name.
struct Idle {
    to: ServerAddr,
    doing: Doing,
    io: Io,
    since: Instant,
}

/// What is put.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// Where.
    pub place: &'a FilePlace,
    /// With these fields, beside those that every request has: name and value.
    pub fields: &'a [(&'static str, String)],
    /// What the content is said to be.
    pub content_type: &'static str,
    /// How long it is, in bytes.
    pub size: usize,
}

impl Transfers {
    /// By this dialer. Beside the well-known authorities those in `ca_files`, PEM files, are trusted.
    ///
    /// # Errors
    ///
    /// A file cannot be used.
    pub fn new(dialer: &Dialer, ca_files: &[PathBuf], reach: Reach) -> Result<Self, AccountError> {
        let dialer = PlaceDialer::new(dialer, reach);
        let tls = Tls::of_web(ca_files)?;
        Ok(Self { shared: Arc::new(Shared { dialer, tls, idle: Mutex::default() }) })
    }

    /// Puts a file, whose content comes from `body`, which need not be there as a whole. `written` is called once all of it is on its way to
    /// the service, a round trip before that says that it has it.
    ///
    /// # Errors
    ///
    /// It is not there, as far as we know.
    pub async fn put(
        &self,
        upload: Upload<'_>,
        body: impl Stream<Item = Bytes> + Unpin,
        written: impl FnOnce(),
    ) -> Result<(), TransferError> {
        let deadline = Instant::now() + TRANSFER;
        let put = async {
            let io = self.shared.connect(upload.place, Doing::Putting).await?;
            exchange::put(io, &upload, body, written).await
        };
        let kept = within(deadline, put).await.map_err(|fault| fault.during(Doing::Putting))?;
        self.shared.keep(upload.place, Doing::Putting, kept);
        Ok(())
    }

    /// Begins to fetch a file of exactly so many bytes, again for a while if it is not there.
    ///
    /// # Errors
    ///
    /// It is not there, or is not as long.
    pub async fn get(&self, place: &FilePlace, size: usize) -> Result<Download, TransferError> {
        let deadline = Instant::now() + TRANSFER;
        let once = || async {
            let io = self.shared.connect(place, Doing::Getting).await?;
            match exchange::get(io, place, size).await? {
                Got::File(body) => Ok(body),
                Got::NotThere(status, io) => {
                    self.shared.keep(place, Doing::Getting, io);
                    Err(Fault::Missing(status))
                }
            }
        };
        let body =
            within(deadline, while_not_there(once)).await.map_err(|fault| fault.during(Doing::Getting))?;
        Ok(Download { shared: Arc::clone(&self.shared), place: place.clone(), body: Some(body), deadline })
    }
}

/// A file that is being fetched.
pub struct Download {
    shared: Arc<Shared>,
    place: FilePlace,
    body: Option<Body<Io>>,
    deadline: Instant,
}

impl Download {
    /// The next bytes of it, as they come; none at its end.
    ///
    /// # Errors
    ///
    /// No more will come.
    pub async fn next(&mut self) -> Result<Option<Bytes>, TransferError> {
        let Some(body) = &mut self.body else { return Ok(None) };
        match within(self.deadline, body.next()).await {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) => {
                self.shared.keep(&self.place, Doing::Getting, self.body.take().and_then(Body::into_io));
                Ok(None)
            }
            Err(fault) => {
                self.body = None;
                Err(fault.during(Doing::Getting))
            }
        }
    }
}

impl Shared {
    /// A connection to a place: one that was kept, or a new one.
    async fn connect(&self, place: &FilePlace, doing: Doing) -> Result<Io, Fault> {
        while let Some(mut io) = self.take_idle(place, doing) {
            if exchange::is_silent(&mut io).await {
                return Ok(io);
            }
        }
        let url = place.url();
        let socket = finder::connect(url, NamedBy::Server, self.dialer.to(place.place())).await;
        let socket = socket.map_err(|error| Fault::of_connection(&error))?;
        let tls = self.tls.named(&url.address.host).map_err(|error| Fault::of_connection(&error))?;
        tls.connect(socket).await.map_err(|error| Fault::of_connection(&error))
    }

    fn take_idle(&self, place: &FilePlace, doing: Doing) -> Option<Io> {
        let mut idle = self.idle();
        idle.retain(|connection| connection.since.elapsed() < IDLE);
        let is_for_it = |connection: &Idle| connection.to == place.url().address && connection.doing == doing;
        let at = idle.iter().position(is_for_it)?;
        Some(idle.swap_remove(at).io)
    }

    fn keep(&self, place: &FilePlace, doing: Doing, io: Option<Io>) {
        let mut idle = self.idle();
        idle.retain(|connection| connection.since.elapsed() < IDLE);
        if let Some(io) = io.filter(|_| idle.len() < MOST_IDLE) {
            idle.push(Idle { to: place.url().address.clone(), doing, io, since: Instant::now() });
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does something again for a while if the file is not there.
async fn while_not_there<T, F>(once: impl Fn() -> F) -> Result<T, Fault>
where
    F: Future<Output = Result<T, Fault>>,
{
    for pause in RETRY_AFTER_MS.map(Duration::from_millis) {
        match once().await {
            Err(Fault::Missing(status)) if exchange::may_come(status) => sleep(pause).await,
            outcome => return outcome,
        }
    }
    once().await
}

async fn within<T>(deadline: Instant, doing: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout_at(deadline, doing).await.unwrap_or(Err(Fault::TimedOut))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use std::cell::Cell;
    use std::future::{pending, ready};

    use tokio::net::TcpListener;

    use super::*;
    use crate::xmpp::place::Hosts;

    /// A place at this port of `localhost`, which is this machine whatever DNS says.
    fn place(port: u16) -> FilePlace {
        at(port, &Hosts::of_domains(["localhost"]))
    }

    fn at(port: u16, hosts: &Hosts) -> FilePlace {
        FilePlace::new(&format!("https://localhost:{port}/a"), hosts).unwrap()
    }

    async fn fault(dialer: &Dialer, reach: Reach, place: &FilePlace) -> Fault {
        let transfers = Transfers::new(dialer, &[], reach).unwrap();
        transfers.get(place, 1).await.err().unwrap().fault
    }

    #[tokio::test]
    async fn this_machine_is_not_dialled_where_only_the_internet_may_be() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (dialer, named) = (Dialer::direct(), place(port));
        assert_eq!(fault(&dialer, Reach::Public, &named).await, Fault::NoAddress);
        let listed = at(port, &Hosts::default().and(["localhost".to_owned()]));
        for (reach, place) in [(Reach::Anywhere, &named), (Reach::Public, &listed)] {
            let (fault, accepted) =
                tokio::join!(fault(&dialer, reach, place), async { drop(listener.accept().await.unwrap()) });
            assert_eq!((fault, accepted), (Fault::Unreachable, ()), "otherwise it is");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_not_there_is_asked_for_again_for_a_second_and_a_half() {
        for (there_after, outcome) in [(0, Ok(1)), (1, Ok(2)), (5, Ok(6)), (6, Err(Fault::Missing(410)))] {
            let (start, asked) = (Instant::now(), Cell::new(0));
            let once = || {
                asked.set(asked.get() + 1);
                ready(if asked.get() > there_after { Ok(asked.get()) } else { Err(Fault::Missing(410)) })
            };
            assert_eq!(while_not_there(once).await, outcome);
            assert!(start.elapsed() < Duration::from_millis(1560), "{:?}", start.elapsed());
        }
        for fault in [Fault::Closed, Fault::Missing(403)] {
            let asked = Cell::new(0);
            let failing = || {
                asked.set(asked.get() + 1);
                ready(Err::<(), _>(fault))
            };
            assert_eq!((while_not_there(failing).await, asked.get()), (Err(fault), 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_is_never_reached_is_given_up_in_time() {
        let start = Instant::now();
        let nobody = Dialer::through(|_, _| Box::pin(pending()));
        assert_eq!(fault(&nobody, Reach::Public, &place(443)).await, Fault::TimedOut);
        assert!(start.elapsed() <= TRANSFER + Duration::from_millis(10), "{:?}", start.elapsed());
    }
}
