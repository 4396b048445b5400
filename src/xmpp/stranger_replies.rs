//! Replies to strangers: a queue that is fair to domains and accounts. Pure.
//!
//! Whoever has an account can ask ours without end, at a fifth of what the answers cost. Only a few of them are on their way at a
//! time ([`super::reply_window`]), and the others wait here, where everything else goes before them.

use std::collections::{BTreeMap, VecDeque};

use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::stanza::Stanza;

/// What all of them that wait may take together, 1 MiB: some 2,000 usual ones. Whoever sends more at once than that to an
/// account of a fast server gets fewer answers than from slixmpp, which keeps any number of them.
const MAX_WAITING_BYTES: usize = 1024 * 1024;

/// An answer weighs 300 bytes beyond its id and its address: those of a usual client have 100 to 700.
const TYPICAL_REPLY: usize = 300;

/// Those that wait, by who asked: all domains take turns, and so do all accounts of a domain.
#[derive(Default)]
pub(super) struct StrangerReplies(Turns<String, Turns<Option<BareJid>, Asker>>);

/// An answer, and how long it is, roughly.
pub(super) struct Reply {
    pub(super) stanza: Box<Stanza>,
    pub(super) length: usize,
}

impl StrangerReplies {
    pub(super) fn is_empty(&self) -> bool {
        self.0.length == 0
    }

    /// Takes an answer. When there are too many, the newest of whoever has most is dropped.
    pub(super) fn push(&mut self, stanza: Box<Stanza>) {
        let length = length(&stanza);
        let asker = address(&stanza).0.map(Jid::to_bare);
        let domain = asker.as_ref().map(|asker| asker.domain().to_string()).unwrap_or_default();
        let reply = Reply { stanza, length };
        self.0.push(domain, length, |domain| domain.push(asker, length, |asker| asker.push(reply)));
        while self.0.length > MAX_WAITING_BYTES && self.0.drop_newest().is_some() {}
    }

    /// The answer whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Reply> {
        self.0.pop()
    }
}

/// How long an answer is, roughly.
pub(super) fn length(stanza: &Stanza) -> usize {
    let (to, id) = address(stanza);
    TYPICAL_REPLY + id.len() + to.map_or(0, |to| to.as_str().len())
}

/// Whom a stanza is for, and its id.
fn address(stanza: &Stanza) -> (Option<&Jid>, &str) {
    match stanza {
        Stanza::Iq(iq) => (iq.to(), iq.id()),
        Stanza::Presence(presence) => (presence.to.as_ref(), presence.id.as_deref().unwrap_or_default()),
        Stanza::Message(message) => (message.to.as_ref(), ""),
    }
}

/// One queue, or several that take turns.
trait Queue: Default {
    /// How long all that is in it is together.
    fn length(&self) -> usize;
    fn pop(&mut self) -> Option<Reply>;
    /// Drops the newest of whoever has most.
    fn drop_newest(&mut self) -> Option<Reply>;
}

/// What one account has asked for.
#[derive(Default)]
struct Asker {
    queue: VecDeque<Reply>,
    length: usize,
}

impl Asker {
    fn push(&mut self, reply: Reply) {
        self.length += reply.length;
        self.queue.push_back(reply);
    }
}

impl Queue for Asker {
    fn length(&self) -> usize {
        self.length
    }

    fn pop(&mut self) -> Option<Reply> {
        let reply = self.queue.pop_front()?;
        self.length -= reply.length;
        Some(reply)
    }

    fn drop_newest(&mut self) -> Option<Reply> {
        let reply = self.queue.pop_back()?;
        self.length -= reply.length;
        Some(reply)
    }
}

/// Queues that take turns. None of them is empty.
struct Turns<K, Q> {
    queues: BTreeMap<K, Q>,
    order: VecDeque<K>,
    length: usize,
}

impl<K, Q> Default for Turns<K, Q> {
    fn default() -> Self {
        Self { queues: BTreeMap::new(), order: VecDeque::new(), length: 0 }
    }
}

impl<K: Ord + Clone, Q: Queue> Turns<K, Q> {
    fn push(&mut self, key: K, length: usize, push: impl FnOnce(&mut Q)) {
        if !self.queues.contains_key(&key) {
            self.order.push_back(key.clone());
        }
        push(self.queues.entry(key).or_default());
        self.length += length;
    }
}

impl<K: Ord + Clone, Q: Queue> Queue for Turns<K, Q> {
    fn length(&self) -> usize {
        self.length
    }

    fn pop(&mut self) -> Option<Reply> {
        let key = self.order.pop_front()?;
        let queue = self.queues.get_mut(&key)?;
        let reply = queue.pop()?;
        self.length -= reply.length;
        if queue.length() == 0 {
            self.queues.remove(&key);
        } else {
            self.order.push_back(key);
        }
        Some(reply)
    }

    fn drop_newest(&mut self) -> Option<Reply> {
        let key = self.queues.iter().max_by_key(|(_, queue)| queue.length())?.0.clone();
        let queue = self.queues.get_mut(&key)?;
        let reply = queue.drop_newest()?;
        self.length -= reply.length;
        if queue.length() == 0 {
            self.queues.remove(&key);
            self.order.retain(|other| *other != key);
        }
        Some(reply)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use proptest::prelude::*;
    use xmpp_parsers::iq::Iq;

    fn answer(to: &str, id: &str) -> Box<Stanza> {
        Box::new(Iq::empty_result(to.parse().unwrap(), id).into())
    }

    fn push(replies: &mut StrangerReplies, to: &str, ids: std::ops::Range<usize>) {
        ids.for_each(|id| replies.push(answer(to, &id.to_string())));
    }

    /// Who gets which answer, in this order.
    fn drain(replies: &mut StrangerReplies) -> Vec<(String, String)> {
        std::iter::from_fn(|| replies.pop())
            .map(|reply| {
                let (to, id) = address(&reply.stanza);
                (to.unwrap().to_string(), id.to_owned())
            })
            .collect()
    }

    #[test]
    fn who_asks_a_thousand_times_delays_who_asks_once_by_one_answer() {
        let mut replies = StrangerReplies::default();
        push(&mut replies, "eve@chat.example/r", 0..1000);
        push(&mut replies, "bob@chat.example/r", 0..1);
        push(&mut replies, "bob@other.example/r", 0..1);
        let order = drain(&mut replies);
        assert!(order[..4].iter().any(|(to, _)| to == "bob@chat.example/r"), "{:?}", &order[..4]);
        assert!(order[..4].iter().any(|(to, _)| to == "bob@other.example/r"), "{:?}", &order[..4]);
    }

    #[test]
    fn neither_many_resources_nor_many_accounts_of_a_domain_get_more_turns() {
        let mut replies = StrangerReplies::default();
        for n in 0..100 {
            push(&mut replies, &format!("eve@chat.example/{n}"), 0..1);
            push(&mut replies, &format!("eve{n}@many.example/r"), 0..10);
        }
        push(&mut replies, "bob@chat.example/r", 0..3);
        let order = drain(&mut replies);
        let position = order.iter().rposition(|(to, _)| to == "bob@chat.example/r").unwrap();
        assert!(position < 16, "the last of three answers comes at {position}");
    }

    #[test]
    fn of_too_many_the_newest_of_whoever_has_most_are_dropped() {
        let mut replies = StrangerReplies::default();
        push(&mut replies, "bob@chat.example/r", 0..20);
        push(&mut replies, "eve@chat.example/r", 0..10_000);
        push(&mut replies, "bob@chat.example/r", 20..40);
        assert!(replies.0.length <= MAX_WAITING_BYTES);
        let order = drain(&mut replies);
        let ids = |of: &str| -> Vec<usize> {
            order.iter().filter(|(to, _)| to == of).map(|(_, id)| id.parse().unwrap()).collect()
        };
        assert_eq!(ids("bob@chat.example/r"), (0..40).collect::<Vec<_>>());
        let eves = ids("eve@chat.example/r");
        assert_eq!(eves, (0..eves.len()).collect::<Vec<_>>(), "what came first is kept, in its order");
    }

    #[test]
    fn long_ids_do_not_fill_memory() {
        let mut replies = StrangerReplies::default();
        (0..100).for_each(|_| replies.push(answer("eve@chat.example/r", &"x".repeat(200_000))));
        assert!(replies.0.length <= MAX_WAITING_BYTES);
        replies.push(answer("eve@chat.example/r", &"x".repeat(2 * MAX_WAITING_BYTES)));
        assert!(replies.0.length <= MAX_WAITING_BYTES, "not even one that is too long by itself");
    }

    proptest! {
        #[test]
        fn each_asker_gets_its_answers_in_order_and_nothing_stays_behind(
            asked in prop::collection::vec((0..4usize, 0..3usize, any::<bool>()), 0..200),
        ) {
            let (mut replies, mut expected, mut got) = (StrangerReplies::default(), 0, Vec::new());
            for (n, (node, domain, takes)) in asked.into_iter().enumerate() {
                push(&mut replies, &format!("{node}@{domain}.example/r"), n..n + 1);
                expected += 1;
                if takes {
                    let reply = replies.pop().unwrap();
                    let (to, id) = address(&reply.stanza);
                    got.push((to.unwrap().to_string(), id.to_owned()));
                }
            }
            got.extend(drain(&mut replies));
            prop_assert_eq!(got.len(), expected);
            prop_assert!(replies.is_empty() && replies.0.queues.is_empty() && replies.0.order.is_empty());
            for (n, (to, id)) in got.iter().enumerate() {
                let number = |id: &str| id.parse::<usize>().unwrap();
                let mut earlier = got[..n].iter().filter(|(other, _)| other == to);
                prop_assert!(earlier.all(|(_, other)| number(other) < number(id)));
            }
        }
    }
}
