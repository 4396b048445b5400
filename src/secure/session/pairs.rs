//! Choice of pairs: between which two accounts a client opens the next path.
//!
//! Each of our accounts with each of the bridge's is a pair that may work. As many are tried as are needed for every
//! account on either side to carry something: what an account may send is bounded by its server, so that more accounts
//! are more speed. A session that carries little does with few. What failed is tried again, ever less often.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use xmpp_parsers::jid::FullJid;

use crate::protocol::AccountId;
use crate::secure::tuning::{ABSENT, FIRST_PAUSE};

/// One of our accounts and one of the bridge's.
pub(crate) type Pair = (AccountId, FullJid);
/// The same, borrowed.
pub(crate) type PairRef<'a> = (AccountId, &'a FullJid);

/// What is known of the pairs of one session.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// Of each account of ours, with whom.
    failed: BTreeMap<AccountId, BTreeMap<FullJid, Failure>>,
    /// When the first failure after the last success was.
    failing_since: Option<Instant>,
    /// Whether one of the bridge's accounts has not accepted our bridge line since then.
    was_refused: bool,
}

#[derive(Debug)]
struct Failure {
    times: u32,
    /// How many of them because a server found nobody.
    absences: u32,
    not_before: Instant,
}

/// The accounts between which paths are wanted, and those paths that there are.
#[derive(Debug)]
pub(crate) struct Candidates<'a> {
    /// Our accounts that are online.
    pub(crate) ours: &'a [AccountId],
    /// The bridge's, as far as we know them.
    pub(crate) theirs: &'a BTreeSet<&'a FullJid>,
    /// The pairs with a path, and those that are being tried.
    pub(crate) busy: &'a BTreeSet<PairRef<'a>>,
    /// So many pairs are enough.
    pub(crate) most: usize,
}

/// What a client does about further paths.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It tries this pair.
    Try(Pair),
    /// Nothing until then, if there is anything to wait for.
    Wait(Option<Instant>),
}

impl<'a> Candidates<'a> {
    /// Pairs that would bring an account into play, those that bring two first.
    fn wanted(&self) -> Vec<PairRef<'a>> {
        if self.busy.len() >= self.most {
            return Vec::new();
        }
        let is_idle = |(ours, theirs): &PairRef<'_>| {
            (!self.busy.iter().any(|pair| pair.0 == *ours), !self.busy.iter().any(|pair| pair.1 == *theirs))
        };
        let pairs = self.ours.iter().flat_map(|ours| self.theirs.iter().map(|theirs| (*ours, *theirs)));
        let mut wanted: Vec<_> = pairs
            .map(|pair| (is_idle(&pair), pair))
            // A pair that is busy itself brings none.
            .filter(|(idle, _)| *idle != (false, false))
            .collect();
        wanted.sort_by_key(|(idle, _)| *idle != (true, true));
        wanted.into_iter().map(|(_, pair)| pair).collect()
    }
}

impl Pairs {
    /// What to do about further paths. Of the pairs that are wanted, the one that has failed least often is tried first.
    pub(crate) fn next(&self, now: Instant, candidates: &Candidates<'_>) -> Attempt {
        let wanted = candidates.wanted();
        let ready = wanted.iter().filter(|pair| self.rests_until(**pair).is_none_or(|at| at <= now));
        match ready.min_by_key(|pair| self.failures(**pair)) {
            Some(&(ours, theirs)) => Attempt::Try((ours, theirs.clone())),
            None => Attempt::Wait(wanted.iter().filter_map(|pair| self.rests_until(*pair)).min()),
        }
    }

    fn failure(&self, (ours, theirs): PairRef<'_>) -> Option<&Failure> {
        self.failed.get(&ours)?.get(theirs)
    }

    fn rests_until(&self, pair: PairRef<'_>) -> Option<Instant> {
        self.failure(pair).map(|failure| failure.not_before)
    }

    /// How often a pair has failed since it worked.
    pub(crate) fn failures(&self, pair: PairRef<'_>) -> u32 {
        self.failure(pair).map_or(0, |failure| failure.times)
    }

    /// Since when nothing has worked that was tried.
    pub(crate) fn failing_since(&self) -> Option<Instant> {
        self.failing_since
    }

    /// The pair does not work, and is tried again after a pause that grows to `longest`. `jitter` is random: clients that
    /// lost the same bridge should not come back all at once.
    pub(crate) fn on_failed(&mut self, now: Instant, (ours, theirs): Pair, longest: Duration, jitter: u64) {
        self.failing_since.get_or_insert(now);
        let failures = self.failed.entry(ours).or_default();
        let failure = failures.entry(theirs).or_insert(Failure { times: 0, absences: 0, not_before: now });
        // Doubled 8 times it is longer than any `longest`.
        let pause = FIRST_PAUSE.saturating_mul(1 << failure.times.min(8)).min(longest);
        failure.times += 1;
        failure.not_before = now + pause / 2 + (pause / 2).mul_f64(fraction(jitter));
    }

    /// One of the bridge's accounts is there, and does not accept our bridge line.
    pub(crate) fn on_refused(&mut self) {
        self.was_refused = true;
    }

    /// Whether one of them has said so since it worked.
    pub(crate) fn was_refused(&self) -> bool {
        self.was_refused
    }

    /// The last failure of the pair was that the bridge's account is not there.
    pub(crate) fn on_absent(&mut self, (ours, theirs): PairRef<'_>) {
        let failure = self.failed.get_mut(&ours).and_then(|failures| failures.get_mut(theirs));
        failure.into_iter().for_each(|failure| failure.absences += 1);
    }

    /// Whether the bridge's account was not there whenever it was asked, and often enough.
    pub(crate) fn is_absent(&self, pair: PairRef<'_>) -> bool {
        let is_absent = |failure: &Failure| failure.absences >= ABSENT && failure.absences == failure.times;
        self.failure(pair).is_some_and(is_absent)
    }

    /// The pair works.
    pub(crate) fn on_works(&mut self, (ours, theirs): PairRef<'_>) {
        self.failing_since = None;
        self.was_refused = false;
        if let Some(failures) = self.failed.get_mut(&ours) {
            failures.remove(theirs);
        }
    }

    /// The account has come online: its pairs may be tried at once.
    pub(crate) fn start_over(&mut self, account: AccountId) {
        self.failing_since = None;
        self.was_refused = false;
        self.failed.remove(&account);
    }

    /// Keeps only the failures of the bridge's accounts that are still known.
    pub(crate) fn keep_failures_of(&mut self, is_known: impl Fn(&FullJid) -> bool) {
        self.failed.values_mut().for_each(|failures| failures.retain(|peer, _| is_known(peer)));
    }
}

/// From 0 to 1.
#[expect(clippy::cast_precision_loss, reason = "any fraction will do")]
fn fraction(random: u64) -> f64 {
    random as f64 / u64::MAX as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secure::tuning::{FEW_PATHS, LONGEST_PAUSE, MAX_PATHS};

    fn jid(name: &str) -> FullJid {
        FullJid::new(&format!("{name}@chat.example/r")).unwrap()
    }

    fn accounts(count: u64) -> Vec<AccountId> {
        (0..count).map(AccountId).collect()
    }

    fn peers(names: &[&str]) -> Vec<FullJid> {
        names.iter().map(|name| jid(name)).collect()
    }

    /// Opens paths, all of which work, until no more is wanted.
    fn open_all(ours: &[AccountId], theirs: &[FullJid], most: usize) -> BTreeSet<Pair> {
        let (pairs, mut open) = (Pairs::default(), BTreeSet::new());
        let next = |open: &BTreeSet<Pair>| {
            let (theirs, busy) =
                (theirs.iter().collect(), open.iter().map(|pair| (pair.0, &pair.1)).collect());
            pairs.next(Instant::now(), &Candidates { ours, theirs: &theirs, busy: &busy, most })
        };
        while let Attempt::Try(pair) = next(&open) {
            assert!(open.insert(pair));
        }
        open
    }

    #[test]
    fn every_account_on_either_side_gets_a_path_and_none_more_than_is_needed() {
        for (ours, names) in
            [(1, &["a"][..]), (2, &["a", "b"]), (4, &["a"]), (1, &["a", "b", "c"]), (3, &["a", "b"])]
        {
            let (ours, theirs) = (accounts(ours), peers(names));
            let open = open_all(&ours, &theirs, MAX_PATHS);
            assert!(ours.iter().all(|account| open.iter().any(|pair| pair.0 == *account)));
            assert!(theirs.iter().all(|peer| open.iter().any(|pair| pair.1 == *peer)));
            assert_eq!(open.len(), ours.len().max(theirs.len()));
        }
    }

    #[test]
    fn there_is_a_bound() {
        for most in [FEW_PATHS, MAX_PATHS] {
            assert_eq!(open_all(&accounts(40), &peers(&["a"]), most).len(), most);
        }
    }

    #[test]
    fn a_pair_that_fails_makes_way_for_another_and_is_tried_again_later() {
        let now = Instant::now();
        let (ours, peers) = (accounts(1), peers(&["a", "b"]));
        let (theirs, busy) = (peers.iter().collect(), BTreeSet::new());
        let candidates = Candidates { ours: &ours, theirs: &theirs, busy: &busy, most: MAX_PATHS };
        let mut pairs = Pairs::default();
        let Attempt::Try(first) = pairs.next(now, &candidates) else { panic!("nothing to try") };
        pairs.on_failed(now, first.clone(), LONGEST_PAUSE, 0);
        let Attempt::Try(second) = pairs.next(now, &candidates) else { panic!("nothing else to try") };
        assert_ne!(first, second);
        pairs.on_failed(now, second, LONGEST_PAUSE, u64::MAX);
        let again = now + FIRST_PAUSE / 2;
        assert_eq!(pairs.next(now, &candidates), Attempt::Wait(Some(again)));
        assert_eq!(pairs.next(again, &candidates), Attempt::Try(first));
    }

    #[test]
    fn pauses_grow_to_a_bound_and_end_with_success_or_a_new_login() {
        let (now, peer) = (Instant::now(), jid("a"));
        let pair = (AccountId(0), &peer);
        let mut pairs = Pairs::default();
        for _ in 0..50 {
            pairs.on_failed(now, (pair.0, peer.clone()), LONGEST_PAUSE, u64::MAX);
        }
        assert!(pairs.rests_until(pair).unwrap() <= now + LONGEST_PAUSE);
        pairs.on_works(pair);
        assert_eq!(pairs.failures(pair), 0);
        pairs.on_failed(now, (pair.0, peer.clone()), LONGEST_PAUSE, 0);
        pairs.start_over(AccountId(0));
        assert_eq!(pairs.failures(pair), 0);
    }

    #[test]
    fn a_client_fails_since_the_first_failure_after_the_last_success() {
        let (now, peer) = (Instant::now(), jid("a"));
        let pair = (AccountId(0), peer.clone());
        let mut pairs = Pairs::default();
        assert_eq!(pairs.failing_since(), None);
        for second in 0..5 {
            let at = now + Duration::from_secs(second);
            pairs.on_failed(at, pair.clone(), LONGEST_PAUSE, 0);
        }
        assert_eq!(pairs.failing_since(), Some(now));
        pairs.on_works((pair.0, &pair.1));
        assert_eq!(pairs.failing_since(), None);
    }

    #[test]
    fn who_was_not_there_each_time_is_absent_and_who_has_refused_once_is_not() {
        let (now, peer) = (Instant::now(), jid("a"));
        let pair = (AccountId(0), &peer);
        for refusals in [0, 1] {
            let mut pairs = Pairs::default();
            let fail = |pairs: &mut Pairs| {
                pairs.on_failed(now, (pair.0, peer.clone()), LONGEST_PAUSE, 0);
            };
            (0..refusals).for_each(|_| fail(&mut pairs));
            for times in 1..=5 {
                fail(&mut pairs);
                pairs.on_absent(pair);
                assert_eq!(pairs.is_absent(pair), refusals == 0 && times >= ABSENT);
            }
        }
    }

    #[test]
    fn failures_of_accounts_that_are_gone_are_forgotten() {
        let (now, mut pairs) = (Instant::now(), Pairs::default());
        for peer in peers(&["a", "b", "c"]) {
            pairs.on_failed(now, (AccountId(0), peer), LONGEST_PAUSE, 0);
        }
        pairs.keep_failures_of(|peer| *peer == jid("a"));
        let failures = |name| pairs.failures((AccountId(0), &jid(name)));
        assert_eq!((failures("a"), failures("b"), failures("c")), (1, 0, 0));
    }
}
