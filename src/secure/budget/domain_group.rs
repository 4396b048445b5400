//! Domain groups: whose accounts are counted together.
//!
//! Accounts of one server are cheap for whoever owns it, and so are subdomains, of which a wildcard in the DNS makes any number. So
//! shares are not those of domains but of what has to be registered and paid for: the last two labels. Where one more is registered
//! (`example.co.uk`) several owners share a group, which costs them a part of their share and nothing else. A list of such suffixes
//! would be out of date before the program is.

use xmpp_parsers::jid::BareJid;

/// What stands between labels (RFC 3490, section 3.1): a server that looks up a name takes each of these for a dot.
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// The group of all addresses of IPv6: whoever has one has any number of them.
const IPV6: &str = "[";

/// The group of an account's domain: its last two labels, or all of it when it has fewer or is an address of IPv4.
pub(crate) fn group_of(account: &BareJid) -> &str {
    let domain = account.domain().as_str().trim_end_matches(DOTS);
    if domain.starts_with(IPV6) {
        return IPV6;
    }
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let Some((rest, top)) = domain.rsplit_once(DOTS) else { return domain };
    if is_number(top) {
        return domain;
    }
    rest.rsplit_once(DOTS).map_or(domain, |(others, _)| domain[others.len()..].trim_start_matches(DOTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(domain: &str) -> String {
        group_of(&BareJid::new(&format!("a@{domain}")).unwrap()).to_owned()
    }

    #[test]
    fn whatever_stands_between_labels_is_a_dot() {
        assert_eq!(group("d1.evil\u{3002}example"), group("d2\u{3002}evil\u{3002}example"));
    }

    #[test]
    fn all_subdomains_of_what_was_registered_are_one_group() {
        for domain in
            ["evil.example", "d1.evil.example", "a.b.c.evil.example", "EVIL.example", "d1.evil.example."]
        {
            assert_eq!(group(domain), "evil.example", "{domain}");
        }
    }

    #[test]
    fn other_registered_domains_and_single_labels_are_groups_of_their_own() {
        for domain in ["evil.example", "good.example", "localhost", "x"] {
            assert_eq!(group(domain), domain);
        }
    }

    #[test]
    fn an_address_of_ipv4_is_a_group_of_its_own_and_all_of_ipv6_are_one() {
        for address in ["192.0.2.1", "198.51.2.1"] {
            assert_eq!(group(address), address);
        }
        assert_eq!(group("[2001:db8::1]"), group("[::ffff:192.0.2.1]"));
    }
}
