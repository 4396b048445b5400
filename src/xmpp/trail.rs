//! Trail of a login that servers send from host to host (`see-other-host`), so that it is not sent in a circle. Pure.
//!
//! RFC 6120 section 4.9.3.19 wants that whoever follows sees to it. The trail goes on where a server sends us elsewhere before there is a
//! session, or from one that has not lasted.

use std::net::IpAddr;

use super::error::{OtherHost, Unfollowed};
use super::race::Candidate;
use crate::config::ServerAddr;

/// One login follows 3 servers that send it elsewhere: a cluster has no use for more.
const MOST_HOPS: usize = 3;

/// Where a login has been.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Those that were secure, or have sent us elsewhere; the latest at the end.
    been: Vec<Candidate>,
    hops: usize,
}

impl Trail {
    /// We are at this one.
    pub(super) fn note(&mut self, candidate: &Candidate) {
        self.been.retain(|other| other != candidate);
        self.been.push(candidate.clone());
    }

    /// The one where we are sends us there, where that leads somewhere.
    pub(super) fn follow(&mut self, host: &OtherHost) -> Result<(), Unfollowed> {
        if self.been.iter().any(|candidate| is_at(host, candidate)) {
            return Err(Unfollowed::InCircle);
        }
        if self.hops == MOST_HOPS {
            return Err(Unfollowed::TooFar);
        }
        self.hops += 1;
        Ok(())
    }
}

/// Whether this is where we are sent.
fn is_at(host: &OtherHost, candidate: &Candidate) -> bool {
    let ServerAddr { host, port } = host.address();
    let name = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    let is_address = host.parse().is_ok_and(|address: IpAddr| candidate.address == Some(address));
    *port == candidate.endpoint.port && (is_address || name(host) == name(&candidate.endpoint.host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::xmpp::security::Kind;
    use crate::xmpp::srv::Endpoint;

    fn place(host: &str, address: &str, port: u16) -> Candidate {
        let endpoint = Endpoint { host: host.to_owned(), port, kind: Kind::StartTls };
        Candidate { endpoint, address: address.parse().ok() }
    }

    fn sent(trail: &mut Trail, host: &str) -> Result<(), Unfollowed> {
        trail.follow(&OtherHost::parse(host).unwrap())
    }

    #[test]
    fn a_host_where_we_have_been_is_known_by_its_name_or_address_and_port() {
        let mut trail = Trail::default();
        trail.note(&place("a.example", "2001:db8::1", 5222));
        trail.note(&place("b.example", "", 5222));
        for circle in ["a.example", "A.Example.:5222", "[2001:db8::1]:5222", "b.example:5222"] {
            assert_eq!(sent(&mut trail, circle), Err(Unfollowed::InCircle), "{circle}");
        }
        for other in ["a.example:5223", "[2001:db8::2]", "c.example"] {
            assert_eq!(sent(&mut trail, other), Ok(()), "{other}");
        }
    }

    #[test]
    fn who_is_sent_from_host_to_host_stops_some_time() {
        let mut trail = Trail::default();
        for n in 0..MOST_HOPS {
            trail.note(&place(&format!("{n}.example"), "", 5222));
            assert_eq!(sent(&mut trail, &format!("{}.example", n + 1)), Ok(()));
        }
        assert_eq!(sent(&mut trail, "last.example"), Err(Unfollowed::TooFar));
    }
}
