//! Model of the program of 2013, as far as it can be told from outside. It shares no code with ours but the
//! payloads' encoding.
//!
//! It writes `id="0"` on every IQ, answers no set, never sends anything twice, ignores what it does not
//! know, rotates over its accounts and the peer's aliases, and breaks at once on an id that is over or
//! more than 100 places ahead.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hexchat_pt::classic::seq::SeqNum;
use hexchat_pt::classic::{Aliases, Header, Payload};
use hexchat_pt::protocol::{AccountChange, AccountId, Address, CloseReason, Core, Event, Read, StreamId};
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::letters::{Body, Stanza};
use crate::program::Program;

/// The most that it reads from an application at once.
const PIECE: usize = 1024;
/// Its limiter: how long it waits between two reads.
const PAUSE: Duration = Duration::from_millis(40);
const MODULUS: i64 = 0xffff_ffff;
const PLACES: i64 = 100;

#[derive(Default)]
pub(crate) struct OldPeer {
    accounts: Vec<(AccountId, FullJid)>,
    next_account: usize,
    streams: BTreeMap<StreamId, Stream>,
    /// Our end, the bare JID that was asked, the peer's end.
    pending: BTreeMap<(Address, BareJid, Address), StreamId>,
    /// Our end, the peer's aliases, the peer's end.
    routes: BTreeMap<(Address, Aliases, Address), StreamId>,
    outbox: VecDeque<(AccountId, Jid, Stanza)>,
    events: VecDeque<Event>,
    next_stream: u64,
}

struct Stream {
    local: Address,
    remote: Address,
    theirs: Option<Aliases>,
    /// For a connect from outside: who asked, over which of our accounts.
    asked_by: Option<(AccountId, FullJid)>,
    next_alias: usize,
    next_id: u32,
    expected: u32,
    waiting: BTreeMap<u32, Item>,
    unread: VecDeque<Bytes>,
    may_write_at: Instant,
    write_blocked: bool,
    closed: Option<CloseReason>,
}

enum Item {
    Data(Bytes),
    Disconnect,
}

impl OldPeer {
    fn aliases(&self) -> Aliases {
        Aliases::new(self.accounts.iter().map(|(_, jid)| jid.clone())).expect("it has accounts")
    }

    fn header(&self, stream: &Stream) -> Header {
        Header { local: stream.local.clone(), remote: stream.remote.clone(), aliases: self.aliases() }
    }

    fn add_stream(&mut self, now: Instant, local: Address, remote: Address) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        let stream = Stream {
            local,
            remote,
            theirs: None,
            asked_by: None,
            next_alias: 0,
            next_id: 0,
            expected: 0,
            waiting: BTreeMap::new(),
            unread: VecDeque::new(),
            may_write_at: now,
            write_blocked: false,
            closed: None,
        };
        self.streams.insert(id, stream);
        id
    }

    /// Sends with the next account to the next alias.
    fn send_set(&mut self, id: StreamId, payload: impl FnOnce(Header, SeqNum) -> Payload) {
        let header = self.header(&self.streams[&id]);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let theirs: Vec<FullJid> = stream.theirs.iter().flat_map(Aliases::iter).cloned().collect();
        let to = theirs[stream.next_alias % theirs.len()].clone();
        stream.next_alias += 1;
        let payload = payload(header, SeqNum::new(stream.next_id).expect("a short run"));
        stream.next_id += 1;
        let (via, _) = self.accounts[self.next_account % self.accounts.len()];
        self.next_account += 1;
        self.outbox.push_back((via, to.into(), Stanza { id: "0".into(), body: Body::Set(payload) }));
    }

    fn close(&mut self, id: StreamId, reason: CloseReason) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.closed.is_some() {
            return;
        }
        stream.closed = Some(reason);
        if let Some(theirs) = stream.theirs.clone() {
            self.routes.remove(&(stream.local.clone(), theirs, stream.remote.clone()));
        }
        self.events.push_back(Event::Closed(id, reason));
    }

    fn send_disconnect(&mut self, id: StreamId) {
        self.send_set(id, |header, id| Payload::Disconnect { header, id });
    }

    fn on_connect(&mut self, now: Instant, via: AccountId, from: &FullJid, header: Header) {
        let key = (header.remote.clone(), header.aliases.clone(), header.local.clone());
        let deciding = |stream: &Stream| stream.local == header.remote && stream.remote == header.local;
        if self.routes.contains_key(&key) || self.streams.values().any(deciding) {
            return;
        }
        let id = self.add_stream(now, header.remote.clone(), header.local);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.theirs = Some(header.aliases);
        stream.asked_by = Some((via, from.clone()));
        self.events.push_back(Event::Incoming { stream: id, target: header.remote });
    }

    fn on_ack(&mut self, from: &FullJid, header: &Header, success: bool) {
        let key = (header.remote.clone(), from.to_bare(), header.local.clone());
        if !header.aliases.contains(from) {
            return;
        }
        let Some(id) = self.pending.remove(&key) else { return };
        if !success {
            return self.close(id, CloseReason::Refused);
        }
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.theirs = Some(header.aliases.clone());
        self.routes.insert((stream.local.clone(), header.aliases.clone(), stream.remote.clone()), id);
        self.events.push_back(Event::Connected(id));
    }

    fn on_item(&mut self, header: &Header, id: SeqNum, item: Item) {
        let key = (header.remote.clone(), header.aliases.clone(), header.local.clone());
        let Some(&stream_id) = self.routes.get(&key) else { return };
        let Some(stream) = self.streams.get_mut(&stream_id) else { return };
        let difference = i64::from(id.get()) - i64::from(stream.expected);
        let redundant = difference < 0 && -MODULUS / 2 < difference;
        if redundant || difference.rem_euclid(MODULUS) > PLACES {
            self.send_disconnect(stream_id);
            return self.close(stream_id, CloseReason::ProtocolViolation);
        }
        stream.waiting.insert(id.get(), item);
        while let Some(item) = stream.waiting.remove(&stream.expected) {
            stream.expected += 1;
            match item {
                Item::Data(data) => stream.unread.push_back(data),
                Item::Disconnect => {
                    self.close(stream_id, CloseReason::Finished);
                    break;
                }
            }
        }
        self.events.push_back(Event::Readable(stream_id));
    }

    /// Whether the application has not said yet if it takes the stream that a peer asks for.
    fn is_undecided(&self, id: StreamId) -> bool {
        let is_routed = self.routes.values().any(|routed| *routed == id);
        !is_routed
            && self
                .streams
                .get(&id)
                .is_some_and(|stream| stream.asked_by.is_some() && stream.closed.is_none())
    }

    fn refuse(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else { return };
        let Some((via, from)) = stream.asked_by.clone() else { return };
        let payload = Payload::ConnectAck { header: self.header(&stream), success: false, resend: false };
        self.outbox.push_back((
            via,
            from.into(),
            Stanza { id: "0".into(), body: Body::Result(Some(payload)) },
        ));
    }
}

impl Core for OldPeer {
    fn handle_account(&mut self, _now: Instant, account: AccountId, change: AccountChange) {
        if let AccountChange::Online { jid, .. } = change {
            self.accounts.retain(|(other, _)| *other != account);
            self.accounts.push((account, jid));
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        for (&id, stream) in &mut self.streams {
            if stream.write_blocked && stream.may_write_at <= now {
                stream.write_blocked = false;
                self.events.push_back(Event::Writable(id));
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.streams.values().filter(|stream| stream.write_blocked).map(|stream| stream.may_write_at).min()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The route exists before the ack goes out, and a later packet may overtake the ack.
    fn accept(&mut self, _now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get(&id) else { return };
        let (Some(theirs), Some((via, from))) = (stream.theirs.clone(), stream.asked_by.clone()) else {
            return;
        };
        let payload = Payload::ConnectAck { header: self.header(stream), success: true, resend: false };
        self.routes.insert((stream.local.clone(), theirs, stream.remote.clone()), id);
        self.outbox.push_back((
            via,
            from.into(),
            Stanza { id: "0".into(), body: Body::Result(Some(payload)) },
        ));
    }

    fn write(&mut self, now: Instant, id: StreamId, data: &[u8]) -> Result<usize, CloseReason> {
        let stream = self.streams.get_mut(&id).ok_or(CloseReason::Finished)?;
        if let Some(reason) = stream.closed {
            return Err(reason);
        }
        if now < stream.may_write_at {
            stream.write_blocked = true;
            return Ok(0);
        }
        let taken = data.len().min(PIECE);
        stream.may_write_at = now + PAUSE;
        stream.write_blocked = taken < data.len();
        let data = Bytes::copy_from_slice(&data[..taken]);
        self.send_set(id, |header, id| Payload::Packet { header, id, data });
        Ok(taken)
    }

    fn read(&mut self, _now: Instant, id: StreamId) -> Read {
        let Some(stream) = self.streams.get_mut(&id) else { return Read::End };
        match (stream.unread.pop_front(), stream.closed) {
            (Some(data), _) => Read::Data(data),
            (None, None) => Read::Blocked,
            (None, Some(CloseReason::Finished)) => Read::End,
            (None, Some(reason)) => Read::Broken(reason),
        }
    }

    /// It knows no half-closed connection: a closed socket is gone, with whatever was still to come.
    fn finish(&mut self, _now: Instant, id: StreamId) {
        if self.streams.get(&id).is_some_and(|stream| stream.closed.is_none() && stream.theirs.is_some()) {
            self.send_disconnect(id);
            self.close(id, CloseReason::Finished);
        }
    }

    /// It closes its socket in the same way whatever the reason.
    fn abort(&mut self, now: Instant, id: StreamId) {
        self.finish(now, id);
    }

    fn release(&mut self, now: Instant, id: StreamId) {
        if self.is_undecided(id) {
            return self.refuse(id);
        }
        self.finish(now, id);
        self.streams.remove(&id);
        self.events.retain(|event| !matches!(event, Event::Closed(of, _) | Event::Readable(of) if *of == id));
    }

    fn finish_all(&mut self, now: Instant) {
        self.streams.keys().copied().collect::<Vec<_>>().into_iter().for_each(|id| self.finish(now, id));
    }

    fn close_reason(&self, id: StreamId) -> Option<CloseReason> {
        self.streams.get(&id).map_or(Some(CloseReason::Finished), |stream| stream.closed)
    }

    fn accepts_on(&self, _account: AccountId) -> bool {
        true
    }

    fn stream_count(&self) -> usize {
        self.streams.len()
    }

    fn buffered(&self) -> usize {
        let unread = |stream: &Stream| stream.unread.iter().map(Bytes::len).sum::<usize>();
        self.streams.values().map(unread).sum()
    }
}

impl Program<Body> for OldPeer {
    fn core(&self) -> &dyn Core {
        self
    }

    fn core_mut(&mut self) -> &mut dyn Core {
        self
    }

    fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &Jid, stanza: Stanza) {
        let Ok(from) = from.try_as_full() else { return };
        match stanza.body {
            Body::Message { payload: Payload::Connect { header, .. }, .. }
            | Body::Set(Payload::Connect { header, .. }) => self.on_connect(now, via, from, header),
            Body::Result(Some(Payload::ConnectAck { header, success, .. })) => {
                self.on_ack(from, &header, success);
            }
            Body::Set(Payload::Packet { header, id, data }) => self.on_item(&header, id, Item::Data(data)),
            Body::Set(Payload::Disconnect { header, id }) => self.on_item(&header, id, Item::Disconnect),
            Body::Ping => {
                let error = Stanza { id: stanza.id, body: Body::Error { nobody_there: false } };
                self.outbox.push_back((via, from.clone().into(), error));
            }
            _ => {}
        }
    }

    fn poll_transmit(&mut self, _now: Instant) -> Option<(AccountId, Jid, Stanza)> {
        self.outbox.pop_front()
    }

    fn connect(
        &mut self,
        now: Instant,
        _accounts: &[AccountId],
        to: Jid,
        [local, remote]: [Address; 2],
        _first: &[u8],
    ) -> Result<StreamId, CloseReason> {
        let id = self.add_stream(now, local.clone(), remote.clone());
        self.pending.insert((local, to.to_bare(), remote), id);
        let payload = Payload::Connect { header: self.header(&self.streams[&id]), resend: false };
        let stanza = Stanza { id: String::new(), body: Body::Message { payload, delayed: false } };
        self.outbox.push_back((self.accounts[0].0, to, stanza));
        Ok(id)
    }

    fn half_closes(&self) -> bool {
        false
    }

    fn most_buffered(&self) -> usize {
        usize::MAX / 1024
    }
}
