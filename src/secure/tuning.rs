//! Tuning: the constants of the secure core that were found by measuring, each with its unit, and the reason where there is more to say
//! than that it was measured.
//!
//! The measurements are in the commits that brought them, and in `doc/scaling.md`; where a specification has the same number or rule,
//! it is named. Bounds that a user can set are in `[limits]`, prices of memory in `budget::price`.

use std::time::Duration;

// Sizes of blocks (`path::window::block_size`).

/// The largest block of a slow path: 4096 bytes. Beyond it what the carrier puts around a block hardly counts.
pub(crate) const LARGEST_SLOW_BLOCK: usize = 4096;

/// A path is slow while a block of 4 KiB takes longer than 0.1 seconds on it. It gets none that is larger, then.
pub(crate) const SLOW_BLOCK: f64 = 0.1;

/// A slow path takes a larger size if one block of it takes no longer than 0.62 seconds: less than what it gives up, so that it
/// does not swing.
pub(crate) const SLOW_BLOCK_ACCEPTABLE: f64 = 0.62;

/// A slow path gives up a size whose blocks take longer than 0.75 seconds: a cell waits for two of them at most, 1.5 seconds.
pub(crate) const SLOW_BLOCK_TOO_LONG: f64 = 0.75;

/// For a moment, to find something out, blocks may take 1.2 seconds.
pub(crate) const SLOW_BLOCK_TRIAL: f64 = 1.2;

/// A slow path is watched for 2 seconds before it gets larger blocks.
pub(crate) const SLOW_EPOCH: Duration = Duration::from_secs(2);

/// A size is tried for at least 24 blocks, and for [`EPOCH`].
pub(crate) const EPOCH_BLOCKS: usize = 24;

/// A size is tried for at least 100 ms.
pub(crate) const EPOCH: Duration = Duration::from_millis(100);

/// Another size is taken when it carries 1.03 times as much.
pub(crate) const SIZE_BETTER: f64 = 1.03;

/// On a slow path a larger size has to carry 1.3 times as much, since it costs everybody who is in a hurry.
pub(crate) const SLOW_SIZE_BETTER: f64 = 1.3;

/// Where a block takes less than 5 ms only the bytes around it count, and rates are too noisy to walk by them alone.
pub(crate) const FAST_BLOCK: f64 = 0.005;

/// There a larger size is taken that carries 0.93 times as much: acknowledgements and answers become rare with it.
pub(crate) const FAST_LARGER_SIZE: f64 = 0.93;

/// There a smaller size has to carry 1.12 times as much.
pub(crate) const FAST_SMALLER_SIZE: f64 = 1.12;

/// After an attempt that failed no other size is tried for 8 epochs: servers get more or less to do, so that it is worth trying again.
pub(crate) const FIRST_REST: u32 = 8;

/// After several attempts that failed, for 64 epochs at the most.
pub(crate) const LONGEST_REST: u32 = 64;

// Rates and delays (`path::window`).

/// The lasting rate forgets within 3 seconds: longer than any shaper's pause.
pub(crate) const RATE_MEMORY: f64 = 3.0;

/// Before 0.2 seconds were observed there is no lasting rate.
pub(crate) const RATE_OBSERVED: f64 = 0.2;

/// The peak rate is the largest of the latest 8 samples.
pub(crate) const RATE_SAMPLES: usize = 8;

/// The shortest time that makes a sample: 250 ms.
pub(crate) const RATE_SAMPLE: Duration = Duration::from_millis(250);

/// The fastest answer counts as the delay of the empty path for 30 seconds.
pub(crate) const BASE_DELAY_LIFETIME: Duration = Duration::from_secs(30);

/// The window of a new path: 5 KiB, with room for four cells of Tor's.
pub(crate) const INITIAL_WINDOW: usize = 5 * 1024;

/// The largest window: 2 MiB.
pub(crate) const LARGEST_WINDOW: usize = 2 * 1024 * 1024;

/// The queue that there should be on a path of unknown delay so that it never runs empty: 40 ms.
pub(crate) const HEADROOM: Duration = Duration::from_millis(40);

/// What is taken from applications should keep the path busy for 3 seconds: acknowledgements take up to two.
pub(crate) const SEND_BUFFER_TIME: Duration = Duration::from_secs(3);

/// Shapers let a burst of some 20 kB pass before they begin, so the window opens by the delay only after 24 KiB were answered
/// promptly.
pub(crate) const SHAPER_BURST: usize = 24 * 1024;

/// Before another size of block is tried the queue is to be seen empty, if the last time was more than 8 delays of the empty
/// path ago.
pub(crate) const DELAYS_BEFORE_A_TRIAL: u32 = 8;

/// A path whose answers take longer than 100 ms is slow for another reason than how its server reads.
pub(crate) const PROMPT_ROUND_TRIP: Duration = Duration::from_millis(100);

// Paths.

/// A path is dead when something was not answered for 30 seconds.
pub(crate) const PATH_DEAD: Duration = Duration::from_secs(30);

/// A path has stalled when an answer takes 4 times as long as others lately, and at least [`STALL`].
pub(crate) const STALL_FACTOR: u32 = 4;

/// The least that makes a stall: 3 seconds.
pub(crate) const STALL: Duration = Duration::from_secs(3);

/// What the delay of a path is taken for before there was any answer: 50 ms.
pub(crate) const UNKNOWN_DELAY: Duration = Duration::from_millis(50);

/// The other end may take 10 seconds to answer an open and to shake hands.
pub(crate) const OPEN_PATIENCE: Duration = Duration::from_secs(10);

/// A path that lived for less than 2 seconds has failed, whatever it said at first.
pub(crate) const SHORT_LIFE: Duration = Duration::from_secs(2);

/// Paths of one session that a client opens: 16.
pub(crate) const MOST_PATHS: usize = 16;

/// 2 paths are enough for a session that carries little: it goes on when one fails. Each costs the bridge's account the answers
/// to its open and its close, some 350 bytes, and there are many who come for a few kilobytes.
pub(crate) const FEW_PATHS: usize = 2;

/// A pair of accounts that fails for the first time rests for half a second, and twice as long each further time.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause before an account that the bridge line names is tried again: 5 seconds.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The same for an account that the bridge has told of, 60 seconds: it may be a stranger's, to whom we had better not write
/// often.
pub(crate) const LONGEST_PAUSE_OF_TOLD: Duration = Duration::from_secs(60);

/// An account that its server has not found 3 times in a row, which takes one or two seconds, is not only logging in anew.
pub(crate) const ABSENT: u32 = 3;

// Packets and acknowledgements.

/// A peer from which nothing has come for 10 seconds is asked for a packet, and again as often until one comes.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A session that has been idle for longer than [`PING_INTERVAL`] waits for as long as it was idle, at most 45 seconds: most
/// sessions are, and what asking costs is time that the servers would have for others.
pub(crate) const LONGEST_PING_INTERVAL: Duration = Duration::from_secs(45);

/// Nagle-style coalescing (RFC 896): a packet with more than 2 KiB free, or half of its block, waits for up to [`COALESCING`]
/// while nothing has come from the peer since the previous one.
pub(crate) const COALESCING_ROOM: usize = 2048;

/// How long such a packet waits: 2 ms. Peers that answer each other do not wait.
pub(crate) const COALESCING: Duration = Duration::from_millis(2);

/// A session that has carried 16 KiB, or is to, is worth more than [`FEW_PATHS`]: a short visit is over by then.
pub(crate) const MUCH_CARRIED: usize = 16 * 1024;

/// Roughly what a packet holds beside the bytes of streams: 512 bytes.
pub(crate) const PACKET_AROUND: usize = 512;

/// Ranges of counters that are remembered: 1024. Between two there is a packet that was lost, or overtaken by another path's: a
/// slow path has fewer than that on its way.
pub(crate) const COUNTER_RANGES: usize = 1024;

/// The same of the numbers of paths: 128. Between two there is a path that came to nothing.
pub(crate) const PATH_RANGES: usize = 128;

/// Ranges of counters that one acknowledgement names: at most 32, the newest (RFC 9000 section 13.2.4).
pub(crate) const ACK_RANGES: usize = 32;

/// The block of a packet that carries nothing of streams: 128 bytes, with room for an acknowledgement.
pub(crate) const PROBE_SIZE: usize = 128;

/// The largest block of an express packet: 2 KiB, three cells of Tor's.
pub(crate) const EXPRESS_SIZE: usize = 2048;

/// An acknowledgement is due after 192 KiB, however fast they came.
pub(crate) const ACK_BYTES: usize = 192 * 1024;

/// After 64 KiB, or when the peer waits for it, an acknowledgement is due within [`ACK_SOON`].
pub(crate) const ACK_SOON_BYTES: usize = 64 * 1024;

/// How soon that is: within 200 ms.
pub(crate) const ACK_SOON: Duration = Duration::from_millis(200);

/// Any acknowledgement is due after 2 seconds.
pub(crate) const ACK_AT_LAST: Duration = Duration::from_secs(2);

/// A packet counts as 1 KiB at least: each costs the sender memory, however small it is.
pub(crate) const ACK_PACKET: usize = 1024;

/// A packet that is not acknowledged after 10 seconds has been swallowed, whatever its path seems to say.
pub(crate) const PACKET_LOST: Duration = Duration::from_secs(10);

/// A peer may owe something for 30 seconds: three times as long as it takes to find out that a packet was swallowed.
pub(crate) const OVERDUE: Duration = Duration::from_secs(30);

/// Of the time between two packets 5 seconds count at most: half of [`PING_INTERVAL`].
pub(crate) const OVERDUE_PAUSE: Duration = Duration::from_secs(5);

/// It is worth a look at every stream once a second.
pub(crate) const OVERDUE_LOOK: Duration = Duration::from_secs(1);

// Accounts.

/// No block goes by an account that has more than 256 KiB to write: a few of the largest blocks, and less than what makes
/// others wait where servers read slowly.
pub(crate) const MAX_UNWRITTEN_BYTES: usize = 256 * 1024;

/// No block goes by an account that has more than 1024 pieces to write: only where none can be written at all.
pub(crate) const MAX_UNWRITTEN_PIECES: usize = 1024;

/// What is on its way by an account of unknown rate is read within half a second.
pub(crate) const UNKNOWN_BACKLOG: Duration = Duration::from_millis(500);

/// Two blocks that take 0.9 of the path's time keep it busy.
pub(crate) const BUSY_SHARE: f64 = 0.9;

/// What went by a path that is no more counts as on its way for at most 3 seconds, even if the account is slower: what has
/// stalled has waited for as long already.
pub(crate) const ORPHANED: Duration = Duration::from_secs(3);

/// Whoever always waits for its turn should not wait for longer than 30 seconds: blocks become smaller, until they are as small
/// as makes sense. Smaller ones cost everybody some of the rate, and who sends now and then does not wait so long anyway.
pub(crate) const LONGEST_ROUND: f64 = 30.0;

/// Where several share an account no block that is larger than its window wants takes longer than 0.75 seconds.
pub(crate) const SHARED_BLOCK_TIME: f64 = 0.75;

/// The smallest block of a path that shares an account, and has no experience of its own: 1 KiB.
pub(crate) const SMALLEST_SHARED_BLOCK: usize = 1024;

/// The largest such block: 4 KiB.
pub(crate) const LARGEST_SHARED_BLOCK: usize = 4096;

/// A client is ahead of an account's clock by what it has been sent elsewhere, but by 24 KiB at the most: accounts at which there is
/// less to be had must come round, too.
pub(crate) const MAX_LEAD: u64 = 24 * 1024;

/// An answer to a block waits for others for 4 ms at most.
pub(crate) const ANSWER_DELAY: Duration = Duration::from_millis(4);

/// The same while large blocks of ours are being sent, of which the next one takes it along: 25 ms.
pub(crate) const ANSWER_DELAY_IN_BULK: Duration = Duration::from_millis(25);

/// 4 answers do not wait. The window of a new path has room for as many cells of Tor's.
pub(crate) const ANSWERS_TOGETHER: usize = 4;

/// Nor do answers to more than 64 KiB of blocks.
pub(crate) const ANSWERED_BYTES: usize = 64 * 1024;

/// A block of at least 4 KiB takes answers along.
pub(crate) const CARRYING_BLOCK: usize = 4096;

/// What has been written for 5 seconds has been read, or went with its connection. The server takes a second for as much as may
/// be unread of answers, and about two for what may be before them. Those who answer nothing would otherwise leave no room for
/// good.
pub(crate) const UNREAD_PATIENCE: Duration = Duration::from_secs(5);

/// Unread answers may fill 0.25 seconds of an account's rate, beside two round trips. They delay everybody else by as much.
pub(crate) const UNREAD_TIME: f64 = 0.25;

/// Unread answers may be 4 KiB at least: some forty.
pub(crate) const LEAST_UNREAD: usize = 4 * 1024;

/// Unread answers may be 256 KiB at most: a fast account needs no more.
pub(crate) const MOST_UNREAD: usize = 256 * 1024;

/// Unread answers may be 32 KiB while nobody knows what the account carries.
pub(crate) const UNKNOWN_UNREAD: usize = 32 * 1024;

/// Unread answers of a client that wait for no turn: 512 bytes, some eight. Where a hundred clients share a slow account a turn
/// comes once a minute, and a path is given up when nothing is answered for half of that.
pub(crate) const FEW_UNREAD: usize = 512;

/// What clients share of the memory for answers that wait at one account: 512 KiB at their prices. A client alone may have half
/// of it, some 500 answers: a window holds fewer blocks, and one that is not answered stops.
pub(crate) const ANSWERS_KEPT: usize = 512 * 1024;

/// 8 KiB of a client's answers, at their prices, may wait whatever others have waiting: some sixteen, and a path that is new or
/// slow has not many more blocks on its way. So those who fill an account with answers that wait cost nobody else a path.
/// With a thousand clients (`max_sessions`) that makes another 8 MiB at each account, at the most.
pub(crate) const ANSWERS_ALWAYS_KEPT: usize = 8 * 1024;

/// 8 clients whose answers wait are looked at after each sign that the server has read something, and the next ones after the
/// next sign: what that costs does not grow with how many wait.
pub(crate) const LOOKS: usize = 8;
