//! Reflection: a peer that names aliases which are not its own, to have us write to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hexchat_pt::classic::{
    Aliases, Config, Endpoint, Header, Incoming, Missing, Outgoing, Payload, SetId, Transmit,
};
use hexchat_pt::protocol::{AccountChange, AccountId, Address, Core as _, Event, StreamId};
use xmpp_parsers::jid::{FullJid, Jid};

use crate::setup::defaults;

const ACCOUNT: AccountId = AccountId(0);
const MOMENT: Duration = Duration::from_millis(20);

/// Our end, and what it has sent to whom.
struct World {
    endpoint: Endpoint,
    now: Instant,
    stream: StreamId,
    /// How many stanzas, and how much data.
    sent: BTreeMap<Jid, (usize, usize)>,
}

fn peer() -> FullJid {
    FullJid::new("mallory@chat.example/r").expect("a JID")
}

fn is_peer(jid: &Jid) -> bool {
    jid.as_str() == peer().as_str()
}

fn other(n: usize) -> FullJid {
    FullJid::new(&format!("bob{n}@chat.example/r")).expect("a JID")
}

impl World {
    /// With a stream that the peer has asked for, naming so many others.
    fn new(others: usize) -> Self {
        let now = Instant::now();
        let mut endpoint = Endpoint::new(Config { accept_on: vec![ACCOUNT], ..defaults() });
        let jid = FullJid::new("bridge@chat.example/r").expect("a JID");
        endpoint.handle_account(now, ACCOUNT, AccountChange::Online { jid, resumed: false });
        let aliases = (0..others).map(other).chain([peer()]);
        let header = Header {
            local: Address::new("127.0.0.1", "1").expect("an address"),
            remote: Address::new("127.0.0.1", "2").expect("an address"),
            aliases: Aliases::new(aliases).expect("aliases"),
        };
        let connect =
            Incoming::Message { payload: Payload::Connect { header, resend: true }, delayed: false };
        endpoint.handle_stanza(now, ACCOUNT, &peer().into(), connect);
        let Some(Event::Incoming { stream, .. }) = endpoint.poll_event() else { panic!("no connect") };
        endpoint.accept(now, stream);
        Self { endpoint, now, stream, sent: BTreeMap::new() }
    }

    /// The application writes all of this, as the window lets it. Everybody reacts as `react` says; nothing is lost.
    fn write(&mut self, length: usize, react: impl Fn(&Jid, SetId) -> Option<Incoming>) {
        let (mut left, mut idle) = (length, 0);
        while idle < 10_000 {
            let written = self.endpoint.write(self.now, self.stream, &vec![7; left.min(1 << 16)]);
            left -= written.expect("the stream is open");
            if self.turn(&react) == 0 {
                idle += 1;
            }
            self.now += MOMENT;
            self.endpoint.handle_timeout(self.now);
            if left == 0 && self.endpoint.buffered() == 0 {
                return;
            }
        }
        panic!("{left} bytes were not written");
    }

    fn turn(&mut self, react: &impl Fn(&Jid, SetId) -> Option<Incoming>) -> usize {
        let transmits: Vec<Transmit> = std::iter::from_fn(|| self.endpoint.poll_transmit(self.now)).collect();
        self.now += MOMENT;
        for Transmit { to, stanza, .. } in &transmits {
            let length = match stanza {
                Outgoing::Set(_, Payload::Packet { data, .. }) => data.len(),
                _ => 0,
            };
            let (stanzas, bytes) = self.sent.entry(to.clone()).or_default();
            *stanzas += 1;
            *bytes += length;
            let (Outgoing::Set(set, _) | Outgoing::Ping(set)) = stanza else { continue };
            if let Some(reaction) = react(to, *set) {
                self.endpoint.handle_stanza(self.now, ACCOUNT, to, reaction);
            }
        }
        transmits.len()
    }
}

fn answer(set: SetId) -> Incoming {
    Incoming::Result { set: Some(set), payload: None }
}

#[test]
fn who_has_not_spoken_gets_next_to_nothing_however_much_the_peer_is_sent() {
    for missing in [Some(Missing::Peer), None] {
        let mut world = World::new(60);
        world.write(1 << 20, |to, set| {
            Some(if is_peer(to) { answer(set) } else { Incoming::Error { set, missing } })
        });
        let to_others: Vec<(usize, usize)> =
            world.sent.iter().filter(|(to, _)| !is_peer(to)).map(|(_, sent)| *sent).collect();
        let bytes: usize = to_others.iter().map(|(_, bytes)| bytes).sum();
        assert!(to_others.iter().all(|(stanzas, _)| *stanzas == 1), "{to_others:?}");
        assert!(to_others.len() <= 4 && bytes <= 1024, "{bytes} bytes to {} bystanders", to_others.len());
    }
}

#[test]
fn bystanders_who_say_nothing_get_next_to_nothing_either_and_no_farewell() {
    let mut world = World::new(60);
    world.write(1 << 20, |to, set| is_peer(to).then(|| answer(set)));
    world.endpoint.abort(world.now, world.stream);
    world.turn(&|_, _| None);
    let to_others: usize =
        world.sent.iter().filter(|(to, _)| !is_peer(to)).map(|(_, (stanzas, _))| stanzas).sum();
    assert!(to_others <= 4, "{to_others} stanzas to bystanders");
}

#[test]
fn all_accounts_of_a_peer_whose_accounts_answer_carry_its_packets() {
    let mut world = World::new(5);
    world.write(1 << 20, |_, set| Some(answer(set)));
    assert_eq!(world.sent.len(), 6);
    let most = world.sent.values().map(|(_, bytes)| bytes).max();
    let least = world.sent.values().map(|(_, bytes)| bytes).min();
    assert!(least.zip(most).is_some_and(|(least, most)| *least * 4 > *most), "{:?}", world.sent);
}
