//! Descriptors: no more streams than a process may have connections.

use super::Limits;

impl Limits {
    /// Lets no more streams in than fit into so many descriptors of files, of which each takes one for its connection. How many that is,
    /// where it is fewer than before.
    pub fn fit_to_descriptors(&mut self, descriptors: usize) -> Option<usize> {
        let most = streams_within(descriptors);
        let is_too_much = self.max_streams > most;
        self.max_streams = self.max_streams.min(most);
        is_too_much.then_some(most)
    }
}

/// How many streams, each with a connection of its own, fit into `limit` descriptors. Half are left for the accounts, the
/// state directory, which must be written before anybody is let in, the resolver, and connections that are just being closed.
fn streams_within(limit: usize) -> usize {
    (limit / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_is_left_for_what_is_no_stream() {
        let streams = [1024, usize::MAX, 1].map(streams_within);
        assert_eq!(streams, [512, usize::MAX / 2, 1]);
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let mut limits = Limits { max_streams: 600, ..Limits::default() };
        assert_eq!((limits.fit_to_descriptors(1200), limits.max_streams), (None, 600));
        assert_eq!((limits.fit_to_descriptors(1000), limits.max_streams), (Some(500), 500));
    }
}
