//! Descriptors: no more streams than this process may have connections.

use super::Limits;
use crate::os;

/// Each stream has a connection of its own: no more are taken than there are descriptors for.
pub fn fit_to_descriptors(limits: &mut Limits) {
    let most = streams_within(os::descriptor_limit());
    if limits.max_streams > most {
        tracing::warn!(
            "no more than {most} streams are taken at a time, and not {}, because this process may only have {} files open \
             (see `ulimit -n`, and LimitNOFILE of systemd)",
            limits.max_streams,
            os::descriptor_limit()
        );
        limits.max_streams = most;
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
}
