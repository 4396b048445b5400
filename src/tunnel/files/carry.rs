//! Carrier of files: puts them and fetches them, each in a task of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::lane::{FileLane, Reached};
use super::outcome;
use crate::carrier::upload::slot::CONTENT_TYPE;
use crate::secure::files::{FileKey, SlotOwner};
use crate::secure::wire::file_frame::FileEndReason;
use crate::tunnel::{Shared, State};
use crate::xmpp::transfer::fault::TransferError;
use crate::xmpp::transfer::file_place::FilePlace;
use crate::xmpp::transfer::{Transfers, Upload};

/// What is to be done.
#[derive(Debug)]
pub(in crate::tunnel) enum Command {
    /// Begin.
    Start(FileKey, Box<Transfer>),
    /// Break off.
    Cancel(FileKey),
}

/// A file to be put or fetched.
#[derive(Debug)]
pub(in crate::tunnel) struct Transfer {
    pub(super) place: FilePlace,
    pub(super) reached: Reached,
    pub(super) what: What,
    pub(super) owner: SlotOwner,
}

/// Which of the two.
#[derive(Debug)]
pub(super) enum What {
    Put { fields: Vec<(&'static str, String)>, size: usize, content: Vec<Bytes> },
    Get { size: usize },
}

/// Runs until the tunnel is gone, and breaks off what is under way then.
pub(in crate::tunnel) async fn run(
    shared: Weak<Shared>,
    lane: FileLane,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut carrier =
        Carrier { shared, lane, reached: BTreeMap::new(), under_way: BTreeMap::new(), tasks: JoinSet::new() };
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Start(file, transfer)) => carrier.start(file, *transfer),
                Some(Command::Cancel(file)) => carrier.cancel(file),
                None => return,
            },
            Some(ended) = carrier.tasks.join_next() => {
                // One that was broken off is not under way any more.
                if let Ok(file) = ended {
                    carrier.under_way.remove(&file);
                }
            }
        }
    }
}

struct Carrier {
    shared: Weak<Shared>,
    lane: FileLane,
    /// Each with connections of its own.
    reached: BTreeMap<Reached, Transfers>,
    under_way: BTreeMap<FileKey, AbortHandle>,
    tasks: JoinSet<FileKey>,
}

impl Carrier {
    fn start(&mut self, file: FileKey, transfer: Transfer) {
        let Some(transfers) = self.transfers(&transfer.reached) else {
            return self.end(file, &transfer);
        };
        let shared = Weak::clone(&self.shared);
        let carried = async move {
            carry(&shared, &transfers, file, transfer).await;
            file
        };
        let handle = self.tasks.spawn(carried);
        self.under_way.insert(file, handle);
    }

    fn cancel(&mut self, file: FileKey) {
        if let Some(handle) = self.under_way.remove(&file) {
            handle.abort();
        }
    }

    fn transfers(&mut self, reached: &Reached) -> Option<Transfers> {
        if let Some(transfers) = self.reached.get(reached) {
            return Some(transfers.clone());
        }
        match Transfers::new(self.lane.dialer(), &reached.ca_files, reached.reach) {
            Ok(transfers) => Some(self.reached.entry(reached.clone()).or_insert(transfers).clone()),
            Err(error) => {
                tracing::warn!("files are not used: {error}");
                None
            }
        }
    }

    /// Nothing can be carried so.
    fn end(&self, file: FileKey, transfer: &Transfer) {
        let Some(shared) = self.shared.upgrade() else { return };
        shared.with(|state, now| {
            end_in_queue(state, file);
            match transfer.what {
                What::Put { .. } => state.cores.secure.handle_put(now, file, Err(FileEndReason::Refused)),
                What::Get { .. } => state.cores.secure.handle_file_end(now, file, FileEndReason::Refused),
            }
        });
    }
}

async fn carry(shared: &Weak<Shared>, transfers: &Transfers, file: FileKey, transfer: Transfer) {
    let Transfer { place, what, owner, .. } = transfer;
    let start = Instant::now();
    match what {
        What::Put { fields, size, content } => {
            let upload = Upload { place: &place, fields: &fields, content_type: CONTENT_TYPE, size };
            let put = transfers.put(upload, stream::iter(content), || sent(shared, file)).await;
            tracing::debug!("a file of {size} bytes was put: {}", told(put.as_ref().err(), start));
            conclude(shared, file, (&owner, put.err()), |state, now, fault| {
                state.cores.secure.handle_put(now, file, fault.map_or(Ok(()), Err));
            });
        }
        What::Get { size } => {
            let got = get(shared, transfers, file, (&place, size)).await;
            tracing::debug!("a file of {size} bytes was fetched: {}", told(got.as_ref().err(), start));
            let fault = match got {
                Ok(Enough::End) => None,
                Err(fault) => Some(fault),
                // Nobody waits for more.
                Ok(Enough::Unwanted) => return unwanted(shared, file),
            };
            conclude(shared, file, (&owner, fault), |state, now, fault| {
                state.cores.secure.handle_file_end(now, file, fault.unwrap_or(FileEndReason::Done));
            });
        }
    }
}

/// What became of a transfer, for whoever debugs.
fn told(error: Option<&TransferError>, start: Instant) -> String {
    let outcome = error.map_or_else(|| "done".to_owned(), ToString::to_string);
    format!("{outcome}, after {} ms", start.elapsed().as_millis())
}

/// Why no more of a file is fetched.
enum Enough {
    End,
    Unwanted,
}

/// Hands over what comes of a file, as it comes.
async fn get(
    shared: &Weak<Shared>,
    transfers: &Transfers,
    file: FileKey,
    (place, size): (&FilePlace, usize),
) -> Result<Enough, TransferError> {
    let mut download = transfers.get(place, size).await?;
    let mut left = size;
    while let Some(bytes) = download.next().await? {
        left = left.saturating_sub(bytes.len());
        if !hand_over(shared, file, bytes) {
            if left == 0 {
                // The connection can be used again once its end is seen.
                let _ = download.next().await;
            }
            return Ok(Enough::Unwanted);
        }
    }
    Ok(Enough::End)
}

/// Tells whether more is wanted. The tunnel is not kept while more is waited for.
fn hand_over(shared: &Weak<Shared>, file: FileKey, bytes: Bytes) -> bool {
    let handed = |shared: Arc<Shared>| {
        shared.with(|state, now| state.cores.secure.handle_file_bytes(now, file, bytes))
    };
    shared.upgrade().is_some_and(handed)
}

/// Tells that all of a file is on its way.
fn sent(shared: &Weak<Shared>, file: FileKey) {
    if let Some(shared) = shared.upgrade() {
        shared.with(|state, now| state.cores.secure.handle_file_sent(now, file));
    }
}

/// Tells what became of a transfer.
fn conclude(
    shared: &Weak<Shared>,
    file: FileKey,
    (owner, error): (&SlotOwner, Option<TransferError>),
    tell: impl FnOnce(&mut State, Instant, Option<FileEndReason>),
) {
    let Some(shared) = shared.upgrade() else { return };
    shared.with(|state, now| {
        end_in_queue(state, file);
        if let Some(error) = error {
            shared.announce_transfer(state, owner, error);
        }
        tell(state, now, error.map(|error| outcome::reason(error.fault)));
    });
}

fn unwanted(shared: &Weak<Shared>, file: FileKey) {
    if let Some(shared) = shared.upgrade() {
        shared.with(|state, _| end_in_queue(state, file));
    }
}

fn end_in_queue(state: &mut State, file: FileKey) {
    if let Some(files) = &mut state.files {
        files.queue.end(file);
    }
}
