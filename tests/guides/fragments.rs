//! Fragments of files: the program's configuration, torrc, and lines that are pasted.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hexchat_lab::process::Spawn;
use hexchat_pt::config::{BridgeConfig, Config, parse_bridge_line};

use crate::blocks::{self, Block};
use crate::filling::{KEY, fill};
use crate::{PATIENCE, root};

/// What the program makes of a fragment of its configuration.
fn read(block: &Block) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let text = fill(&block.text);
    for file in text.lines().filter_map(named_file) {
        fs::write(folder.path().join(file), "secret\n").unwrap();
    }
    Config::parse(&text, &folder.path().join("hexchat.toml"))
        .unwrap_or_else(|error| panic!("{}: {error}\n{text}", block.place()))
}

/// The file that a line of the configuration names, beside it.
fn named_file(line: &str) -> Option<&str> {
    let (key, value) = line.split_once('=')?;
    key.trim().ends_with("_file").then(|| value.split('"').nth(1)).flatten()
}

#[test]
fn every_fragment_of_the_configuration_is_read_without_a_warning() {
    for block in blocks::in_language("toml") {
        let config = read(&block);
        assert!(config.warnings.is_empty(), "{}: {:?}", block.place(), config.warnings);
    }
}

#[test]
fn the_bridge_lines_of_arti_are_read() {
    let blocks = blocks::in_language("arti");
    let tables: Vec<toml::Table> = blocks
        .iter()
        .map(|block| fill(&block.text).parse().unwrap_or_else(|error| panic!("{}: {error}", block.place())))
        .collect();
    let lines: Vec<_> = tables.iter().filter_map(|table| table["bridges"].get("bridges")).collect();
    assert!(!lines.is_empty(), "{tables:?}");
    for line in lines.iter().flat_map(|lines| lines.as_array().unwrap()) {
        accepts(line.as_str().unwrap());
    }
}

/// That the program takes this bridge line, and has nothing to say about it.
fn accepts(line: &str) {
    let arguments = parse_bridge_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let (_, warnings) = BridgeConfig::resolve(arguments.iter(), &with_an_account())
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    assert!(warnings.is_empty(), "{line}: {warnings:?}");
}

/// For lines whose login is in the configuration.
fn with_an_account() -> Config {
    let text = "[[account]]\njid = \"alice@chat.example\"\npassword = \"secret\"\n";
    Config::parse(text, Path::new("hexchat.toml")).unwrap()
}

/// Runs tor on this torrc without starting anything, and returns what it has to complain of.
fn complaints(torrc: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let file = folder.path().join("torrc");
    fs::write(&file, torrc).unwrap();
    let mut tor = Spawn::new("tor", "tor")
        .args(["--verify-config", "--defaults-torrc", "/nonexistent", "-f"])
        .arg(&file)
        .arg("--DataDirectory")
        .arg(folder.path())
        .start()
        .unwrap();
    let status = tor.wait(PATIENCE).unwrap();
    tor.wait_for_end_of_output(PATIENCE).unwrap();
    let is_complaint = |line: &String| {
        // Both are about how it is run here, and not about what is said.
        let is_about_us = line.contains("as root") || line.contains("ContactInfo");
        (line.contains("[warn]") || line.contains("[err]")) && !is_about_us
    };
    let complaints: Vec<_> = tor.lines().into_iter().filter(is_complaint).collect();
    assert!(status.success() || !complaints.is_empty(), "{:?}", tor.lines());
    complaints
}

#[test]
fn every_fragment_of_torrc_is_accepted_by_tor_and_its_bridge_lines_by_us() {
    for block in blocks::in_language("torrc") {
        let torrc = fill(&block.text);
        let complaints = complaints(&torrc);
        assert!(complaints.is_empty(), "{}: {complaints:#?}\n{torrc}", block.place());
        torrc.lines().filter(|line| line.starts_with("Bridge ")).for_each(accepts);
    }
}

#[test]
fn the_example_of_torrc_is_accepted_in_both_halves() {
    let example = fs::read_to_string(root().join("torrc.example")).unwrap();
    let (client, bridge) = example.split_once("## A bridge").unwrap();
    // Of a bridge's part each line is commented out that is a setting; sentences have a lower case letter second and end in a stop.
    let is_setting = |line: &&str| {
        line.split_whitespace()
            .next()
            .is_some_and(|word| word.chars().filter(char::is_ascii_uppercase).count() > 1)
    };
    let settings: Vec<_> =
        bridge.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_setting).collect();
    assert!(settings.len() >= 6, "{settings:#?}");
    for torrc in [client, &settings.join("\n")] {
        assert_eq!(complaints(torrc), Vec::<String>::new(), "{torrc}");
    }
}

#[test]
fn what_tor_does_not_know_is_complained_of() {
    assert!(!complaints("UseBridgs 1\n").is_empty());
}

#[test]
fn every_argument_of_a_bridge_line_is_read() {
    for block in blocks::in_language("arguments") {
        for line in fill(&block.text).lines().filter(|line| !line.trim().is_empty()) {
            let arguments = line.split('#').next().unwrap();
            let jid = if arguments.contains("jid=") { "" } else { "jid=bridge@chat.example/r " };
            // A place may show two spellings of the same.
            let (mut seen, mut once) = (Vec::new(), String::new());
            for argument in arguments.split_whitespace() {
                let name = argument.split('=').next().unwrap();
                if seen.contains(&name) {
                    accepts(&format!("hexchat 192.0.2.3:1 jid=bridge@chat.example/r key={KEY} {argument}"));
                } else {
                    seen.push(name);
                    once += &format!(" {argument}");
                }
            }
            accepts(&format!("hexchat 192.0.2.3:1 {jid}key={KEY}{once}"));
        }
    }
}
