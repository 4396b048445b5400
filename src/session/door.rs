//! Who is let in at the bridge's door.
//!
//! Whoever cannot prove that he has the bridge line is a stranger, and whoever says what was said before is one too.
//! Only those who are let in count against the limits, so that strangers lock nobody out.

use std::collections::BTreeMap;

use ring::hmac;
use xmpp_parsers::jid::{BareJid, FullJid};

use super::Service;
use super::line::LineKeys;
use super::sid::{Sid, WINDOW_MINUTES};

/// So many of the bridge's accounts one client learns of, beside those in the bridge line. What each account may send is
/// bounded, so that fewer would slow down the downloads from a bridge that has as many.
const SHOWN: usize = 8;

/// What the order of our accounts is made from, beside the two names and the bridge's secret.
const SUBSET: &[u8] = b"hexchat-pt subset";

/// The bridge's door.
#[derive(Debug)]
pub(super) struct Door {
    service: Service,
    keys: LineKeys,
    /// What was accepted, with its minute; for longer than anyone could say it again.
    accepted: BTreeMap<Sid, u64>,
    /// When it was last looked through for what nobody can say again.
    cleared: u64,
    limits: DoorLimits,
    /// Who came in during this minute.
    visitors: Visitors,
}

/// How many may come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct DoorLimits {
    /// In a minute, from one account.
    pub(super) per_jid: usize,
    /// In a minute, together.
    pub(super) total: usize,
}

#[derive(Debug, Default)]
struct Visitors {
    minute: u64,
    total: usize,
    by_jid: BTreeMap<BareJid, usize>,
}

impl Door {
    pub(super) fn new(mut service: Service, limits: DoorLimits) -> Self {
        let keys = LineKeys::new(&service.identity.line(service.psk));
        let accepted = std::mem::take(&mut service.accepted).into_iter().collect();
        Self { service, keys, accepted, cleared: 0, limits, visitors: Visitors::default() }
    }

    pub(super) fn service(&self) -> &Service {
        &self.service
    }

    /// The few of our accounts that `client` learns of, always the same, so that no client can list them all.
    pub(super) fn subset_for(&self, client: &BareJid, mut ours: Vec<FullJid>) -> Vec<FullJid> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, self.service.identity.expose_secret());
        let rank = |jid: &FullJid| {
            let mut context = hmac::Context::with_key(&secret);
            context.update(SUBSET);
            context.update(jid.as_str().as_bytes());
            context.update(&[0]);
            context.update(client.as_str().as_bytes());
            context.sign().as_ref().to_vec()
        };
        ours.sort_by_cached_key(rank);
        ours.truncate(SHOWN);
        ours
    }

    /// The minute in which `sid` was made with the bridge line, by `from` for our account `to`, if it was.
    pub(super) fn check(&self, now_minute: u64, sid: &Sid, from: &FullJid, to: &FullJid) -> Option<u64> {
        self.keys.check_first_contact(sid, now_minute, from, to)
    }

    /// Whether `from`, who has proved himself with `sid` of `minute`, does so for the first time and within the limits.
    /// Then the two have to be remembered.
    pub(super) fn admit(&mut self, now_minute: u64, minute: u64, sid: Sid, from: &FullJid) -> bool {
        self.forget_old(now_minute);
        if self.accepted.contains_key(&sid) || !self.visitors.admit(now_minute, from.to_bare(), self.limits) {
            return false;
        }
        self.accepted.insert(sid, minute);
        true
    }

    /// Once a minute: there may be thousands to look through.
    fn forget_old(&mut self, now_minute: u64) {
        if self.cleared != now_minute {
            self.cleared = now_minute;
            self.accepted.retain(|_, minute| *minute + WINDOW_MINUTES >= now_minute);
        }
    }
}

impl Visitors {
    fn admit(&mut self, minute: u64, jid: BareJid, limits: DoorLimits) -> bool {
        if self.minute != minute {
            *self = Self { minute, ..Self::default() };
        }
        let by_jid = self.by_jid.get(&jid).copied().unwrap_or(0);
        if self.total >= limits.total || by_jid >= limits.per_jid {
            return false;
        }
        self.total += 1;
        self.by_jid.insert(jid, by_jid + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Identity;

    fn door() -> Door {
        let service = Service {
            identity: Identity::from_bytes([7; 32]),
            psk: None,
            accounts: Vec::new(),
            accepted: Vec::new(),
        };
        Door::new(service, DoorLimits { per_jid: 2, total: 3 })
    }

    fn jid(text: &str) -> FullJid {
        FullJid::new(text).unwrap()
    }

    /// Comes with a proof of its own each time.
    fn knocks(door: &mut Door, minute: u64, nonce: u32, from: &str) -> bool {
        let (from, to) = (jid(from), jid("bridge@x/r"));
        let sid = door.keys.first_contact(nonce, minute, &from, &to);
        door.check(minute, &sid, &from, &to).is_some_and(|said| door.admit(minute, said, sid, &from))
    }

    #[test]
    fn a_proof_is_good_once() {
        let mut door = door();
        assert!(knocks(&mut door, 1000, 1, "a@x/r"));
        assert!(!knocks(&mut door, 1000, 1, "a@x/r"));
        assert!(knocks(&mut door, 1000, 2, "a@x/r"));
    }

    #[test]
    fn nobody_and_all_together_come_in_more_often_in_a_minute_than_the_limits_say() {
        let mut door = door();
        assert!(knocks(&mut door, 1000, 1, "a@x/r") && knocks(&mut door, 1000, 2, "a@x/s"));
        assert!(!knocks(&mut door, 1000, 3, "a@x/t"), "the third from one account");
        assert!(knocks(&mut door, 1000, 4, "b@x/r"));
        assert!(!knocks(&mut door, 1000, 5, "c@x/r"), "the fourth altogether");
        assert!(knocks(&mut door, 1001, 6, "a@x/r"), "a minute later");
    }

    #[test]
    fn what_cannot_be_said_again_is_forgotten() {
        let mut door = door();
        assert!(knocks(&mut door, 1000, 1, "a@x/r"));
        assert!(knocks(&mut door, 1011, 2, "a@x/r"));
        assert_eq!(door.accepted.len(), 1);
    }

    #[test]
    fn a_client_learns_of_all_accounts_of_a_bridge_with_few() {
        let ours: Vec<FullJid> = (0..SHOWN).map(|n| jid(&format!("bridge{n}@x/r"))).collect();
        let mut shown = door().subset_for(&BareJid::new("a@x").unwrap(), ours.clone());
        shown.sort();
        assert_eq!(shown, ours);
    }

    #[test]
    fn a_client_learns_of_the_same_few_accounts_and_another_of_others() {
        let door = door();
        let ours: Vec<FullJid> = (0..32).map(|n| jid(&format!("bridge{n}@x/r"))).collect();
        let shown = |client: &str| door.subset_for(&BareJid::new(client).unwrap(), ours.clone());
        assert_eq!(shown("a@x").len(), SHOWN);
        assert_eq!(shown("a@x"), shown("a@x"));
        assert_ne!(shown("a@x"), shown("b@x"));
    }
}
