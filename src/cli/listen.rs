//! `--listen`: where to listen, as people write it.

use std::net::{Ipv4Addr, SocketAddr};

/// A port, which is one of this machine alone; the same behind `localhost:`; or an address with a port.
pub(super) fn parse(text: &str) -> Result<SocketAddr, &'static str> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && let Ok(port) = port.parse() {
        return Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    }
    text.parse().map_err(|_| {
        "expected a port with or without an address, such as 5700, localhost:5700 or 127.0.0.1:5700, an IPv6 address in brackets"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        let loopback = Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, 5700)));
        for text in ["5700", "localhost:5700", "127.0.0.1:5700"] {
            assert_eq!(parse(text), loopback, "{text}");
        }
        assert_eq!(parse("0").map(|address| address.port()), Ok(0));
        assert!(parse("[::1]:5700").is_ok_and(|address| address.is_ipv6()));
    }

    #[test]
    fn what_is_neither_port_nor_address_is_refused() {
        for text in
            ["", "localhost", "localhost:", "70000", "+5700", "chat.example:5700", "127.0.0.1", "5700x"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
