//! Addresses of the Internet, as opposed to those of this machine and of networks around it (RFC 6890). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not public: the first address, and how many bits of it count.
const NOT_PUBLIC_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Networks within 2000::/3, all that is public of IPv6, that are not: for protocols (Teredo among them), documentation, 6to4.
const NOT_PUBLIC_V6: [([u16; 2], u32); 4] =
    [([0x2001, 0], 23), ([0x2001, 0x0db8], 32), ([0x2002, 0], 16), ([0x3fff, 0], 20)];

/// The beginning of addresses by which those of IPv4 are reached from a network without it (RFC 6052).
const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// Whether it is an address of the Internet.
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match inner(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

/// The address of IPv4 that one of IPv6 stands for.
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [head @ .., high, low] = address.segments();
    let is_nat64 = head == NAT64;
    let bits = u32::from(high) << 16 | u32::from(low);
    address.to_ipv4_mapped().or(is_nat64.then(|| Ipv4Addr::from_bits(bits)))
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_in = |(network, bits): &([u8; 4], u32)| {
        (address.to_bits() ^ u32::from_be_bytes(*network)).leading_zeros() >= *bits
    };
    !NOT_PUBLIC_V4.iter().any(is_in)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let head = u32::from(first) << 16 | u32::from(second);
    let is_in = |([high, low], bits): &([u16; 2], u32)| {
        (head ^ (u32::from(*high) << 16 | u32::from(*low))).leading_zeros() >= *bits
    };
    first >> 13 == 1 && !NOT_PUBLIC_V6.iter().any(is_in)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use super::*;

    fn all(addresses: &[&str], public: bool) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        all(
            &[
                "1.1.1.1",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "172.15.0.1",
                "172.32.0.1",
            ],
            true,
        );
        all(&["192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255"], true);
        all(
            &[
                "2606:4700::1111",
                "2a00::1",
                "2001:200::1",
                "2001:db9::1",
                "64:ff9b::101:101",
                "::ffff:1.1.1.1",
            ],
            true,
        );
    }

    #[test]
    fn those_of_this_machine_and_of_networks_around_it_are_not() {
        all(
            &[
                "0.0.0.0",
                "127.0.0.1",
                "127.255.255.255",
                "10.1.2.3",
                "192.168.1.1",
                "172.16.0.1",
                "172.31.255.255",
            ],
            false,
        );
        all(
            &["169.254.169.254", "100.64.0.1", "198.18.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255"],
            false,
        );
        all(
            &[
                "::",
                "::1",
                "fe80::1",
                "fc00::1",
                "fd00::1",
                "ff02::1",
                "2001:db8::1",
                "2001::1",
                "2002:a00:1::1",
            ],
            false,
        );
        all(
            &[
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "64:ff9b::a00:1",
                "64:ff9b:1::1",
                "::127.0.0.1",
                "3fff::1",
            ],
            false,
        );
    }
}
