#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeSet;

use super::*;

/// What is in the folder: name and content.
fn documents() -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    write_documents(folder.path()).unwrap();
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap());
    files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read_to_string(file.path()).unwrap()))
        .collect()
}

fn document(name: &str) -> String {
    documents().into_iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name}")).1
}

/// The text of a page without its escapes.
fn page(name: &str) -> String {
    document(name).replace("\\-", "-").replace("\\e", "\\")
}

/// All long options, those of the commands included; and the commands.
fn options_and_commands() -> (BTreeSet<String>, Vec<String>) {
    let mut command = command();
    command.build();
    // `help` is the parser's own, and shows what is on the page.
    let ours = command.get_subcommands().map(|each| each.get_name()).filter(|name| *name != "help");
    let commands: Vec<_> = ours.map(str::to_owned).collect();
    let all = command.get_subcommands().chain([&command]);
    let options = all
        .flat_map(|each| each.get_arguments().filter_map(|argument| argument.get_long().map(str::to_owned)));
    (options.collect(), commands)
}

/// Section and key of all that is in the example, as TOML has it once nothing is behind a `#`.
fn keys() -> BTreeSet<(String, String)> {
    let mut file = String::new();
    for line in EXAMPLE.lines() {
        file += line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line);
        file += "\n";
    }
    let table: toml::Table = file.parse().unwrap();
    let mut keys = BTreeSet::new();
    for (section, value) in &table {
        let tables: Vec<_> = value.as_array().map_or_else(|| vec![value], |several| several.iter().collect());
        let names = tables.iter().flat_map(|table| table.as_table().unwrap().keys());
        keys.extend(names.map(|key| (section.clone(), key.clone())));
    }
    keys
}

#[test]
fn there_are_two_pages_and_completions_for_three_shells() {
    let names: BTreeSet<_> = documents().into_iter().map(|(name, _)| name).collect();
    let expected = ["_hexchat-pt", "hexchat-pt.1", "hexchat-pt.bash", "hexchat-pt.fish", "hexchat-pt.toml.5"];
    assert_eq!(names, expected.map(str::to_owned).into());
}

#[test]
fn the_page_of_the_command_has_every_option_and_every_command() {
    let page = page("hexchat-pt.1");
    let (options, commands) = options_and_commands();
    assert!(options.len() > 10 && commands.len() > 3, "{options:?} {commands:?}");
    for option in options {
        assert!(page.contains(&format!("\\fB--{option}\\fR")), "no --{option} in\n{page}");
    }
    for command in commands {
        assert!(page.contains(&format!("\n.SS \"hexchat-pt {command}\"\n")), "no {command} in\n{page}");
    }
}

#[test]
fn the_completions_have_every_option_and_every_command() {
    let (options, commands) = options_and_commands();
    for (name, dashes) in [("hexchat-pt.bash", "--"), ("_hexchat-pt", "--"), ("hexchat-pt.fish", "-l ")] {
        let completions = document(name);
        for option in &options {
            assert!(completions.contains(&format!("{dashes}{option}")), "{name} has no --{option}");
        }
        for command in &commands {
            assert!(completions.contains(command), "{name} has no {command}");
        }
    }
}

#[test]
fn the_page_of_the_configuration_has_every_key_in_its_section() {
    let page = page("hexchat-pt.toml.5");
    let keys = keys();
    assert!(keys.len() > 50, "only {} keys", keys.len());
    for (section, key) in keys {
        let part = page
            .split("\n.SH ")
            .find(|part| part.trim_start_matches(['"', '[']).starts_with(&format!("{section}]")));
        let part = part.unwrap_or_else(|| panic!("no section {section} in\n{page}"));
        assert!(part.contains(&format!("\n.TP\n\\fB{key}\\fR\n")), "no {key} in\n{part}");
    }
}

#[test]
fn every_key_is_explained() {
    let example = Example::parse(EXAMPLE);
    let keys =
        example.sections.iter().flat_map(|section| section.keys.iter().map(move |key| (&section.name, key)));
    let bare: Vec<_> = keys.filter(|(_, key)| key.comment.is_empty()).collect();
    assert!(bare.is_empty(), "{bare:#?}");
}

#[test]
fn the_package_has_the_version_of_the_executable() {
    let newest = include_str!("../debian/changelog").lines().next().unwrap();
    assert!(newest.starts_with(concat!("hexchat-pt (", env!("CARGO_PKG_VERSION"), "-")), "{newest}");
}

#[test]
fn examples_of_commands_are_on_the_page() {
    let page = page("hexchat-pt.1");
    for command in ["forward", "client", "serve", "doctor", "bridge-line", "version", "gen-psk", "forget"] {
        assert!(page.contains(&format!("\n.nf\nhexchat-pt {command}")), "{command}");
    }
}
