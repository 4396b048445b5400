//! Admission control: proofs of the bridge line, the replay log, and limits on handshakes.
//!
//! A peer that cannot prove that it has the bridge line is a stranger, and so is one that repeats what was said before. Only those
//! who are let in count against the limits, so that strangers lock nobody out.

use std::collections::BTreeSet;
use std::time::Instant;

use ring::hmac;
use xmpp_parsers::jid::{BareJid, FullJid};

use crate::protocol::AccountId;
use crate::replay_log::{ReplayLog, Verdict};
use crate::secure::accounts::Accounts;
use crate::secure::api::Service;
use crate::secure::crypto::credential::Credential;
use crate::secure::crypto::line::LineKeys;
use crate::secure::endpoint::handshake_rate::{HandshakeLimits, HandshakeRate};
use crate::secure::endpoint::recent_clients::RecentClients;
use crate::secure::session::Session;

/// One client learns of 8 of the bridge's accounts. What each account may send is
/// bounded, so that fewer would slow down the downloads from a bridge that has as many.
const SHOWN: usize = 8;

/// What the order of our accounts is made from, beside the two names and the bridge's secret.
const SUBSET: &[u8] = b"hexchat-pt subset";

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Admission {
    service: Service,
    keys: LineKeys,
    replays: ReplayLog<Credential>,
    limits: HandshakeLimits,
    rate: HandshakeRate,
    recent: RecentClients,
}

impl Admission {
    pub(crate) fn new(mut service: Service, limits: HandshakeLimits) -> Self {
        let keys = LineKeys::new(&service.identity.line(service.psk));
        let accepted = std::mem::take(&mut service.accepted);
        let accepted = accepted.into_iter().map(|(credential, minute)| (minute, credential));
        let replays = ReplayLog::new(accepted, None);
        Self {
            service,
            keys,
            replays,
            limits,
            rate: HandshakeRate::default(),
            recent: RecentClients::default(),
        }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.service
    }

    /// Whether clients are let in at an account.
    pub(crate) fn lets_in_at(&self, account: AccountId) -> bool {
        self.service.accounts.contains(&account) || self.service.siblings.contains(&account)
    }

    /// Tells the client of a session which of our accounts it can use: always the same few, as far as they are online. Which ones depends
    /// on the account that shook hands, which the client's server vouches for, and on nothing that the client says.
    pub(crate) fn announce_to(&self, session: &mut Session, accounts: &Accounts) {
        let Some(client) = session.client() else {
            // Only a client's own sessions have none, and a client has no admission control.
            return;
        };
        let of = |ids: &[AccountId]| -> Vec<FullJid> {
            let names = ids.iter().filter_map(|id| accounts.jid_of(*id)).cloned().collect();
            let online: BTreeSet<_> = ids.iter().filter_map(|id| accounts.online(*id)).collect();
            self.subset_for(client, names).into_iter().filter(|jid| online.contains(jid)).collect()
        };
        let mut shown = of(&self.service.accounts);
        shown.extend(of(&self.service.siblings));
        shown.truncate(SHOWN);
        session.announce(shown);
    }

    /// The few of our accounts that `client` learns of, always the same, so that no client can list them all.
    fn subset_for(&self, client: &BareJid, mut ours: Vec<FullJid>) -> Vec<FullJid> {
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

    /// The minute in which `credential` was made with the bridge line, by `from` for our account `to`, if it was. It may be one of which
    /// nobody is [let in](is_of_now).
    pub(crate) fn check(
        &self,
        now_minute: u64,
        credential: &Credential,
        from: &FullJid,
        to: &FullJid,
    ) -> Option<u64> {
        self.keys.minute_of_first_contact(credential, now_minute, from, to)
    }

    /// Whether `client`, who has proved himself with `handshake`, a minute and a credential, does so for the first time and within
    /// the limits. Then the two have to be remembered. One who is known has a reserve.
    pub(crate) fn admit(
        &mut self,
        now_minute: u64,
        handshake: (u64, Credential),
        client: &BareJid,
        is_known: bool,
    ) -> bool {
        let is_admitted = self.replays.check(now_minute, handshake) == Verdict::New
            && self.rate.admit(now_minute, client, is_known, self.limits);
        if is_admitted {
            self.replays.insert(handshake);
        }
        is_admitted
    }

    /// `client` has made something up, and is let in no more in this minute.
    pub(crate) fn on_violation(&mut self, now_minute: u64, client: BareJid) {
        self.rate.use_up(now_minute, client);
    }

    /// For how many minutes nobody who has the right time is let in, because the clock was far ahead.
    pub(crate) fn minutes_locked(&self, now_minute: u64) -> Option<u64> {
        self.replays.minutes_locked(now_minute)
    }

    /// Whether `client` has completed a handshake not long ago.
    pub(crate) fn knows(&self, now: Instant, client: &BareJid) -> bool {
        self.recent.contains(now, client)
    }

    /// `client` has completed a handshake.
    pub(crate) fn on_confirmed(&mut self, now: Instant, client: BareJid) {
        self.recent.insert(now, client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::crypto::line::Identity;

    fn admission() -> Admission {
        let service = Service {
            identity: Identity::from_bytes([7; 32]),
            psk: None,
            accounts: Vec::new(),
            siblings: Vec::new(),
            accepted: Vec::new(),
        };
        Admission::new(service, HandshakeLimits { per_jid: 2, total: 4 })
    }

    fn jid(text: &str) -> FullJid {
        FullJid::new(text).unwrap()
    }

    /// Comes with a proof of its own each time.
    fn knocks(admission: &mut Admission, minute: u64, nonce: u32, from: &str) -> bool {
        let (from, to) = (jid(from), jid("bridge@x/r"));
        let credential = admission.keys.first_contact(nonce, minute, &from, &to);
        admission
            .check(minute, &credential, &from, &to)
            .is_some_and(|said| admission.admit(minute, (said, credential), &from.to_bare(), false))
    }

    #[test]
    fn a_proof_is_good_once() {
        let mut admission = admission();
        assert!(knocks(&mut admission, 1000, 1, "a@x/r"));
        assert!(!knocks(&mut admission, 1000, 1, "a@x/r"));
        assert!(knocks(&mut admission, 1000, 2, "a@x/r"));
    }

    #[test]
    fn nobody_and_all_together_come_in_more_often_in_a_minute_than_the_limits_say() {
        let mut admission = admission();
        assert!(knocks(&mut admission, 1000, 1, "a@x/r") && knocks(&mut admission, 1000, 2, "a@x/s"));
        assert!(!knocks(&mut admission, 1000, 3, "a@x/t"), "the third from one account");
        assert!(knocks(&mut admission, 1000, 4, "b@y/r") && knocks(&mut admission, 1000, 5, "c@z/r"));
        assert!(!knocks(&mut admission, 1000, 6, "d@v/r"), "the fifth altogether");
        assert!(knocks(&mut admission, 1001, 7, "a@x/r"), "a minute later");
    }

    #[test]
    fn who_is_turned_away_because_of_the_limits_can_use_the_same_proof_again() {
        let mut admission = admission();
        assert!(knocks(&mut admission, 1000, 1, "a@x/r") && knocks(&mut admission, 1000, 2, "a@x/r"));
        assert!(!knocks(&mut admission, 1000, 3, "a@x/r"));
        let (from, to) = (jid("a@x/r"), jid("bridge@x/r"));
        let credential = admission.keys.first_contact(3, 1000, &from, &to);
        assert!(admission.admit(1001, (1000, credential), &from.to_bare(), false), "a minute later");
    }

    #[test]
    fn who_has_completed_a_handshake_is_known() {
        let (mut admission, now, client) = (admission(), Instant::now(), BareJid::new("a@x").unwrap());
        assert!(!admission.knows(now, &client));
        admission.on_confirmed(now, client.clone());
        assert!(admission.knows(now, &client));
    }

    #[test]
    fn a_client_learns_of_all_accounts_of_a_bridge_with_few() {
        let ours: Vec<FullJid> = (0..SHOWN).map(|n| jid(&format!("bridge{n}@x/r"))).collect();
        let mut shown = admission().subset_for(&BareJid::new("a@x").unwrap(), ours.clone());
        shown.sort();
        assert_eq!(shown, ours);
    }

    #[test]
    fn a_client_learns_of_the_same_few_accounts_and_another_of_others() {
        let admission = admission();
        let ours: Vec<FullJid> = (0..32).map(|n| jid(&format!("bridge{n}@x/r"))).collect();
        let shown = |client: &str| admission.subset_for(&BareJid::new(client).unwrap(), ours.clone());
        assert_eq!(shown("a@x").len(), SHOWN);
        assert_eq!(shown("a@x"), shown("a@x"));
        assert_ne!(shown("a@x"), shown("b@x"));
    }
}
