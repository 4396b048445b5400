//! Our program, with a driver that watches the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use hexchat_pt::classic::{Config, Endpoint, Incoming, Missing, Outgoing, Payload, SetId, Transmit};
use hexchat_pt::protocol::{AccountChange, AccountId, Address, CloseReason, Core, StreamId};
use xmpp_parsers::jid::Jid;

use crate::letters::{Body, Stanza};
use crate::program::Program;

/// Ours, with a driver that checks what goes over the wire.
pub(crate) struct Ours {
    endpoint: Endpoint,
    most_buffered: usize,
    /// Accounts that it was told are online.
    online: BTreeSet<AccountId>,
    spread: SpreadCheck,
    /// Pings of the peer's to be answered, which a real driver's XMPP layer does.
    pongs: Vec<(AccountId, Jid, String)>,
}

impl Ours {
    pub(crate) fn new(config: Config) -> Self {
        // What a correct peer can have on its way comes on top: 100 packets of 4096 bytes.
        let most_buffered = config.send_buffer + config.receive_buffer + 100 * 4096;
        Self {
            endpoint: Endpoint::new(config),
            most_buffered,
            online: BTreeSet::new(),
            spread: SpreadCheck::default(),
            pongs: Vec::new(),
        }
    }

    fn write_stanza(&mut self, stanza: Outgoing) -> Stanza {
        match stanza {
            Outgoing::Message(payload) => {
                Stanza { id: String::new(), body: Body::Message { payload, delayed: false } }
            }
            Outgoing::Set(set, payload) => {
                self.spread.on_sent(set, &payload);
                Stanza { id: id_of(set), body: Body::Set(payload) }
            }
            // Both ends count from 0, and have no keys here that would tell their ids apart.
            Outgoing::Unsolicited(set, payload) => {
                Stanza { id: format!("u{}", set.0), body: Body::Result(Some(payload)) }
            }
            Outgoing::Answer(id) => Stanza { id, body: Body::Result(None) },
            Outgoing::Ping(set) => Stanza { id: id_of(set), body: Body::Ping },
        }
    }
}

fn id_of(set: SetId) -> String {
    format!("h{}", set.0)
}

fn set_of(id: &str) -> Option<SetId> {
    id.strip_prefix('h')?.parse().ok().map(SetId)
}

impl Program<Body> for Ours {
    fn core(&self) -> &dyn Core {
        &self.endpoint
    }

    fn core_mut(&mut self) -> &mut dyn Core {
        &mut self.endpoint
    }

    fn handle_account(&mut self, now: Instant, account: AccountId, change: AccountChange) {
        match &change {
            AccountChange::Online { .. } => self.online.insert(account),
            AccountChange::Suspended | AccountChange::Gone => self.online.remove(&account),
        };
        self.endpoint.handle_account(now, account, change);
    }

    fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &Jid, stanza: Stanza) {
        let Stanza { id, body } = stanza;
        let incoming = match body {
            Body::Message { payload, delayed } => Incoming::Message { payload, delayed },
            Body::MessageError { payload } => Incoming::MessageBounce { payload, missing: Missing::Peer },
            Body::Set(payload) => Incoming::Set { id, payload },
            Body::Ping => {
                self.pongs.push((via, from.clone(), id));
                let from = from.try_as_full().expect("programs have full JIDs");
                return self.endpoint.handle_sign_of_life(now, via, from);
            }
            Body::Result(payload) => {
                let set = set_of(&id);
                set.into_iter().for_each(|set| self.spread.on_arrived(set));
                Incoming::Result { set, payload }
            }
            Body::Error { nobody_there } => match set_of(&id) {
                Some(set) => Incoming::Error { set, missing: nobody_there.then_some(Missing::Peer) },
                None => return,
            },
        };
        self.endpoint.handle_stanza(now, via, from, incoming);
    }

    fn handle_server_ack(&mut self, now: Instant, id: &str) {
        if let Some(set) = set_of(id) {
            self.spread.on_server_ack(set);
            self.endpoint.handle_server_ack(now, set);
        }
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<(AccountId, Jid, Stanza)> {
        if let Some((via, to, id)) = self.pongs.pop() {
            return Some((via, to, Stanza { id, body: Body::Result(None) }));
        }
        let Transmit { via, to, stanza } = self.endpoint.poll_transmit(now)?;
        if let Outgoing::Set(..) = stanza {
            assert!(
                self.online.contains(&via),
                "a set goes out through account {} that is not online",
                via.0
            );
        }
        Some((via, to, self.write_stanza(stanza)))
    }

    fn connect(
        &mut self,
        now: Instant,
        accounts: &[AccountId],
        to: Jid,
        [local, remote]: [Address; 2],
        first: &[u8],
    ) -> Result<StreamId, CloseReason> {
        assert!(first.is_empty(), "nothing is written before the peer has accepted");
        self.endpoint.connect(now, accounts, to, local, remote)
    }

    fn half_closes(&self) -> bool {
        false
    }

    fn most_buffered(&self) -> usize {
        self.most_buffered
    }
}

/// Watches that the ids on their way on one stream stay within a peer's window.
///
/// A packet counts as arrived when the peer has answered any attempt at it. For a peer that answers
/// nothing, the word of our own server has to do.
#[derive(Default)]
struct SpreadCheck {
    streams: BTreeMap<StreamKey, Outstanding>,
    sets: BTreeMap<SetId, (StreamKey, u32)>,
}

/// Our end, the peer's end.
type StreamKey = (Address, Address);

#[derive(Default)]
struct Outstanding {
    ids: BTreeSet<u32>,
    /// The id after the highest that was sent.
    next: u32,
    peer_answers: bool,
}

impl SpreadCheck {
    fn on_sent(&mut self, set: SetId, payload: &Payload) {
        let (Payload::Packet { header, id, .. } | Payload::Disconnect { header, id }) = payload else {
            return;
        };
        let (key, id) = ((header.local.clone(), header.remote.clone()), id.get());
        let outstanding = self.streams.entry(key.clone()).or_default();
        let is_disconnect = matches!(payload, Payload::Disconnect { .. });
        if is_disconnect && id != outstanding.next && id + 1 != outstanding.next {
            return; // about a stream that was given up
        }
        assert!(id <= outstanding.next, "id {id} is used before {}", outstanding.next);
        outstanding.next = outstanding.next.max(id + 1);
        outstanding.ids.insert(id);
        self.sets.insert(set, (key, id));
        let (lowest, highest) = (outstanding.ids.first(), outstanding.ids.last());
        let spread = highest.zip(lowest).map_or(0, |(highest, lowest)| highest - lowest);
        assert!(spread < 100, "ids on their way spread over {spread}");
    }

    fn on_arrived(&mut self, set: SetId) {
        if let Some((key, id)) = self.sets.remove(&set)
            && let Some(outstanding) = self.streams.get_mut(&key)
        {
            outstanding.peer_answers = true;
            outstanding.ids.remove(&id);
        }
    }

    fn on_server_ack(&mut self, set: SetId) {
        if let Some((key, id)) = self.sets.get(&set)
            && let Some(outstanding) = self.streams.get_mut(key).filter(|stream| !stream.peer_answers)
        {
            outstanding.ids.remove(id);
        }
    }
}
