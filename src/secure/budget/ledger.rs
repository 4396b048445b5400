//! Ledger of memory: what each client takes of what all of them share.

use std::collections::BTreeMap;

use crate::secure::budget::fair_share;

/// A client that keeps no more bytes than the largest part divided by this is not blamed for others of its domain. Whoever has
/// much on its way keeps several times as much as each of those who share an owner, so it is not less.
const SPARED_BYTES: usize = 8;
/// The same for streams, of which nobody needs many more than others do.
const SPARED_STREAMS: usize = 2;

/// What is kept, for one session, one client or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes that applications wrote and what is remembered about them, at their prices: we can take less.
    pub(crate) written: usize,
    /// Bytes that came from peers, and whatever else they make us keep, at their prices: they have been given credit.
    pub(crate) received: usize,
    /// Bytes that peers may send unread beyond what every session's may at first.
    pub(crate) promised: usize,
    /// Streams that are in use, as a count.
    pub(crate) streams: usize,
}

impl Usage {
    /// Bytes in both directions.
    pub(crate) fn bytes(&self) -> usize {
        self.written + self.received
    }

    fn replace(&mut self, before: &Self, after: &Self) {
        self.written = self.written - before.written + after.written;
        self.received = self.received - before.received + after.received;
        self.promised = self.promised - before.promised + after.promised;
        self.streams = self.streams - before.streams + after.streams;
    }
}

/// What all clients together may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) written: usize,
    pub(crate) received: usize,
    pub(crate) promised: usize,
    pub(crate) streams: usize,
}

/// The sums of what is kept, by client and for all. `C` names a client.
#[derive(Debug)]
pub(crate) struct Ledger<C> {
    budget: Budget,
    whole: Usage,
    clients: BTreeMap<C, Usage>,
    /// The most clients that had something at one time, lately.
    most_clients: usize,
    /// By a number of streams above none, how many clients have just so many.
    clients_by_streams: BTreeMap<usize, usize>,
    /// Everything belongs to one user, who need not share it.
    is_shared: bool,
}

impl<C: Ord + Clone> Ledger<C> {
    /// Nothing is kept yet. Clients have fair shares of the `budget` if it `is_shared`.
    pub(crate) fn new(budget: Budget, is_shared: bool) -> Self {
        let (clients, clients_by_streams) = (BTreeMap::new(), BTreeMap::new());
        Self { budget, whole: Usage::default(), clients, most_clients: 0, clients_by_streams, is_shared }
    }

    /// What is kept in all.
    pub(crate) fn whole(&self) -> Usage {
        self.whole
    }

    /// How many clients have something.
    pub(crate) fn clients(&self) -> usize {
        self.clients.len()
    }

    /// The most clients that had something at one time since this was asked last.
    pub(crate) fn take_most_clients(&mut self) -> usize {
        std::mem::replace(&mut self.most_clients, self.clients.len())
    }

    /// What something of a client's takes has changed.
    pub(crate) fn replace(&mut self, client: &C, before: &Usage, after: &Usage) {
        if before == after {
            return;
        }
        self.whole.replace(before, after);
        match self.clients.get_mut(client) {
            Some(usage) => {
                let streams = usage.streams;
                usage.replace(before, after);
                let usage = *usage;
                if usage == Usage::default() {
                    self.clients.remove(client);
                }
                self.move_client(streams, usage.streams);
            }
            None => {
                self.clients.insert(client.clone(), *after);
                self.most_clients = self.most_clients.max(self.clients.len());
                self.move_client(0, after.streams);
            }
        }
    }

    /// A client had `before` streams and has `after` now.
    fn move_client(&mut self, before: usize, after: usize) {
        if before == after {
            return;
        }
        if let Some(clients) = self.clients_by_streams.get_mut(&before) {
            *clients -= 1;
            if *clients == 0 {
                self.clients_by_streams.remove(&before);
            }
        }
        if after > 0 {
            *self.clients_by_streams.entry(after).or_default() += 1;
        }
    }

    /// How many streams the client has that has most.
    fn most_streams(&self) -> usize {
        self.clients_by_streams.last_key_value().map_or(0, |(streams, _)| *streams)
    }

    /// How many more bytes may be taken from a client's applications: as long as it has fewer than are free, and always an equal
    /// part of half of what there is for all. So those who never acknowledge anything leave room to those who come.
    pub(crate) fn room_to_write(&self, client: &C) -> usize {
        let equal_part = self.equal_part_of_half(self.budget.written);
        self.room(client, self.budget.written, |usage| usage.written, |own| equal_part.saturating_sub(own))
    }

    /// How many more bytes a client may be promised that it may send unread: as long as it has fewer of these than are free, and always
    /// an equal part of half of what there is for all, since what was promised cannot be taken back.
    pub(crate) fn room_to_promise(&self, client: &C) -> usize {
        let equal_part = self.equal_part_of_half(self.budget.promised);
        let left = (self.budget.promised + self.budget.promised / 2).saturating_sub(self.whole.promised);
        let claim = |own| equal_part.saturating_sub(own).min(left);
        self.room(client, self.budget.promised, |usage| usage.promised, claim)
    }

    fn equal_part_of_half(&self, budget: usize) -> usize {
        budget / 2 / self.clients.len().max(1)
    }

    /// How many more streams a client may open: as long as it has fewer than are free, or at least two fewer than another one. So
    /// whoever holds all that there are, with however many accounts, keeps nobody out who has few.
    pub(crate) fn room_for_streams(&self, client: &C) -> usize {
        let most = self.most_streams();
        self.room(client, self.budget.streams, |usage| usage.streams, |own| most.saturating_sub(own) / 2)
    }

    /// How much more of a `budget` a client may have: a fair share, and what it has a claim to beside what it has already.
    fn room(
        &self,
        client: &C,
        budget: usize,
        part: impl Fn(&Usage) -> usize,
        claim: impl Fn(usize) -> usize,
    ) -> usize {
        let all = part(&self.whole);
        if !self.is_shared {
            return budget.saturating_sub(all);
        }
        let own = self.clients.get(client).map_or(0, part);
        fair_share::room(budget, all, own).max(claim(own))
    }

    /// Which client has to give something back, if more is kept than there may be.
    pub(crate) fn greediest<'a, D: Ord>(&'a self, group: impl Fn(&'a C) -> D) -> Option<&'a C> {
        if self.whole.received > self.budget.received {
            self.greediest_by(|usage| usage.received, SPARED_BYTES, group)
        } else if self.whole.bytes() > self.budget.received + self.budget.written {
            self.greediest_by(Usage::bytes, SPARED_BYTES, group)
        } else {
            None
        }
    }

    /// Which client has to give up streams, if more are in use than there may be, and how many are too many: no client that has at
    /// most half as many as another.
    pub(crate) fn greediest_of_streams<'a, D: Ord>(
        &'a self,
        group: impl Fn(&'a C) -> D,
    ) -> Option<(&'a C, usize)> {
        let too_many = self.whole.streams.checked_sub(self.budget.streams).filter(|count| *count > 0)?;
        Some((self.greediest_by(|usage| usage.streams, SPARED_STREAMS, group)?, too_many))
    }

    /// The client whose part times that of its `group` is the largest, of those that are not spared because they have so small a
    /// fraction of the largest part. So accounts of one owner that keep a little less each than somebody at another one go before
    /// it, and one that keeps little is not blamed for a domain that many others use.
    fn greediest_by<'a, D: Ord>(
        &'a self,
        part: impl Fn(&Usage) -> usize,
        spared: usize,
        group: impl Fn(&'a C) -> D,
    ) -> Option<&'a C> {
        let mut groups: BTreeMap<D, usize> = BTreeMap::new();
        for (client, usage) in &self.clients {
            *groups.entry(group(client)).or_default() += part(usage);
        }
        let greed = |&(client, usage): &(&'a C, &Usage)| part(usage) as f64 * groups[&group(client)] as f64;
        let most = self.clients.values().map(&part).max().unwrap_or(0);
        let clients = self.clients.iter().filter(|(_, usage)| part(usage) > most / spared);
        clients.max_by(|one, other| greed(one).total_cmp(&greed(other))).map(|(client, _)| client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { written: 1000, received: 1000, promised: 500, streams: 10 };

    fn received(bytes: usize) -> Usage {
        Usage { received: bytes, ..Usage::default() }
    }

    fn domain(client: &str) -> &str {
        client.split_once('@').unwrap().1
    }

    /// Who has to give something back, if all are of one domain.
    fn greediest<'a>(ledger: &'a Ledger<&'static str>) -> Option<&'a &'static str> {
        ledger.greediest(|_| ())
    }

    fn ledger(of: &[(&'static str, Usage)]) -> Ledger<&'static str> {
        let mut ledger = Ledger::new(BUDGET, true);
        of.iter().for_each(|(client, usage)| ledger.replace(client, &Usage::default(), usage));
        ledger
    }

    #[test]
    fn who_keeps_an_eighth_of_what_others_keep_is_not_blamed_for_a_whole_city_at_its_domain() {
        let city: Vec<_> = (0..100).map(|n| (&*format!("a{n}@public").leak(), received(5))).collect();
        let few = (0..16).map(|n| (&*format!("a@evil{n}").leak(), received(40)));
        let all: Vec<_> = city.into_iter().chain(few).collect();
        let ledger = ledger(&all);
        let greediest = ledger.greediest(|client| domain(client));
        assert!(greediest.is_some_and(|client| client.contains("@evil")), "{greediest:?}");
    }

    #[test]
    fn nobody_has_to_give_anything_back_while_all_is_within_the_budget() {
        assert_eq!(greediest(&ledger(&[("a", received(600)), ("b", received(400))])), None);
    }

    #[test]
    fn the_client_that_keeps_most_in_all_its_sessions_is_the_one_to_shed() {
        let many_small = std::iter::repeat_n(("many", received(90)), 9);
        let all: Vec<_> = many_small.chain([("one", received(200))]).collect();
        assert_eq!(greediest(&ledger(&all)), Some(&"many"));
    }

    #[test]
    fn many_accounts_of_one_domain_go_before_one_that_keeps_a_little_more_elsewhere() {
        let many = ["a@evil", "b@evil", "c@evil", "d@evil", "e@evil", "f@evil", "g@evil", "h@evil"];
        let of_many = many.map(|client| (client, received(100)));
        let all = [&of_many[..], &[("honest@home", received(250))]].concat();
        let ledger = ledger(&all);
        assert!(many.contains(ledger.greediest(|client| domain(client)).unwrap()));
        assert_eq!(greediest(&ledger), Some(&"honest@home"), "the domain makes the difference");
    }

    #[test]
    fn who_keeps_little_is_not_blamed_for_a_domain_that_many_use() {
        let users = ["a@public", "b@public", "c@public", "d@public", "e@public", "f@public"];
        let all: Vec<_> = users
            .map(|user| (user, received(110)))
            .into_iter()
            .chain([("eve@evil", received(400))])
            .collect();
        assert_eq!(ledger(&all).greediest(|client| domain(client)), Some(&"eve@evil"));
    }

    #[test]
    fn what_was_written_and_cannot_be_helped_counts_only_when_both_budgets_together_are_spent() {
        let floors = Usage { written: 1500, ..Usage::default() };
        assert_eq!(greediest(&ledger(&[("a", floors), ("b", received(500))])), None);
        assert_eq!(greediest(&ledger(&[("a", floors), ("b", received(501))])), Some(&"a"));
    }

    #[test]
    fn what_others_keep_unread_takes_nothing_from_what_may_be_written() {
        assert_eq!(ledger(&[("a", received(1000))]).room_to_write(&"b"), 500);
    }

    #[test]
    fn whoever_keeps_half_of_what_may_be_written_leaves_half_of_the_rest_to_the_next() {
        let ledger = ledger(&[("a", Usage { written: 500, ..Usage::default() }), ("b", received(1))]);
        assert_eq!((ledger.room_to_write(&"a"), ledger.room_to_write(&"b")), (0, 250));
    }

    #[test]
    fn a_client_is_promised_no_more_than_is_left_when_it_has_as_much_itself() {
        let promised = |bytes| Usage { promised: bytes, ..Usage::default() };
        let ledger = ledger(&[("a", promised(200)), ("b", promised(100))]);
        assert_eq!(["a", "b", "c"].map(|client| ledger.room_to_promise(&client)), [0, 50, 125]);
    }

    fn streams(count: usize) -> Usage {
        Usage { streams: count, ..Usage::default() }
    }

    #[test]
    fn who_has_two_fewer_streams_than_another_may_open_one_even_if_all_are_in_use() {
        let mut ledger = ledger(&[("a@x", streams(7)), ("b@x", streams(3))]);
        let room = |ledger: &Ledger<_>| ["a@x", "b@x", "c@x"].map(|client| ledger.room_for_streams(&client));
        assert_eq!(room(&ledger), [0, 2, 3]);
        ledger.replace(&"a@x", &streams(7), &streams(4));
        assert_eq!(room(&ledger), [0, 0, 2]);
        ledger.replace(&"a@x", &streams(4), &Usage::default());
        assert_eq!(room(&ledger), [4, 2, 4]);
    }

    #[test]
    fn a_stream_is_given_up_by_nobody_who_has_at_most_half_as_many_as_another() {
        let public = ["a@public", "b@public", "c@public", "d@public"].map(|client| (client, streams(2)));
        let all = [&public[..], &[("eve@evil", streams(4))]].concat();
        let mut ledger = ledger(&all);
        assert_eq!(ledger.greediest_of_streams(|client| domain(client)), Some((&"eve@evil", 2)));
        ledger.replace(&"eve@evil", &streams(4), &streams(3));
        let greediest = ledger.greediest_of_streams(|client| domain(client));
        assert!(
            greediest.is_some_and(|(client, _)| domain(client) == "public"),
            "the whole domain has much more"
        );
        ledger.replace(&"eve@evil", &streams(3), &streams(2));
        assert_eq!(ledger.greediest_of_streams(|client| domain(client)), None, "all are within the limit");
    }

    #[test]
    fn whoever_comes_when_all_is_taken_may_still_write_an_equal_part_of_a_half() {
        let written = |bytes| Usage { written: bytes, ..Usage::default() };
        let ledger =
            ledger(&[("a", written(700)), ("b", written(299)), ("c", written(1)), ("d", received(1))]);
        assert_eq!(["a", "b", "c", "d"].map(|client| ledger.room_to_write(&client)), [0, 0, 124, 125]);
    }

    #[test]
    fn on_the_users_own_side_nothing_is_held_back_for_others() {
        let mut ledger = Ledger::new(BUDGET, false);
        ledger.replace(&"a", &Usage::default(), &Usage { written: 600, streams: 9, ..Usage::default() });
        assert_eq!((ledger.room_to_write(&"a"), ledger.room_for_streams(&"a")), (400, 1));
    }

    #[test]
    fn a_client_without_anything_is_forgotten() {
        let mut ledger = ledger(&[("a", received(5)), ("a", received(7))]);
        ledger.replace(&"a", &received(5), &Usage::default());
        assert_eq!((ledger.clients(), ledger.whole()), (1, received(7)));
        ledger.replace(&"a", &received(7), &Usage::default());
        assert_eq!(ledger.clients(), 0);
    }
}
