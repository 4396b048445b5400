#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

fn pairs(args: &Args) -> Vec<(&str, &str)> {
    args.iter().collect()
}

/// What C tor does to the words of a bridge line before it sends them.
fn as_c_tor_sends(words: &[String]) -> Vec<u8> {
    let escape = |word: &String| word.replace('\\', r"\\").replace(';', r"\;");
    words.iter().map(escape).collect::<Vec<_>>().join(";").into_bytes()
}

fn args_of(pairs: impl IntoIterator<Item = (String, String)>) -> Args {
    let mut args = Args::new();
    pairs.into_iter().for_each(|(key, value)| args.push(key, value));
    args
}

#[test]
fn nothing_means_no_arguments() {
    assert!(Args::parse(b"").unwrap().is_empty());
    assert!(Args::from_socks(b"", b"\0").unwrap().is_empty());
}

#[test]
fn escapes_and_bare_equals_signs_are_read() {
    let args = Args::parse(br"a=1\;2;b\==x\\y;c=d=e;f=").unwrap();
    assert_eq!(pairs(&args), [("a", "1;2"), ("b=", r"x\y"), ("c", "d=e"), ("f", "")]);
}

#[test]
fn malformed_arguments_are_refused() {
    for (raw, error) in [
        (&b"a"[..], ArgsError::NoEquals(1)),
        (b"a=1;", ArgsError::NoEquals(2)),
        (b";a=1", ArgsError::NoEquals(1)),
        (b"a=1;;b=2", ArgsError::NoEquals(2)),
        (b"=1", ArgsError::EmptyKey(1)),
        (b"a=1;=2", ArgsError::EmptyKey(2)),
        (br"a=1\", ArgsError::TrailingBackslash),
        (br"a\", ArgsError::TrailingBackslash),
        (b"\xff=1", ArgsError::KeyNotUtf8(1)),
        (b"a=\xff", ArgsError::ValueNotUtf8("a".into())),
    ] {
        assert_eq!(Args::parse(raw), Err(error), "{raw:?}");
    }
}

#[test]
fn no_error_and_no_debug_shows_a_value() {
    let mut args = Args::new();
    args.push("login", "hunter2");
    let shown = format!("{args:?}");
    assert!(shown.contains("login") && !shown.contains("hunter2"), "{shown}");
    let error = Args::parse(b"login=hunter2\xff").unwrap_err().to_string();
    assert!(error.contains("login") && !error.contains("hunter2"), "{error}");
    let misplaced = Args::parse(b"alice@x.example:hunter2=\xff").unwrap_err().to_string();
    assert!(!misplaced.contains("hunter2") && !misplaced.contains("alice"), "{misplaced}");
}

#[test]
fn a_repeated_key_is_kept_and_its_first_value_found() {
    let args = Args::parse(b"a=1;b=2;a=3").unwrap();
    assert_eq!(pairs(&args), [("a", "1"), ("b", "2"), ("a", "3")]);
    assert_eq!(args.get("a"), Some("1"));
}

#[test]
fn a_bridge_line_holds_510_bytes_and_no_more() {
    let args = |length: usize| args_of([("k".to_owned(), "v".repeat(length - 2))]);
    assert_eq!(args(510).encode().unwrap().len(), 510);
    assert_eq!(args(511).encode(), Err(ArgsError::TooLong(511)));
}

#[test]
fn a_password_may_be_absent_empty_or_one_nul() {
    for password in [&b""[..], b"\0"] {
        assert_eq!(pairs(&Args::from_socks(b"a=1", password).unwrap()), [("a", "1")]);
    }
}

#[test]
fn server_options_are_sorted_by_transport() {
    let hexchat = "hexchat".parse().unwrap();
    let raw = br"hexchat:a=1;other:b=2;hexchat:c=x\:y=z\;;hexchat:a=2";
    let options = parse_server_options(raw, &hexchat).unwrap();
    assert_eq!(pairs(&options), [("a", "1"), ("c", "x:y=z;"), ("a", "2")]);
    assert!(parse_server_options(b"", &hexchat).unwrap().is_empty());
}

#[test]
fn malformed_server_options_are_refused() {
    let hexchat = "hexchat".parse().unwrap();
    for (raw, error) in [
        (&b"a=1"[..], ArgsError::NoTransport(1)),
        (b"hexchat:a=1;", ArgsError::NoTransport(2)),
        (b"hexchat:a", ArgsError::NoEquals(1)),
        (b"other:=1", ArgsError::EmptyKey(1)),
        (br"hexchat:a=\", ArgsError::TrailingBackslash),
    ] {
        assert_eq!(parse_server_options(raw, &hexchat), Err(error), "{raw:?}");
    }
}

#[test]
fn smethod_arguments_are_escaped_or_refused() {
    let mut args = SmethodArgs::default();
    args.push("cert", "abc==").unwrap();
    args.push("x", r"1,2\3").unwrap();
    assert_eq!(args.to_string(), r"cert=abc\=\=,x=1\,2\\3");
    for (key, value) in [("", "1"), ("a b", "1"), ("a", "1 2"), ("a", "1\n"), ("a", "\0"), ("a", "\u{85}")] {
        assert!(args.push(key, value).is_err(), "{key:?} {value:?}");
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(pairs in prop::collection::vec(("[^\0]{1,8}", "[^\0]{0,20}"), 0..8)) {
        let args = args_of(pairs);
        if let Ok(encoded) = args.encode() {
            prop_assert_eq!(Args::parse(encoded.as_bytes()).unwrap(), args);
        }
    }

    #[test]
    fn c_tor_may_cut_the_string_anywhere(
        pairs in prop::collection::vec(("[a-z]{1,4}", "[^\0 ]{0,12}"), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let words: Vec<_> = pairs.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let sent = as_c_tor_sends(&words);
        let (user_name, password) = sent.split_at(cut.index(sent.len() + 1));
        prop_assert_eq!(Args::from_socks(user_name, password).unwrap(), args_of(pairs));
    }

    #[test]
    fn any_bytes_are_read_or_refused(raw in prop::collection::vec(any::<u8>(), 0..510)) {
        let _ = Args::parse(&raw);
        let _ = parse_server_options(&raw, &"hexchat".parse().unwrap());
    }
}
