//! Quotas, in virtual time.

use super::*;

const ID: AccountId = AccountId(1);
const SIBLING: AccountId = AccountId(2);

/// A kilobyte a second.
const DAILY: u64 = 86_400_000;

fn name(user: &str) -> BareJid {
    BareJid::new(&format!("{user}@chat.example")).expect("a JID")
}

/// An account with two logins that has sent so much of its quota.
fn quotas(now: Instant, used: u64) -> Quotas {
    let mut quotas = Quotas::default();
    [ID, SIBLING].into_iter().for_each(|id| quotas.set(now, id, name("alice"), (DAILY, used)));
    quotas
}

fn told(quotas: &mut Quotas) -> Vec<(u8, u64)> {
    std::iter::from_fn(|| quotas.poll_news()).map(|news| (news.percent, news.bytes)).collect()
}

fn may_send(quotas: &Quotas, id: AccountId) -> bool {
    quotas.restraint(id).is_none_or(|restraint| restraint.may_send)
}

#[test]
fn each_hundredth_is_told_once_by_whichever_login_it_goes() {
    let (now, mut quotas) = (Instant::now(), quotas(Instant::now(), 0));
    for (id, bytes) in [(ID, 800_000), (SIBLING, 100_000), (SIBLING, 100_000), (ID, 10)] {
        quotas.on_sent(now, id, bytes);
    }
    assert_eq!(told(&mut quotas), [(1, 900_000)]);
    quotas.on_sent(now, ID, DAILY as usize);
    assert_eq!(told(&mut quotas), [(101, DAILY + 1_000_010)]);
    assert!(!may_send(&quotas, ID) && !may_send(&quotas, SIBLING));
}

#[test]
fn who_has_sent_all_goes_on_as_fast_as_it_empties_which_is_told_once() {
    let (start, mut quotas) = (Instant::now(), quotas(Instant::now(), DAILY));
    let (mut now, mut sent) = (start, 0);
    while now < start + Duration::from_secs(60) {
        if may_send(&quotas, ID) {
            quotas.on_sent(now, ID, 1400);
            sent += 1400;
        }
        now = quotas.next_timeout().expect("a time");
        assert_eq!(quotas.handle_timeout(now), [ID, SIBLING]);
    }
    assert!((58_000..=62_000).contains(&sent), "{sent}");
    assert_eq!(told(&mut quotas).len(), 1);
}

#[test]
fn nobody_is_free_before_the_time() {
    let (now, mut quotas) = (Instant::now(), quotas(Instant::now(), DAILY + 5000));
    let at = quotas.next_timeout().expect("a time");
    assert!((now + Duration::from_secs(5)..now + Duration::from_secs(6)).contains(&at));
    assert_eq!(quotas.handle_timeout(at - Duration::from_secs(1)), []);
    assert_eq!(quotas.handle_timeout(at), [ID, SIBLING]);
    assert_eq!(quotas.next_timeout(), None);
}

#[test]
fn a_day_later_it_is_empty_and_is_told_anew() {
    let (now, mut quotas) = (Instant::now(), quotas(Instant::now(), DAILY));
    quotas.on_sent(now, ID, 0);
    quotas.on_sent(now + DAY, ID, 2_000_000);
    assert_eq!(told(&mut quotas), [(100, DAILY), (2, 2_000_000)]);
}

#[test]
fn an_account_without_logins_is_told_and_forgotten_and_one_without_a_quota_is_free() {
    let (now, mut quotas) = (Instant::now(), quotas(Instant::now(), DAILY));
    quotas.remove(ID);
    quotas.set(now, ID, name("alice"), (DAILY, 0));
    assert!(!may_send(&quotas, ID), "the other login knows better");
    [ID, SIBLING].into_iter().for_each(|id| quotas.remove(id));
    assert_eq!(told(&mut quotas), [(100, DAILY)]);
    quotas.on_sent(now, ID, 2 * DAILY as usize);
    assert!(may_send(&quotas, ID) && quotas.next_timeout().is_none());
}

#[test]
fn all_of_them_can_be_told() {
    let (now, mut quotas) = (Instant::now(), quotas(Instant::now(), 7));
    quotas.set(now, AccountId(3), name("bob"), (DAILY, 8));
    quotas.tell_all();
    assert_eq!(told(&mut quotas), [(0, 7), (0, 7), (0, 8)]);
}

#[test]
fn each_tenth_is_told_once_for_all_logins_and_again_when_less_was_used_meanwhile() {
    let (now, mut quotas) = (Instant::now(), quotas(Instant::now(), 0));
    let tenth = DAILY as usize / 10;
    let mut tells = |hours: u64, id, bytes| {
        quotas.on_sent(now + Duration::from_secs(hours * 3600), id, bytes);
        [ID, SIBLING].map(|id| quotas.poll_tenth(id))
    };
    assert_eq!(tells(0, ID, tenth - 1), [None; 2]);
    assert_eq!(tells(0, SIBLING, 1), [Some(10), None]);
    assert_eq!(tells(0, ID, 2 * tenth), [Some(30), None]);
    assert_eq!(tells(0, SIBLING, tenth / 2), [None; 2]);
    assert_eq!(tells(6, ID, 0), [None; 2], "a quarter of the bucket is empty again");
    assert_eq!(tells(6, ID, tenth), [Some(20), None]);
}
