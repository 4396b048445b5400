//! Files: how a session carries bulk by an upload service (doc/lanes.md).
//!
//! Whoever has a slot for a file fills it with frames of streams, packet by packet, and knows what became of each when the other end says
//! how many have arrived. Slots are the client's to ask for, whichever way the file goes.
//!
//! | module | what it is |
//! | --- | --- |
//! | `lane` | all files of a session at one of its ends |
//! | `choice` | what goes by files, and when the other end hears of it |
//! | `supply` | slots of a client: how many are asked for, and when |
//! | `outgoing` | files that this end makes, until the other has them or not |
//! | `incoming` | files that the other end has made, until they are opened |

pub(crate) mod choice;
pub(crate) mod incoming;
pub(crate) mod lane;
pub(crate) mod outgoing;
pub(crate) mod supply;

use std::time::Duration;

/// Files of one direction that are under way at a time, at most: 4. Prosody reads 3 MB/s from a connection, and four of them carry three
/// times as much as one.
const MOST_UNDER_WAY: usize = 4;

/// How long a slot can be used: 4 minutes. Prosody's token is good for 5, and it has to last for the transfer.
const SLOT_LIFE: Duration = Duration::from_secs(240);

/// When whoever fetches a file gives it up: 20 seconds after it was announced. Its maker has done so before.
const FILE_LOST: Duration = Duration::from_secs(20);

/// Ranges of numbers of files that are remembered: 128. Between two there is a slot that came to nothing.
const NUMBER_RANGES: usize = 128;
