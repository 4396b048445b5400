//! Calls to proxies: the connection of a relay, from its dialling to its end, each in a task of its own.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Up;
use crate::carrier::records::{MAX_PADDING, Records};
use crate::secure::relays::{RelayKey, RelaySeals};
use crate::secure::wire::relay_frame::{ADDRESS, RelayEndReason, Rendezvous};
use crate::tunnel::Shared;
use crate::xmpp::Socket;
use crate::xmpp::bytestream::{self, BytestreamError};
use crate::xmpp::place::{Place, PlaceDialer};

/// The most that is read at a time, in bytes: 16 KiB. Each relay keeps a buffer of this size while nothing comes.
const READ: usize = 16 * 1024;

/// The most records that are taken from the queue at a time: 64. They are flushed together.
const AT_ONCE: usize = 64;

/// From here on much waits to be written, in bytes: 64 KiB. The core is told once it is less again.
const MUCH: usize = 64 * 1024;

/// How long what is left is written once nobody wants the relay any more: 5 seconds.
const LAST_PIECES: Duration = Duration::from_secs(5);

/// Pauses in which nothing is said, each after the one before, after which a record that says nothing is written: Prosody keeps back the
/// end of what it reads until more comes (`xmpp::bytestream`). Ever longer ones, as it may be busy with something else. The first is as long
/// as little is held back for more (2 ms), since all that is kept back is late by as much.
const NUDGES: [Duration; 5] = [
    Duration::from_millis(2),
    Duration::from_millis(8),
    Duration::from_millis(40),
    Duration::from_millis(160),
    Duration::from_millis(640),
];

/// A call that is to be made for a relay.
#[derive(Debug)]
pub(in crate::tunnel) struct Call {
    pub(super) relay: RelayKey,
    pub(super) target: Target,
    pub(super) end: End,
}

/// What is called, and what it is asked for.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) dialer: PlaceDialer,
    pub(super) place: Place,
    pub(super) address: [u8; ADDRESS],
}

/// Which end's call it is.
#[derive(Debug)]
pub(super) enum End {
    /// A client's, which tells the bridge of this place, and begins when the proxy has joined the two.
    Client { rendezvous: Rendezvous, joined: oneshot::Receiver<RelaySeals> },
    /// A bridge's, which begins when the client has. Nothing is sent by `wanted`: its sender is dropped when nobody wants the relay any
    /// more.
    Bridge { seals: RelaySeals, wanted: oneshot::Receiver<()> },
}

/// Takes what is to go by a relay, and knows how many bytes of it are not written yet.
#[derive(Debug)]
pub(super) struct Outlet {
    pieces: mpsc::UnboundedSender<Piece>,
    queued: Arc<AtomicUsize>,
    /// Nothing is sent by this: it is gone when nobody wants the relay any more.
    _wanted: oneshot::Sender<()>,
}

/// The other end of it.
#[derive(Debug)]
struct ToWrite {
    pieces: mpsc::UnboundedReceiver<Piece>,
    queued: Arc<AtomicUsize>,
    wanted: oneshot::Receiver<()>,
}

/// A record to be written.
#[derive(Debug)]
enum Piece {
    Said(Bytes),
    /// It says nothing, and makes the proxy pass on what it keeps back.
    Nudge(Bytes),
}

impl Outlet {
    fn new() -> (Self, ToWrite) {
        let (pieces, to_write) = mpsc::unbounded_channel();
        let (sender, wanted) = oneshot::channel();
        let queued = Arc::<AtomicUsize>::default();
        let other = ToWrite { pieces: to_write, queued: Arc::clone(&queued), wanted };
        (Self { pieces, queued, _wanted: sender }, other)
    }

    /// Sends a record. Returns how many bytes wait to be written now.
    pub(super) fn send(&self, record: Bytes) -> usize {
        let length = record.len();
        let queued = self.queued.fetch_add(length, Ordering::Relaxed) + length;
        // Without the task the connection has ended, which the core is about to hear.
        let _ = self.pieces.send(Piece::Said(record));
        queued
    }

    /// Sends a record that says nothing. It counts for nothing that waits.
    pub(super) fn nudge(&self, record: Bytes) {
        let _ = self.pieces.send(Piece::Nudge(record));
    }
}

/// Makes all calls, until the tunnel is gone. What is under way then is broken off.
pub(in crate::tunnel) async fn run(shared: Weak<Shared>, mut calls: mpsc::UnboundedReceiver<Call>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            call = calls.recv() => match call {
                Some(call) => {
                    tasks.spawn(make(Weak::clone(&shared), call));
                }
                None => return,
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Makes a call. Whatever it comes to, the core is told, unless it does not want the relay any more.
async fn make(shared: Weak<Shared>, call: Call) {
    let Call { relay, target, end } = call;
    let _ended = Ended { shared: Weak::clone(&shared), relay };
    let outcome = match end {
        End::Client { rendezvous, joined } => as_client(&shared, (relay, target), rendezvous, joined).await,
        End::Bridge { seals, wanted } => as_bridge(&shared, (relay, target), seals, wanted).await,
    };
    if let (Err(reason), Some(shared)) = (outcome, shared.upgrade()) {
        shared.with(|state, now| state.cores.secure.handle_relay_down(now, relay, reason));
    }
}

/// Takes note that a call is over, however it ends.
struct Ended {
    shared: Weak<Shared>,
    relay: RelayKey,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.upgrade() {
            shared.on_call_ended(self.relay);
        }
    }
}

async fn connect(relay: RelayKey, target: &Target) -> Result<Socket, RelayEndReason> {
    let Target { dialer, place, address } = target;
    bytestream::connect(dialer, place, *address).await.map_err(|error| {
        tracing::debug!("relay {}: {error}", relay.number());
        match error {
            BytestreamError::Login | BytestreamError::Refused(_) => RelayEndReason::Refused,
            BytestreamError::TimedOut => RelayEndReason::TooSlow,
            _ => RelayEndReason::Unreachable,
        }
    })
}

async fn as_client(
    shared: &Weak<Shared>,
    (relay, target): (RelayKey, Target),
    rendezvous: Rendezvous,
    mut joined: oneshot::Receiver<RelaySeals>,
) -> Result<(), RelayEndReason> {
    let socket = tokio::select! {
        socket = connect(relay, &target) => socket?,
        _ = &mut joined => return Ok(()),
    };
    if let Some(shared) = shared.upgrade() {
        shared.with(|state, now| state.cores.secure.handle_relay_found(now, relay, rendezvous));
    }
    let Ok(seals) = joined.await else { return Ok(()) };
    carry(shared, relay, socket, (Records::new(seals), Bytes::new())).await
}

async fn as_bridge(
    shared: &Weak<Shared>,
    (relay, target): (RelayKey, Target),
    seals: RelaySeals,
    mut wanted: oneshot::Receiver<()>,
) -> Result<(), RelayEndReason> {
    let mut socket = tokio::select! {
        socket = connect(relay, &target) => socket?,
        _ = &mut wanted => return Ok(()),
    };
    if let Some(shared) = shared.upgrade() {
        shared.with(|state, now| state.cores.secure.handle_relay_joined(now, relay));
    }
    let mut records = Records::new(seals);
    let rest = tokio::select! {
        rest = await_greeting(&mut socket, &mut records) => rest?,
        _ = &mut wanted => return Ok(()),
    };
    carry(shared, relay, socket, (records, rest)).await
}

/// Waits until the client has begun. Returns what has come behind its first record.
async fn await_greeting(socket: &mut Socket, records: &mut Records) -> Result<Bytes, RelayEndReason> {
    loop {
        let mut bytes = read(socket).await?;
        if records.read_greeting(&mut bytes).map_err(|_| RelayEndReason::Damaged)? {
            return Ok(bytes);
        }
    }
}

async fn read(from: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, RelayEndReason> {
    let mut bytes = BytesMut::with_capacity(READ);
    match from.read_buf(&mut bytes).await {
        Ok(1..) => Ok(bytes.freeze()),
        Ok(0) | Err(_) => Err(RelayEndReason::Unreachable),
    }
}

/// Carries the path that the relay is, until its connection ends or nothing more is to be written.
async fn carry(
    shared: &Weak<Shared>,
    relay: RelayKey,
    socket: Socket,
    (mut records, first): (Records, Bytes),
) -> Result<(), RelayEndReason> {
    let (outlet, to_write) = Outlet::new();
    outlet.send(records.padding(rand::random_range(0..=MAX_PADDING)));
    let Some(is_up) = shared.upgrade().map(|shared| shared.bring_up(relay, Up::new(records, outlet))) else {
        return Ok(());
    };
    if !is_up {
        return Ok(());
    }
    let (mut reader, writer) = tokio::io::split(socket);
    let mut written = pin!(write(shared, relay, writer, to_write));
    let mut bytes = first;
    loop {
        if !bytes.is_empty() && !hand_over(shared, relay, bytes)? {
            // Nobody wants more. What is to be written last still goes.
            return written.await;
        }
        bytes = tokio::select! {
            bytes = read(&mut reader) => bytes?,
            outcome = &mut written => return outcome,
        };
    }
}

/// Hands bytes to the tunnel, which is not kept alive in between. False when nobody wants more.
fn hand_over(shared: &Weak<Shared>, relay: RelayKey, bytes: Bytes) -> Result<bool, RelayEndReason> {
    let Some(shared) = shared.upgrade() else { return Ok(false) };
    shared.on_relay_bytes(relay, bytes).map_err(|_| RelayEndReason::Damaged)
}

/// Writes until there is nobody who sends. What is left then is given up after [`LAST_PIECES`]: whoever does not read would keep it, and the
/// connection, for as long as he likes.
async fn write(
    shared: &Weak<Shared>,
    relay: RelayKey,
    writer: impl AsyncWrite + Unpin,
    ToWrite { pieces, queued, wanted }: ToWrite,
) -> Result<(), RelayEndReason> {
    let overdue = async {
        let _ = wanted.await;
        sleep(LAST_PIECES).await;
    };
    tokio::select! {
        outcome = write_pieces(shared, relay, writer, (pieces, queued)) => outcome,
        () = overdue => Err(RelayEndReason::TooSlow),
    }
}

async fn write_pieces(
    shared: &Weak<Shared>,
    relay: RelayKey,
    mut writer: impl AsyncWrite + Unpin,
    (mut pieces, queued): (mpsc::UnboundedReceiver<Piece>, Arc<AtomicUsize>),
) -> Result<(), RelayEndReason> {
    let mut batch = Vec::with_capacity(AT_ONCE);
    let mut nudges = &NUDGES[..];
    loop {
        let more = pieces.recv_many(&mut batch, AT_ONCE);
        let count = match nudges {
            [pause, later @ ..] => match timeout(*pause, more).await {
                Ok(count) => count,
                Err(_) => {
                    nudges = later;
                    shared.upgrade().into_iter().for_each(|shared| shared.nudge(relay));
                    continue;
                }
            },
            [] => more.await,
        };
        if count == 0 {
            break;
        }
        for piece in batch.drain(..) {
            let (Piece::Said(bytes) | Piece::Nudge(bytes)) = &piece;
            writer.write_all(bytes).await.map_err(|_| RelayEndReason::Unreachable)?;
            if let Piece::Said(bytes) = piece {
                nudges = &NUDGES;
                note_written(shared, relay, &queued, bytes.len());
            }
        }
        writer.flush().await.map_err(|_| RelayEndReason::Unreachable)?;
    }
    let _ = writer.shutdown().await;
    Ok(())
}

/// So many bytes were written. The core hears of it when that leaves less than [`MUCH`].
fn note_written(shared: &Weak<Shared>, relay: RelayKey, queued: &AtomicUsize, bytes: usize) {
    let before = queued.fetch_sub(bytes, Ordering::Relaxed);
    let left = before.saturating_sub(bytes);
    if before >= MUCH
        && left < MUCH
        && let Some(shared) = shared.upgrade()
    {
        shared.on_relieved(relay, left);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    /// Writes what is left of a relay that nobody wants any more, of which an end that takes `room` bytes and is read by nobody takes that.
    async fn write_last(room: usize) -> Result<(), RelayEndReason> {
        let (writer, _unread) = duplex(room);
        let (outlet, to_write) = Outlet::new();
        outlet.send(Bytes::from_static(&[7; 1000]));
        drop(outlet);
        let nobody = Weak::new();
        let written = write(&nobody, RelayKey::nth(0), writer, to_write);
        timeout(2 * LAST_PIECES, written).await.expect("it comes to an end")
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_reads_is_given_up_once_nobody_wants_the_relay() {
        assert_eq!(write_last(999).await, Err(RelayEndReason::TooSlow));
        assert_eq!(write_last(1000).await, Ok(()));
    }
}
