//! The example file: it shows all there is to set, and is taken by nobody for a configuration.

use std::fs;

use super::{KEY, parse, with_ca_file};
use crate::config::{BridgeConfig, Config, Limits, Problem, keys};

/// What stands for keys and secrets in the example file.
const OF_EXAMPLE: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// The example with every setting that is off switched on.
fn example_switched_on(text: &str) -> String {
    let is_setting = |rest: &str| rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase());
    let line =
        |line: &str| line.strip_prefix('#').filter(|rest| is_setting(rest)).unwrap_or(line).to_owned() + "\n";
    text.lines().map(line).collect()
}

#[test]
fn the_example_file_shows_every_key_with_its_default() {
    const EXAMPLE: &str = include_str!("../../../doc/hexchat.example.toml");
    let as_is = parse(EXAMPLE).unwrap();
    assert!(as_is.accounts.is_empty() && !as_is.bridge.classic && as_is.warnings.is_empty());
    assert_eq!(as_is.limits, Limits::default());
    for bound in Limits::BOUNDS {
        assert!(EXAMPLE.contains(&format!("\n{} = {}\n", bound.name, bound.default)), "{}", bound.name);
    }

    let dir = with_ca_file();
    fs::write(dir.path().join("other.password"), "p\n").unwrap();
    // A secret stands in the file or in another one.
    let all = example_switched_on(EXAMPLE).replace("\nsecret_file = ", "\n#secret_file = ");
    let path = dir.path().join("hexchat.toml");
    assert_eq!(Config::parse(&all, &path).err().unwrap().problem, Problem::NobodysKey);
    let all = all.replace(&format!("\nkey = \"{OF_EXAMPLE}\""), &format!("\nkey = \"{KEY}\""));
    assert_eq!(Config::parse(&all, &path).err().unwrap().problem, Problem::NoSecret);
    let all = Config::parse(&all.replace(OF_EXAMPLE, KEY), &path).unwrap();
    assert_eq!(all.accounts.len(), 3);
    assert!(all.bridge.psk.is_some());
    for (section, keys) in keys::SECTIONS {
        for key in keys {
            let setting = format!("\n{key} = ");
            assert!(example_switched_on(EXAMPLE).contains(&setting), "[{section}] {key}");
        }
    }
    assert!(BridgeConfig::resolve([("mode", "secure")], &all).is_ok());
}

#[test]
fn every_line_of_the_example_has_a_comment_above() {
    const EXAMPLE: &str = include_str!("../../../doc/hexchat.example.toml");
    let lines: Vec<_> = EXAMPLE.lines().collect();
    for pair in lines.windows(2) {
        let is_key = pair[1].trim_start_matches('#').starts_with(|c: char| c.is_ascii_lowercase());
        assert!(!is_key || pair[0].starts_with("# "), "{}", pair[1]);
    }
}
