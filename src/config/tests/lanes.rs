//! What may carry bulk beside stanzas, and by which way.

use super::*;

fn lanes(text: &str) -> Lanes {
    parse(&format!("[lanes]\n{text}")).unwrap().lanes
}

#[test]
fn files_are_used_unless_the_user_says_no_and_by_a_bridge_only_if_he_says_how() {
    let expected = Lanes { upload: true, relay: false, proxy: None, hosts: Vec::new() };
    assert_eq!(parse("").unwrap().lanes, expected);
    for (text, expected) in [("", true), ("\"auto\"", true), ("false", false), ("\"off\"", false)] {
        let text = if text.is_empty() { String::new() } else { format!("upload = {text}") };
        assert_eq!(lanes(&text).upload, expected, "{text}");
    }
    for text in ["true", "\"on\"", "1"] {
        let error = refused(&format!("[lanes]\nupload = {text}"));
        assert!(error.contains("[lanes] upload") && error.contains("false"), "{error}");
    }
}

#[test]
fn relays_are_used_only_if_the_user_says_so() {
    assert!(lanes("relay = true").relay && !lanes("relay = false").relay && !lanes("").relay);
    let error = refused("[lanes]\nrelay = \"auto\"");
    assert!(error.contains("[lanes] relay") && error.contains("true or false"), "{error}");
}

#[test]
fn a_proxy_is_one_of_socks5_at_an_address_or_none() {
    assert_eq!(lanes("proxy = \"none\"").proxy, Some(LaneProxy::None));
    for uri in ["socks5://127.0.0.1:9050", "socks5://user:p@ss@[::1]:1080"] {
        assert_eq!(lanes(&format!("proxy = \"{uri}\"")).proxy, Some(LaneProxy::At(uri.to_owned())));
    }
    for uri in [
        "",
        "direct",
        "127.0.0.1:9050",
        "http://127.0.0.1:3128",
        "socks5://localhost:9050",
        "socks5://127.0.0.1:0",
    ] {
        let error = refused(&format!("[lanes]\nproxy = \"{uri}\""));
        assert!(error.contains("[lanes] proxy") && error.contains("socks5://"), "{error}");
    }
}

#[test]
fn hosts_are_whole_names_in_any_spelling_or_addresses() {
    let text = "hosts = [\"Files.Chat.example\", \"cdn.example.\", \"192.0.2.1\", \"2001:DB8::0\"]";
    assert_eq!(lanes(text).hosts, ["files.chat.example", "cdn.example", "192.0.2.1", "2001:db8::"]);
    for bad in ["\"https://x.example\"", "\"192.0.2\"", "\"[::1]\"", "\"\"", "\"*.x.example\"", "1"] {
        let error = refused(&format!("[lanes]\nhosts = [\"ok.example\", {bad}]"));
        assert!(error.contains("[lanes] hosts") && error.contains("item 2"), "{error}");
    }
    assert!(refused("[lanes]\nhosts = \"x.example\"").contains("a list in brackets"));
    let many = vec!["\"x.example\""; 65].join(",");
    assert!(refused(&format!("[lanes]\nhosts = [{many}]")).contains("64"));
}
