//! Tuning: the constants of the secure core that were chosen by measuring, simulating or reckoning, each with its unit and reason.
//!
//! The measurements are in the commits that brought them, and in `doc/scaling.md`; where a specification has the same number or rule,
//! it is named. Bounds that a user can set are in `[limits]`, prices of memory in `budget::price`.

use std::time::Duration;

// Sizes of blocks (`path::window::block_size`).

/// The largest block of a slow path: 4096 bytes. Beyond it what the carrier puts around a block hardly counts.
pub(crate) const LARGEST_SLOW_BLOCK: usize = 4096;

/// A path is slow while a block of 4 KiB takes longer than 0.1 seconds on it, for which everything urgent waits behind a block.
/// It gets none that is larger, then.
pub(crate) const SLOW_BLOCK: Duration = Duration::from_millis(100);

/// A slow path takes a larger size if one block of it takes no longer than 0.62 seconds: less than what it gives up, so that it
/// does not swing.
pub(crate) const SLOW_BLOCK_ACCEPTABLE: Duration = Duration::from_millis(620);

/// A slow path gives up a size whose blocks take longer than 0.75 seconds: a cell waits for two of them at most, 1.5 seconds.
pub(crate) const SLOW_BLOCK_TOO_LONG: Duration = Duration::from_millis(750);

/// For a moment, to find out whether a path only seems so slow, blocks may take 1.2 seconds: less than twice
/// [`SLOW_BLOCK_ACCEPTABLE`], as each size is about twice the one before.
pub(crate) const SLOW_BLOCK_TRIAL: Duration = Duration::from_millis(1200);

/// A slow path is watched for 2 seconds before it gets larger blocks: a server that pauses between its reads (stock Prosody:
/// for up to 0.8 seconds) has paused more than once by then.
pub(crate) const SLOW_EPOCH: Duration = Duration::from_secs(2);

/// A size is tried for at least 24 blocks, and for [`EPOCH`]: one more or less, as it happens, makes 4 % of the rate then.
pub(crate) const EPOCH_BLOCKS: usize = 24;

/// A size is tried for at least 100 ms, of which the pause of a millisecond or two that a server or system makes is little.
pub(crate) const EPOCH: Duration = Duration::from_millis(100);

/// Another size is taken when it carries 1.03 times as much, so that two that are equally good do not take turns.
pub(crate) const SIZE_BETTER: f64 = 1.03;

/// On a slow path a larger size has to carry 1.3 times as much, since it costs everybody who is in a hurry.
pub(crate) const SLOW_SIZE_BETTER: f64 = 1.3;

/// Where a block takes less than 5 ms only the bytes around it count, and rates are too noisy to walk by them alone.
pub(crate) const FAST_BLOCK: Duration = Duration::from_millis(5);

/// There a larger size is taken that carries 0.93 times as much: acknowledgements and answers become rare with it.
pub(crate) const FAST_LARGER_SIZE: f64 = 0.93;

/// There a smaller size has to carry 1.12 times as much: more than the 1 / 0.93 = 1.08 times that the larger one may have given
/// up, so that noise leads to no smaller ones.
pub(crate) const FAST_SMALLER_SIZE: f64 = 1.12;

/// After an attempt that failed no other size is tried for 8 epochs: servers get more or less to do, so that it is worth trying
/// again.
pub(crate) const FIRST_REST: u32 = 8;

/// After several attempts that failed, for 64 epochs at the most: the two attempts that follow, one for a larger size and one
/// for a smaller, are 3 % of the time then.
pub(crate) const LONGEST_REST: u32 = 64;

/// While a window opens it has room for 32 blocks of the size in use: where a queue of [`LATE`] follows, a block takes some 1.3 ms.
pub(crate) const BLOCKS_IN_A_WINDOW: usize = 32;

/// Between servers a suspicion about the size of stanzas is believed for a day: a connection that is ended there is everybody's.
pub(crate) const LEG_SUSPICION_LASTS: Duration = Duration::from_secs(24 * 3600);

// Rates and delays (`path::window`).

/// The lasting rate forgets within 3 seconds: longer than any shaper's pause.
pub(crate) const RATE_MEMORY: Duration = Duration::from_secs(3);

/// Before 0.2 seconds were observed there is no lasting rate: the burst that a shaper lets pass at once is none.
pub(crate) const RATE_OBSERVED: Duration = Duration::from_millis(200);

/// The peak rate is the largest of the latest 8 samples: 2 seconds at the least, so that the pause of a shaper (stock Prosody:
/// up to 0.8 seconds) or a moment in which the server is busy does not narrow the window.
pub(crate) const RATE_SAMPLES: usize = 8;

/// The shortest time that makes a sample: 250 ms. A few answers that come at once, after a pause, are no rate.
pub(crate) const RATE_SAMPLE: Duration = Duration::from_millis(250);

/// The fastest answer counts as the delay of the empty path for 30 seconds, as in BBR, where it is 10: each time the queue has
/// to be seen empty once, for which everybody on the path waits.
pub(crate) const BASE_DELAY_LIFETIME: Duration = Duration::from_secs(30);

/// The window of a new path: 5 KiB, with room for four cells of Tor's.
pub(crate) const INITIAL_WINDOW: usize = 5 * 1024;

/// The largest window: 64 MiB on the wire, more than a path of 100 MB/s and a round trip of 0.6 seconds holds (60 MB).
pub(crate) const LARGEST_WINDOW: usize = 64 * 1024 * 1024;

/// The queue that there should be on a path so that it never runs empty: 6 ms. Everything urgent waits for it: with 40 ms a cell beside
/// bulk took 23 ms through Prosody without limits, with 10 ms half of that, and bulk was no slower.
pub(crate) const QUEUE: Duration = Duration::from_millis(6);

/// Beside [`QUEUE`] a window holds a quarter of the path's own delay, at most 60 ms: so it asks for a queue of at most 66 ms and a block.
pub(crate) const LARGEST_MARGIN: Duration = Duration::from_millis(60);

/// An answer is late when it has waited for more than 40 ms: a server that carries megabytes a second rests for less, mostly.
pub(crate) const LATE: Duration = Duration::from_millis(40);

/// A queue of 100 ms is longer than any should be: what waits in Prosody is copied each time that some of it can be sent.
pub(crate) const LONG_QUEUE: Duration = Duration::from_millis(100);

/// While a window opens, a path is near if it takes at most 40 ms there and back while empty: what growing more slowly costs is soon
/// regained.
pub(crate) const NEAR: Duration = Duration::from_millis(40);

/// Slow start ends when 8 answers of whole rounds have waited (RFC 9406 section 4.3): fewer may have met a moment's rest of the server.
pub(crate) const WAITED_ANSWERS: usize = 8;

/// Up to 8 MiB the window of a path that is not [`NEAR`] becomes four times as large in a round trip, then twice, and one and a half times
/// where answers are not [`QUIET`]: a server without a shaper carries 10 MB/s and more, but what is sent too much waits for as long as it
/// takes to notice, a round trip.
pub(crate) const FAST_GROWTH: usize = 8 * 1024 * 1024;

/// Answers that have waited for no longer than 30 ms show no queue: a window in use asks for one of up to 66 ms ([`LARGEST_MARGIN`]).
pub(crate) const QUIET: Duration = Duration::from_millis(30);

/// A round of fewer than 4 answers shows nothing of that.
pub(crate) const QUIET_ANSWERS: usize = 4;

/// When the rate of a round is at least 1.25 times that of the round before, the path was not full in the earlier one (as in BBR's startup).
pub(crate) const GROWN_RATE: f64 = 1.25;

/// 2 answers are enough for an average of what they wait while nothing is queued: a slow path has no more on its way in a break.
pub(crate) const JITTER_ANSWERS: u32 = 2;

/// Jitter is 300 ms at the most, as the longest lines of the simulations have it. Who waits for a stock server's shaper waits for longer: 340 ms
/// for each KiB at ejabberd's 3 kB/s, 800 ms after each read of Prosody's.
pub(crate) const LONGEST_JITTER: Duration = Duration::from_millis(300);

/// A far path that carries 20,000 bytes a second has no stock server's shaper before it (3 to 10 kB/s), and is fast enough for breaks and for
/// opening again.
pub(crate) const UNSHAPED_RATE: f64 = 20_000.0;

/// After 2 round trips without a queue the window of a far path opens again: it holds less than the path.
pub(crate) const QUIET_ROUNDS: u32 = 2;

/// After 8 where it is about as large as one that was too large, or the path is slow: by then it has grown threefold as its rate says, and still
/// nothing waits.
pub(crate) const QUIET_ROUNDS_ABOVE: u32 = 8;

/// A window that opens again goes to 0.7 times the one that was found too large (as CUBIC does after a loss, RFC 9438 section 4.6), and from
/// there as its rate says: what piles up at a server can make it several times slower (`xmpp::records`).
pub(crate) const BELOW_TOO_LARGE: f64 = 0.7;

/// What is taken from applications should keep the path busy for 3 seconds: acknowledgements take up to two.
pub(crate) const SEND_BUFFER_TIME: Duration = Duration::from_secs(3);

/// Beyond 1 MiB a sender keeps two windows and no more: there an acknowledgement comes after each [`ACK_BYTES`], and not after seconds.
pub(crate) const LARGE_SEND_BUFFER: usize = 1024 * 1024;

/// Shapers let a burst of some 20 kB pass before they begin, so a window grows only after 24 KiB were answered. Beyond
/// [`PROMPT_ROUND_TRIP`] what is answered and what is on its way may together be 24 KiB and a first window ([`INITIAL_WINDOW`]), so that
/// those 24 KiB take two round trips instead of five.
pub(crate) const SHAPER_BURST: usize = 24 * 1024;

/// A burst passes within 1 second, or 6 round trips far away. What takes longer is so little that a shaper of 10 kB/s lets another one pass
/// meanwhile, and says nothing of whether there is one.
pub(crate) const BURST_LASTS: Duration = Duration::from_secs(1);

/// 116 KiB: the window of a path beyond [`PROMPT_ROUND_TRIP`] once a shaper's burst has passed and nothing waits. That is four times what it
/// had been, as after any other round trip.
pub(crate) const WINDOW_AFTER_BURST: usize = 4 * (SHAPER_BURST + INITIAL_WINDOW);

/// On a near path, before another size of block is tried, the queue is to be seen empty, if the last time was more than 8 delays of the empty
/// path ago.
pub(crate) const DELAYS_BEFORE_A_TRIAL: u32 = 8;

/// A path whose answers take longer than 100 ms is slow for another reason than how its server reads.
pub(crate) const PROMPT_ROUND_TRIP: Duration = Duration::from_millis(100);

/// Far away, beyond [`PROMPT_ROUND_TRIP`], a path takes a break once a second at the most, as near (`xmpp::records`).
pub(crate) const BREAK_INTERVAL_FAR: Duration = Duration::from_secs(1);

/// 6 round trips at least lie between two breaks of a far path: a break takes one of them, and costs up to a fifth of what that would carry.
pub(crate) const ROUND_TRIPS_BETWEEN_BREAKS: u32 = 6;

/// A break of a far path makes its window smaller by one and a half times what waits at the server, and by what it carries in 10 ms: so the
/// server comes to the end of it.
pub(crate) const SHORTEST_BREAK: Duration = Duration::from_millis(10);

/// No path has more than 800 blocks on its way: the other end keeps some 1000 answers that wait ([`ANSWERS_KEPT`]).
pub(crate) const MOST_BLOCKS: usize = 800;

/// Before one block at a time is tried on a path, what two carry is looked at for 5 seconds: the rate forgets within [`RATE_MEMORY`].
pub(crate) const SPARING_LOOK: Duration = Duration::from_secs(5);

/// It is enough if it carries 0.85 times as much: a shaper's reads make a tenth of difference.
pub(crate) const SPARING_KEEPS: f64 = 0.85;

/// Or else it is tried again in a minute, when the server or the line may have less to do.
pub(crate) const SPARING_REST: Duration = Duration::from_secs(60);

// Pacing (`path::pacer`).

/// A far path sends a window in four fifths of its round trip (RFC 9002 section 7.7), so that it is full most of the time.
pub(crate) const PACE: f64 = 1.25;

/// While the window opens, it sends one in half of the round trip, as TCP's pacing in Linux does: the window grows meanwhile.
pub(crate) const PACE_IN_SLOW_START: f64 = 2.0;

/// What a path takes in 10 ms may go at once: timers are exact to a millisecond.
pub(crate) const PACER_BURST: Duration = Duration::from_millis(10);

/// So may 10 KiB, two first windows ([`INITIAL_WINDOW`]), however slow the path is (RFC 9002 section 7.7).
pub(crate) const PACER_BURST_BYTES: usize = 2 * INITIAL_WINDOW;

/// When more has gone there is a pause of at least 4 ms, so that sending costs no more than 250 timers a second.
pub(crate) const PACER_PAUSE: Duration = Duration::from_millis(4);

// Paths.

/// However fast its answers were, a path has not stalled before there was none for 2.5 seconds. A server that slows its clients down
/// begins to pause at any moment: on the models of servers (`path::server_model`) stock Prosody makes silences of up to 0.8 seconds,
/// with two pauses in a row 1.6, stock ejabberd 2.1; and 2.1 were the longest among a thousand clients of one bridge (`tests/scale`).
/// Somewhere below a TCP may have lost a segment three times, too, which it makes good after 1.4 seconds at the least.
pub(crate) const LEAST_TIMEOUT: Duration = Duration::from_millis(2500);

/// A path by which nothing was answered yet stalls after 3 seconds, as a TCP that has seen a loss in its handshake (RFC 6298 section
/// 5.7).
pub(crate) const FIRST_TIMEOUT: Duration = Duration::from_secs(3);

/// A path is dead after 7 timeouts without a word: three in a row, each twice as long as the one before (RFC 6298 section 5.5). That is
/// never before 17.5 seconds, so that a peer whose account logs in anew meanwhile is found at the old path or refuses it.
pub(crate) const TIMEOUTS_UNTIL_DEATH: u32 = 1 + 2 + 4;

/// Whatever its timeout is, a path is dead when something was not answered for 30 seconds (doc/protocol.md 2.5). Other paths
/// took over what it had on its way when it stalled, so that patience costs little. It is no shorter than [`LONGEST_ROUND`], for which a
/// block may wait for its turn.
pub(crate) const PATH_DEAD: Duration = Duration::from_secs(30);

/// What the delay of a path is taken for before there was any answer: 50 ms, as between two places of one continent. Only the
/// choice between paths depends on it, until the first answer.
pub(crate) const UNKNOWN_DELAY: Duration = Duration::from_millis(50);

/// The other end may take 10 seconds to answer an open and to shake hands: a connect that waits for 15 to 25 seconds can try
/// another pair, then.
pub(crate) const OPEN_PATIENCE: Duration = Duration::from_secs(10);

/// A path that lived for less than 2 seconds has failed, whatever it said at first: otherwise an account that takes paths and
/// ends them would be tried again without a pause.
pub(crate) const SHORT_LIFE: Duration = Duration::from_secs(2);

/// Paths of one session that a client opens: 16 (doc/protocol.md 2.7), one for each account that it uses.
pub(crate) const MAX_PATHS: usize = 16;

/// 2 paths are enough for a session that carries little: it goes on when one fails. Each costs the bridge's account the answers
/// to its open and its close, some 350 bytes, and there are many who come for a few kilobytes.
pub(crate) const FEW_PATHS: usize = 2;

/// A pair of accounts that fails for the first time rests for half a second, and twice as long each further time
/// (doc/protocol.md 2.7), so that who only logs in anew is found again soon.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause before an account that the bridge line names is tried again: 5 seconds.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The same for an account that the bridge has told of, 60 seconds: it may be a stranger's, to whom we had better not write
/// often.
pub(crate) const LONGEST_PAUSE_OF_TOLD: Duration = Duration::from_secs(60);

/// An account that its server has not found 3 times in a row, which takes one or two seconds, is not only logging in anew.
pub(crate) const ABSENT: u32 = 3;

/// A bridge all of whose accounts have refused 3 times in a row is not there, if that has lasted for [`HOPELESS_SHARE`].
pub(crate) const HOPELESS_FAILURES: u32 = 3;

/// A bridge that refuses is tried again for 3/5 of the time that a connect may take: 15 seconds by default (doc/protocol.md
/// 2.7). It may be logging in anew, or be short of places for another handshake at this very moment, and refuses then in the
/// same words; a minute later is too late.
pub(crate) const HOPELESS_SHARE: (u32, u32) = (3, 5);

// Relays that become slow (`path::lateness`, `session::relay_lane`).

/// An answer by a relay is late after what the empty relay takes and 750 ms more: its TCP connection makes good a loss within 200 to 400 ms, a
/// hiccup takes 500, and what waits there beside bulk waits for some 100. From then on it is one path among the others, and what it has
/// on its way goes by those as well, so that a cell waits there for a second at most. A shaper's pauses (0.8 to 2.1 seconds) are none of a relay's.
pub(crate) const RELAY_LATE: Duration = Duration::from_millis(750);

/// A relay that has been late for 1.25 seconds has no hiccup, and is left for something better: together with [`RELAY_LATE`] that is
/// 2 seconds, in which a TCP that has lost a segment three times (1.4 seconds) is back, and it leaves one of three for the change.
pub(crate) const RELAY_TOO_LATE: Duration = Duration::from_millis(1250);

/// It is left for what carries twice as much: rates of seconds vary by less, and another relay comes no earlier than after 10 seconds.
pub(crate) const RELAY_OUTDONE: f64 = 2.0;

/// A path by accounts of which nobody knows yet what it carries is taken for 3000 bytes a second, as stock ejabberd reads.
pub(crate) const LEAST_STOCK_RATE: f64 = 3000.0;

// Packets and acknowledgements.

/// A peer from which nothing has come for 10 seconds is asked for a packet, and again as often until one comes (doc/protocol.md
/// 2.7): a dozen times before `session_timeout` has passed.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(10);

/// A session that has been idle for longer than [`PING_INTERVAL`] waits for as long as it was idle, at most 45 seconds: most
/// sessions are, and what asking costs is time that the servers would have for others.
pub(crate) const LONGEST_PING_INTERVAL: Duration = Duration::from_secs(45);

/// Nagle-style coalescing (RFC 896): a packet with more than 2 KiB free, or half of its block, waits for up to [`COALESCING`]
/// while nothing has come from the peer since the previous one.
pub(crate) const COALESCING_ROOM: usize = 2048;

/// How long such a packet waits: 2 ms, within which what an application writes in one go has come. Peers that answer each other
/// do not wait.
pub(crate) const COALESCING: Duration = Duration::from_millis(2);

/// A session that has carried 16 KiB, or is to, is worth more than [`FEW_PATHS`]: a short visit is over by then.
pub(crate) const MORE_PATHS_BYTES: usize = 16 * 1024;

/// Room for what a packet holds beside the bytes of streams: 512 bytes, more than that usually takes.
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

/// What is answered within 20 ms a slow server has read at once: between two of its reads there are more than 100.
pub(crate) const ONE_READ: Duration = Duration::from_millis(20);

/// What would come to a server less than 10 ms before it reads may come too late, and is read the next time.
pub(crate) const IN_TIME: Duration = Duration::from_millis(10);

/// So may what would come in the last eighth of its pause: rates are as exact as that. What comes too late waits for a whole pause more.
pub(crate) const IN_TIME_SHARE: f64 = 0.125;

/// Rates of which one is at most twice the other may be one server's limit, seen through a few of its reads.
pub(crate) const ALIKE: f64 = 2.0;

/// For 10 seconds after an express packet one of several accounts with slow paths is kept for the next ones: longer than a person takes between two
/// keys, or a page between two requests.
pub(crate) const RESERVED_LASTS: Duration = Duration::from_secs(10);

/// Meanwhile it carries bulk in blocks of 1 KiB, one at a time: some 1,600 bytes on the wire, behind which a cell waits for 0.16 seconds at most
/// on stock Prosody, and 0.9 of the rate.
pub(crate) const RESERVED_BLOCK: usize = 1024;

/// Where there are more than two accounts, of 512 bytes: for 0.1 seconds on stock Prosody, 0.3 on stock ejabberd. That leaves three quarters of the
/// rate: of two that would be an eighth of all, but of four it is a sixteenth.
pub(crate) const RESERVED_BLOCK_OF_SEVERAL: usize = 512;

/// An acknowledgement is due after 192 KiB, however fast they came: after each fourth of the largest blocks. Alone it costs 480
/// bytes with its answer.
pub(crate) const ACK_BYTES: usize = 192 * 1024;

/// After 64 KiB, or when the peer waits for it, an acknowledgement is due within [`ACK_SOON`]: on a path of 40 kB/s, that is
/// one for each 1.6 seconds.
pub(crate) const ACK_SOON_BYTES: usize = 64 * 1024;

/// How soon that is: within 200 ms, so that most can ride on a packet that goes anyway.
pub(crate) const ACK_SOON: Duration = Duration::from_millis(200);

/// Any acknowledgement is due after 2 seconds: less than [`SEND_BUFFER_TIME`], so that no sender runs out of room meanwhile.
pub(crate) const ACK_AT_LAST: Duration = Duration::from_secs(2);

/// A packet counts as 1 KiB at least: each costs the sender memory, however small it is.
pub(crate) const ACK_PACKET: usize = 1024;

/// A packet that is not acknowledged after 10 seconds, though a later one is, has been swallowed, whatever its path seems to
/// say (doc/protocol.md 2.5): paths that work differ by less than that.
pub(crate) const PACKET_LOST: Duration = Duration::from_secs(10);

/// A peer may owe something for 30 seconds: three times as long as it takes to find out that a packet was swallowed.
pub(crate) const OVERDUE: Duration = Duration::from_secs(30);

/// Of the time between two packets 5 seconds count at most: half of [`PING_INTERVAL`].
pub(crate) const OVERDUE_PAUSE: Duration = Duration::from_secs(5);

/// Every stream is looked at once a second: a thirtieth of [`OVERDUE`] is exact enough, and a look costs as much as there are
/// streams.
pub(crate) const OVERDUE_LOOK: Duration = Duration::from_secs(1);

// Streams.

/// A stream with up to 1152 bytes to send, two cells of Tor's with what TLS puts around them, has little.
pub(crate) const LITTLE_BYTES: u64 = 1152;

/// A stream sends 2 KiB before it is the turn of the next, as in deficit round robin (Shreedhar, Varghese, 1996): three cells
/// of Tor's.
pub(crate) const STREAM_QUANTUM: u64 = 2048;

/// Fewer than 64 bytes of data are not worth a frame, with its header of some eight, unless there is no more or nothing else in
/// the packet.
pub(crate) const MIN_PIECE_BYTES: u64 = 64;

// Accounts.

/// No block goes by an account that has more than 256 KiB to write: a few of the largest blocks, and less than what makes
/// others wait where servers read slowly.
pub(crate) const MAX_UNWRITTEN_BYTES: usize = 256 * 1024;

/// No block goes by an account that has more than 1024 pieces to write: only where none can be written at all.
pub(crate) const MAX_UNWRITTEN_PIECES: usize = 1024;

/// What is on its way by an account of unknown rate is taken to be read within half a second: two of the smallest blocks take
/// 0.3 seconds where a server reads 10 kB/s.
pub(crate) const UNKNOWN_BACKLOG: Duration = Duration::from_millis(500);

/// Two blocks keep a path busy if its delay is less than 0.9 times what they take: the rest is what delays vary by.
pub(crate) const BUSY_SHARE: f64 = 0.9;

/// The delay of an empty path counts as 2 seconds at most: a peer that answers later does so on purpose, or is too slow to be kept busy.
pub(crate) const LONGEST_UNQUEUED_DELAY: Duration = Duration::from_secs(2);

/// What went by a path that is no more counts as on its way for at most 3 seconds, even if the account is slower: what has
/// stalled has waited for about as long already ([`LEAST_TIMEOUT`]).
pub(crate) const ORPHANED: Duration = Duration::from_secs(3);

/// Whoever always waits for its turn should not wait for longer than 30 seconds, after which a path is dead: blocks become
/// smaller, until they are as small as makes sense. Smaller ones cost everybody some of the rate, and who sends now and then
/// does not wait so long anyway.
pub(crate) const LONGEST_ROUND: Duration = Duration::from_secs(30);

/// Where several share an account no block that is larger than its window wants takes longer than 0.75 seconds: as little as on
/// a slow path ([`SLOW_BLOCK_TOO_LONG`]).
pub(crate) const SHARED_BLOCK_TIME: Duration = SLOW_BLOCK_TOO_LONG;

/// The smallest block of a path that shares an account, and has no experience of its own: 1 KiB. With 512 bytes a
/// quarter would be what the carrier puts around them.
pub(crate) const SMALLEST_SHARED_BLOCK: usize = 1024;

/// The largest such block: 4 KiB, as on a slow path ([`LARGEST_SLOW_BLOCK`]).
pub(crate) const LARGEST_SHARED_BLOCK: usize = 4096;

/// A client is ahead of an account's clock by what it has been sent elsewhere, but by 24 KiB at the most: accounts at which
/// there is less to be had must come round, too.
pub(crate) const MAX_LEAD: u64 = 24 * 1024;

// Quotas of accounts (`accounts::quota`).

/// Where less than 64 KiB are left of a quota, which the largest block takes on the wire, only small ones go.
pub(crate) const LOW_QUOTA: usize = 64 * 1024;

/// An account that has sent all that it may in a day sends in blocks of 1 KiB, of which the default quota lets two go in a second.
pub(crate) const SPENT_BLOCK: usize = 1024;

// Legs between servers (`accounts::leg_window`).

/// The queue that all of ours may cause between two servers: 375 ms. No message of a stranger's should wait for longer than a second: the
/// window may be too full by half a block, and a server that reads in bursts lets what comes behind one wait for as long as it takes. With
/// 300 ms an account whose server reads 10 kB/s had too little on its way, and so had many where delays vary by 500 ms.
pub(crate) const LEG_QUEUE: Duration = Duration::from_millis(375);

/// Where blocks that go alone usually take longer than the shortest delay, 250 ms beyond what those take: of many blocks none overtakes
/// another, so that they take rather as long as the slowest. With 300 ms strangers' messages came too late where delays vary by 500 ms.
pub(crate) const LEG_QUEUE_BEHIND_ALONE: Duration = Duration::from_millis(250);

/// A leg has become slower if every answer within a round trip took a second more than the shortest delay: delays vary by less.
pub(crate) const LEG_SLOWED: Duration = Duration::from_secs(1);

/// The rate of a leg is the highest of the last 2.5 to 5 seconds: of some round trips, and no longer than a queue may grow where a leg has
/// become a little slower.
pub(crate) const LEG_RATE_LIFETIME: Duration = Duration::from_millis(2500);

/// What has waited for 40 ms at most between servers has hardly waited ([`LATE`]).
pub(crate) const LEG_QUIET: Duration = LATE;

/// The window of a leg of which nothing is known: 5 KiB, as that of a path.
pub(crate) const INITIAL_LEG_WINDOW: usize = INITIAL_WINDOW;

/// The least window of a leg: 1 KiB on the wire, with room for one of the smallest blocks, [`SMALLEST_LEG_BLOCK`].
pub(crate) const LEAST_LEG_WINDOW: usize = 1024;

/// Where answers come earlier than they may by more than [`LEG_QUIET`] the window of a leg has room for two of the smallest blocks: 1.5 KiB on
/// the wire.
pub(crate) const LEG_ROOM_FOR_TWO: usize = 1536;

/// The smallest block on a leg that is slower than any account: 512 bytes, some 900 on the wire, which take 0.3 seconds where a server reads
/// 3 kB/s from another one.
pub(crate) const SMALLEST_LEG_BLOCK: usize = 512;

/// A window that has been full for 30 seconds, and has seen nobody wait for less than [`LEG_QUIET`], is drained: by then base delays are
/// believed no longer ([`BASE_DELAY_LIFETIME`]).
pub(crate) const LEG_DRAIN_INTERVAL: Duration = BASE_DELAY_LIFETIME;

/// After that 3 blocks go alone: a server that reads in bursts (stock Prosody: 8 KiB) rests after what was before the first one, and hardly
/// after that.
pub(crate) const LEG_PROBES: u32 = 3;

/// The window of a leg holds 2 blocks for each account that sends, and 6 in all: with smaller ones more would go for what the carrier puts
/// around them.
pub(crate) const LEG_BLOCKS: usize = 6;

/// 256 legs are remembered though nobody uses them, some 100 kB; one more makes all of those be forgotten.
pub(crate) const MOST_LEGS: usize = 256;

/// An answer to a block waits for others for 4 ms at most. A server has as much to do for one as for a small block: without
/// that wait a cell took 0.9 ms through Prosody instead of 0.7, and bulk had a tenth less.
pub(crate) const ANSWER_DELAY: Duration = Duration::from_millis(4);

/// The same while large blocks of ours are being sent, of which the next one takes it along: 25 ms.
pub(crate) const ANSWER_DELAY_IN_BULK: Duration = Duration::from_millis(25);

/// 4 answers do not wait. The window of a new path has room for as many cells of Tor's.
pub(crate) const ANSWERS_TOGETHER: usize = 4;

/// Nor do answers to more than 64 KiB of blocks: a fast peer waits for them.
pub(crate) const ANSWERED_BYTES: usize = 64 * 1024;

/// A block of at least 4 KiB takes answers along, of which a few are some hundred bytes.
pub(crate) const CARRYING_BLOCK: usize = 4096;

/// What has been written for 5 seconds has been read, or went with its connection. The server takes a second for as much as may
/// be unread of answers, and about two for what may be before them. Those who answer nothing would otherwise leave no room for
/// good.
pub(crate) const UNREAD_PATIENCE: Duration = Duration::from_secs(5);

/// Unread answers may fill 0.25 seconds of an account's rate, beside two round trips. They delay everybody else by as much.
pub(crate) const UNREAD_TIME: Duration = Duration::from_millis(250);

/// Unread answers may be 4 KiB at least: some forty.
pub(crate) const MIN_UNREAD: usize = 4 * 1024;

/// Unread answers may be 256 KiB at most: a fast account needs no more.
pub(crate) const MAX_UNREAD: usize = 256 * 1024;

/// While nobody knows what an account carries it is taken for 128 KiB a second: 32 KiB of unread answers beside what the round
/// trips hold.
pub(crate) const UNKNOWN_ANSWER_RATE: f64 = 128.0 * 1024.0;

/// Unread answers of a client that wait for no turn: 512 bytes, some eight. Where a hundred clients share a slow account a turn
/// comes once a minute, and a path is given up when nothing is answered for half of that.
pub(crate) const FEW_UNREAD: usize = 512;

/// What clients share of the memory for answers that wait at one account: 1 MiB at their prices. A client alone may have half
/// of it, some 1000 answers: a window holds fewer blocks, and one that is not answered stops.
pub(crate) const ANSWERS_KEPT: usize = 1024 * 1024;

/// 8 KiB of a client's answers, at their prices, may wait whatever others have waiting: some sixteen, and a path that is new or
/// slow has not many more blocks on its way. So those who fill an account with answers that wait cost nobody else a path. With
/// a thousand clients (`max_sessions`) that makes another 8 MiB at each account, at the most.
pub(crate) const ANSWERS_ALWAYS_KEPT: usize = 8 * 1024;

/// 8 clients whose answers wait are looked at after each sign that the server has read something, and the next ones after the
/// next sign: what that costs does not grow with how many wait.
pub(crate) const LOOKS: usize = 8;
