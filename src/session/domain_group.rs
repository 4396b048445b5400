//! Domain groups: whose accounts are counted together.
//!
//! Accounts of one server are cheap for whoever owns it, and so are subdomains, of which a wildcard in the DNS makes any number. So
//! shares are not those of domains but of what has to be registered and paid for: the last two labels. Where one more is registered
//! (`example.co.uk`) several owners share a group, which costs them a part of their share and nothing else. A list of such suffixes
//! would be out of date before the program is.

use xmpp_parsers::jid::BareJid;

/// The group of an account's domain: its last two labels, or all of it when it is an address or has fewer.
pub(super) fn group_of(account: &BareJid) -> &str {
    let domain = account.domain().as_str().trim_end_matches('.');
    let is_number = |label: &str| label.bytes().all(|byte| byte.is_ascii_digit());
    let Some((rest, top)) = domain.rsplit_once('.') else { return domain };
    if domain.starts_with('[') || is_number(top) {
        return domain;
    }
    rest.rfind('.').map_or(domain, |dot| &domain[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(domain: &str) -> String {
        group_of(&BareJid::new(&format!("a@{domain}")).unwrap()).to_owned()
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
    fn an_address_is_a_group_of_its_own() {
        for address in ["192.0.2.1", "198.51.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]"] {
            assert_eq!(group(address), address);
        }
    }
}
