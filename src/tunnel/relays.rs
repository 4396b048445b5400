//! Relays: byte streams through the proxies of clients' servers (doc/lanes.md), as the tunnel drives them.
//!
//! The secure core says which relays are to be begun, joined and left. Here their proxies are called, each call in a task of its own
//! ([`call`]), and asked to join two connections; once a relay carries, what the core has for its path goes by it.

mod call;
mod lane;
mod shares;
mod words;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use xmpp_parsers::jid::{BareJid, FullJid};

use super::files::reach_of_own;
use super::{Shared, State};
use crate::carrier::records::Records;
use crate::carrier::relay::stream;
use crate::carrier::services::NotActivated;
use crate::protocol::AccountId;
use crate::secure::crypto::relay::NotARecord;
use crate::secure::relays::{RelayKey, RelayPath, RelaySeals, RelayTask};
use crate::secure::wire::relay_frame::{RelayEndReason, Rendezvous};
use crate::secure::{Endpoint, Transmit};
use crate::xmpp::place::{BadPlace, Reach};
pub(super) use call::{Call, run};
use call::{End, Outlet, Target};
pub use lane::RelayLane;
use shares::Shares;
use words::Phase;

/// The accounts that stand for relays have numbers above this one, which no account of the pool reaches.
const FIRST_ACCOUNT: u64 = 1 << 62;

/// The most that is kept for a relay until it is written, in bytes: 512 KiB. Behind 256 KiB the core sends no more blocks, but answers: whoever
/// sends blocks and reads nothing could call for any number of them.
const MOST_UNWRITTEN: usize = 512 * 1024;

/// The longest padding of a nudge, in bytes: 32, drawn each time, so that nudges have no size of their own.
const MAX_NUDGE: u16 = 32;

/// How long what is still to be written by relays is waited for when the program ends: 1 second.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// Why a proxy is not called.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum Fault {
    #[error("the server {0}")]
    Place(#[from] BadPlace),
    #[error("there is no proxy with a host that can be called, or no room for a relay")]
    Other(RelayEndReason),
}

impl From<RelayEndReason> for Fault {
    fn from(reason: RelayEndReason) -> Self {
        Self::Other(reason)
    }
}

impl From<Fault> for RelayEndReason {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Place(_) => Self::BadHost,
            Fault::Other(reason) => reason,
        }
    }
}

/// What the tunnel knows of relays.
#[derive(Debug)]
pub(super) struct Relays {
    lane: RelayLane,
    /// Those that the core wants.
    known: BTreeMap<RelayKey, Known>,
    /// Which relay each account stands for.
    by_account: BTreeMap<AccountId, RelayKey>,
    last_account: u64,
    calls: mpsc::UnboundedSender<Call>,
    /// Whose calls are under way, those included that only write what is left.
    shares: Shares,
    /// How many there are.
    under_way: watch::Sender<usize>,
}

/// One relay.
#[derive(Debug)]
enum Known {
    /// A client's call is made, or waits until the bridge has made one, too.
    Calling { stream: Stream, joined: oneshot::Sender<RelaySeals> },
    /// The proxy is asked to join them.
    Activating { stream: Stream, joined: oneshot::Sender<RelaySeals>, seals: RelaySeals },
    /// The proxy has joined a client's: it will carry in a moment.
    Activated { account: AccountId },
    /// A bridge's call is made, or waits for the client.
    Joining { _wanted: oneshot::Sender<()> },
    /// It carries.
    Up(Up),
}

/// A bytestream that a client has begun (XEP-0065).
#[derive(Clone, Debug)]
struct Stream {
    account: AccountId,
    sid: String,
    target: FullJid,
}

/// What carries a relay's path.
#[derive(Debug)]
pub(super) struct Up {
    records: Records,
    outlet: Outlet,
    path: Option<RelayPath>,
    /// On a client, the account whose server has the proxy.
    account: Option<AccountId>,
}

impl Up {
    fn new(records: Records, outlet: Outlet) -> Self {
        Self { records, outlet, path: None, account: None }
    }
}

impl Relays {
    pub(super) fn new(lane: RelayLane, calls: mpsc::UnboundedSender<Call>) -> Self {
        Self {
            lane,
            known: BTreeMap::new(),
            by_account: BTreeMap::new(),
            last_account: FIRST_ACCOUNT,
            calls,
            shares: Shares::default(),
            under_way: watch::Sender::new(0),
        }
    }

    /// How many calls are under way, as long as somebody asks.
    pub(super) fn under_way(&self) -> watch::Receiver<usize> {
        self.under_way.subscribe()
    }

    /// Sends what goes by a relay; gives back what does not. A relay whose other end does not read is over.
    pub(super) fn send(&mut self, core: &mut Endpoint, now: Instant, transmit: Transmit) -> Option<Transmit> {
        if transmit.via.0 < FIRST_ACCOUNT {
            return Some(transmit);
        }
        let relay = self.by_account.get(&transmit.via)?;
        let Some(Known::Up(up)) = self.known.get_mut(relay) else { return None };
        if let Some(record) = up.records.write(&transmit.action) {
            let queued = up.outlet.send(record);
            core.handle_backlog(transmit.via, 0, queued);
            if queued > MOST_UNWRITTEN {
                core.handle_relay_down(now, *relay, RelayEndReason::TooSlow);
            }
        }
        None
    }

    /// Has a call made, if there is room for one more, of this client where it is one of a bridge's.
    fn call(&mut self, call: Call, known: Known, client: Option<&BareJid>) -> Result<(), RelayEndReason> {
        if !self.shares.take(call.relay, client) {
            return Err(RelayEndReason::TooMany);
        }
        self.known.insert(call.relay, known);
        self.under_way.send_replace(self.shares.count());
        // Without the task nothing is called any more.
        let _ = self.calls.send(call);
        Ok(())
    }

    /// What is called, if the proxy may be: its server is at this domain.
    fn target(&self, rendezvous: &Rendezvous, domain: &str, reach: Reach) -> Result<Target, BadPlace> {
        let place = self.lane.place(rendezvous, domain)?;
        Ok(Target { dialer: self.lane.dialer(reach), place, address: rendezvous.address() })
    }

    /// Calls the proxy of a client's server, at this host and port, to which its bridge is to connect, too.
    fn find(
        &mut self,
        relay: RelayKey,
        (stream, ours): (Stream, &FullJid),
        (host, port): (&str, u16),
        reach: Reach,
    ) -> Result<(), Fault> {
        let address = stream::address(&stream.sid, ours, &stream.target);
        let rendezvous = Rendezvous::new(host, port, address).ok_or(RelayEndReason::BadHost)?;
        let target = self.target(&rendezvous, ours.domain().as_str(), reach)?;
        let (sender, joined) = oneshot::channel();
        let end = End::Client { rendezvous, joined };
        self.call(Call { relay, target, end }, Known::Calling { stream, joined: sender }, None)?;
        Ok(())
    }

    /// Calls the proxy at which a bridge's client waits.
    fn join(
        &mut self,
        relay: RelayKey,
        client: &BareJid,
        rendezvous: &Rendezvous,
        seals: RelaySeals,
    ) -> Result<(), Fault> {
        let target = self.target(rendezvous, client.domain().as_str(), Reach::Public)?;
        let (sender, wanted) = oneshot::channel();
        let end = End::Bridge { seals, wanted };
        self.call(Call { relay, target, end }, Known::Joining { _wanted: sender }, Some(client))?;
        Ok(())
    }

    /// Both ends are connected. Returns the bytestream that the proxy is to be asked to join.
    fn activate(&mut self, relay: RelayKey, seals: RelaySeals) -> Option<Stream> {
        let Known::Calling { stream, joined } = self.known.remove(&relay)? else { return None };
        self.known.insert(relay, Known::Activating { stream: stream.clone(), joined, seals });
        Some(stream)
    }

    /// The proxy has joined both ends of this bytestream, or not. Returns the relay that it is.
    fn on_activated(&mut self, sid: &str, is_done: bool) -> Option<RelayKey> {
        let is_it = |known: &Known| matches!(known, Known::Activating { stream, .. } if stream.sid == sid);
        let relay = *self.known.iter().find(|(_, known)| is_it(known))?.0;
        if !is_done {
            return Some(relay);
        }
        if let Some(Known::Activating { joined, seals, stream }) = self.known.remove(&relay) {
            self.known.insert(relay, Known::Activated { account: stream.account });
            // Without the task the connection has ended, which the core is about to hear.
            let _ = joined.send(seals);
        }
        Some(relay)
    }

    /// A relay is over: its call breaks off, or ends when all is written. Returns what it was.
    fn leave(&mut self, relay: RelayKey) -> Option<Known> {
        let known = self.known.remove(&relay)?;
        if let Known::Up(Up { path: Some(path), .. }) = &known {
            self.by_account.remove(&path.account);
        }
        Some(known)
    }
}

impl Shared {
    /// Does what the core wants done about relays. Tells whether there was anything.
    pub(super) fn see_to_relays(&self, state: &mut State, now: Instant) -> bool {
        let mut was_busy = false;
        while let Some(task) = state.cores.secure.poll_relay_task() {
            self.on_relay_task(state, now, task);
            was_busy = true;
        }
        was_busy
    }

    fn on_relay_task(&self, state: &mut State, now: Instant, task: RelayTask) {
        let Some(relays) = &mut state.relays else { return };
        let (relay, outcome) = match task {
            RelayTask::Find { relay, account, peer } => (relay, self.find(state, relay, (account, peer))),
            RelayTask::Join { relay, client, rendezvous, seals } => {
                (relay, relays.join(relay, &client, &rendezvous, seals))
            }
            RelayTask::Activate { relay, seals } => {
                if let Some(stream) = relays.activate(relay, seals) {
                    state.finder.activate(now, (stream.account, stream.sid), &stream.target);
                }
                return;
            }
            RelayTask::Leave { relay, reason, by_peer } => {
                if let Some(known) = relays.leave(relay) {
                    tell_end(state, &known, reason, by_peer);
                }
                return;
            }
        };
        if let Err(fault) = outcome {
            tracing::debug!("relay {} is not called: {fault}", relay.number());
            state.cores.secure.handle_relay_down(now, relay, fault.into());
        }
    }

    fn find(
        &self,
        state: &mut State,
        relay: RelayKey,
        (account, target): (AccountId, FullJid),
    ) -> Result<(), Fault> {
        let State { relays: Some(relays), finder, announcer, .. } = state else {
            return Err(RelayEndReason::Refused.into());
        };
        let (Some(proxy), Some(ours)) = (finder.proxy(account), finder.online(account)) else {
            return Err(RelayEndReason::Unreachable.into());
        };
        let stream = Stream { account, sid: stream::new_sid(&mut rand::random), target };
        let reach = reach_of_own(self.pool.uploader(account).as_ref()).reach;
        let outcome = relays.find(relay, (stream, ours), (&proxy.host, proxy.port), reach);
        if let Err(Fault::Place(bad)) = &outcome {
            announcer.announce_lane(account, &format!("relays are left: its server {bad}; {}", bad.advice()));
        }
        outcome
    }

    /// A search for the proxy of an account's server is over.
    pub(super) fn on_proxy(&self, state: &mut State, now: Instant, account: AccountId, is_there: bool) {
        let news =
            if is_there { "its server has a proxy for relays" } else { "its server has no proxy for relays" };
        state.announcer.announce_lane(account, news);
        state.cores.secure.handle_proxy(now, account, is_there);
    }

    /// A proxy has joined both ends of a bytestream, or not.
    pub(super) fn on_activated(
        &self,
        state: &mut State,
        now: Instant,
        account: AccountId,
        (sid, answer): (&str, Result<(), NotActivated>),
    ) {
        let Some(relays) = &mut state.relays else { return };
        let Some(relay) = relays.on_activated(sid, answer.is_ok()) else { return };
        if let Err(error) = answer {
            tracing::debug!("{}: relay {}: {error}", self.pool.name(account), relay.number());
            state.cores.secure.handle_relay_down(now, relay, RelayEndReason::Refused);
        }
    }

    /// Waits until what goes by relays is written, for a moment at most.
    pub(super) async fn write_relays(&self) {
        let Some(mut under_way) = self.lock().relays.as_ref().map(Relays::under_way) else { return };
        let _ = tokio::time::timeout(LAST_WRITES, under_way.wait_for(|count| *count == 0)).await;
    }

    /// A relay carries from now on, if it is still wanted.
    fn bring_up(&self, relay: RelayKey, mut up: Up) -> bool {
        self.with(|state, now| {
            let Some(relays) = state.relays.as_mut().filter(|relays| relays.known.contains_key(&relay))
            else {
                return false;
            };
            relays.last_account += 1;
            let account = AccountId(relays.last_account);
            let Some(path) = state.cores.secure.handle_relay_up(now, relay, account) else { return false };
            if let Some(Known::Activated { account }) = relays.known.get(&relay) {
                up.account = Some(*account);
                state.announcer.announce_lane(*account, "what it carries goes by a relay of its server");
            }
            up.path = Some(path);
            relays.by_account.insert(account, relay);
            relays.known.insert(relay, Known::Up(up));
            true
        })
    }

    /// Bytes have come by a relay. False when nobody wants it any more.
    fn on_relay_bytes(&self, relay: RelayKey, bytes: Bytes) -> Result<bool, NotARecord> {
        self.with(|state, now| {
            let known = state.relays.as_mut().and_then(|relays| relays.known.get_mut(&relay));
            let Some(Known::Up(Up { records, path: Some(path), .. })) = known else { return Ok(false) };
            records.handle(&mut state.cores.secure, now, path, bytes).map(|()| true)
        })
    }

    /// Sends a record that says nothing, so that the proxy passes on what it keeps back.
    fn nudge(&self, relay: RelayKey) {
        self.with(|state, _| {
            let known = state.relays.as_mut().and_then(|relays| relays.known.get_mut(&relay));
            if let Some(Known::Up(Up { records, outlet, .. })) = known {
                outlet.nudge(records.padding(rand::random_range(0..=MAX_NUDGE)));
            }
        });
    }

    /// The core hears that much has waited to be written, and now only so many bytes do.
    fn on_relieved(&self, relay: RelayKey, left: usize) {
        self.with(|state, _| {
            let known = state.relays.as_ref().and_then(|relays| relays.known.get(&relay));
            if let Some(Known::Up(Up { path: Some(path), .. })) = known {
                state.cores.secure.handle_backlog(path.account, 0, left);
            }
        });
    }

    /// A call is over.
    fn on_call_ended(&self, relay: RelayKey) {
        self.with(|state, _| {
            if let Some(relays) = &mut state.relays {
                relays.leave(relay);
                relays.shares.give_back(relay);
                relays.under_way.send_replace(relays.shares.count());
            }
        });
    }
}

/// A relay is over: the log says why where that helps a user, and the proxy's answer is not waited for.
fn tell_end(state: &mut State, known: &Known, reason: RelayEndReason, by_peer: bool) {
    let (account, phase) = match known {
        Known::Calling { stream, .. } => (stream.account, Phase::Beginning),
        Known::Activating { stream, .. } => {
            state.finder.withdraw_activation(&stream.sid);
            (stream.account, Phase::Beginning)
        }
        Known::Activated { account } => (*account, Phase::Beginning),
        Known::Up(Up { account: Some(account), .. }) => (*account, Phase::Up),
        Known::Joining { .. } | Known::Up(_) => return,
    };
    if let Some(news) = words::ended(phase, reason, by_peer) {
        state.announcer.announce_lane(account, &news);
    }
}
