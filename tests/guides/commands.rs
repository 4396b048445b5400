//! Commands: what stands in blocks of `sh`, one by one, and who runs each.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command as Process;

use crate::blocks::{self, Block};
use crate::{elsewhere, executable, root, shell};

/// One command, as a person types it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Where it stands.
    pub(crate) place: String,
    pub(crate) text: String,
}

/// Words that have somebody else run what follows: here the tests are that user.
const AS_SOMEBODY_ELSE: [&str; 2] = ["runuser -u debian-tor -- ", "sudo "];

impl Command {
    /// What it does, whoever runs it.
    pub(crate) fn what(&self) -> &str {
        AS_SOMEBODY_ELSE.iter().fold(&self.text, |text, prefix| text.strip_prefix(prefix).unwrap_or(text))
    }

    /// Its words, and before them the variables that it sets.
    pub(crate) fn words(&self) -> (Vec<(String, String)>, Vec<String>) {
        let mut words = words(self.what());
        let is_variable =
            |word: &String| word.split_once('=').is_some_and(|(name, _)| !name.starts_with('-'));
        let count = words.iter().take_while(|word| is_variable(word)).count();
        let rest = words.split_off(count);
        let pair =
            |word: &String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        (words.iter().filter_map(pair).collect(), rest)
    }

    /// Whether it is ours.
    pub(crate) fn is_ours(&self) -> bool {
        self.words().1.first().is_some_and(|word| word == "hexchat-pt")
    }
}

/// Words as a shell reads them.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in text.chars() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}

/// All commands of all documents.
pub(crate) fn all() -> Vec<Command> {
    blocks::in_language("sh").iter().flat_map(in_block).collect()
}

/// The commands of one block: a line each, or several that `&&` joins.
fn in_block(block: &Block) -> Vec<Command> {
    let text = block.text.replace("\\\n", " ");
    let lines = text.lines().map(without_comment).filter(|line| !line.trim().is_empty());
    let single = lines.flat_map(|line| line.split(" && "));
    let one_blank = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    single.map(|text| Command { place: block.place(), text: one_blank(text) }).collect()
}

/// A comment begins a line, or stands behind two blanks.
fn without_comment(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line.split("  #").next().unwrap_or_default() }
}

#[test]
fn every_command_is_run_or_listed() {
    let commands = all();
    let is_known = |command: &&Command| {
        command.is_ours()
            || shell::runs(command)
            || is_checked(command)
            || elsewhere::place_of(command).is_some()
    };
    let unknown: Vec<_> = commands.iter().filter(|command| !is_known(command)).collect();
    assert!(unknown.is_empty(), "neither run nor in tests/guides/elsewhere.rs: {unknown:#?}");
}

/// `make` and `cargo`: most of them are what runs this test. That what they name exists is looked at below.
fn is_checked(command: &Command) -> bool {
    matches!(command.words().1.first().map(String::as_str), Some("make" | "cargo"))
}

#[test]
fn everything_that_make_is_to_do_is_in_the_makefile() {
    let targets: BTreeSet<String> = all()
        .iter()
        .map(|command| command.words().1)
        .filter(|words| words[0] == "make")
        .flat_map(|words| words.into_iter().skip(1).filter(|word| !word.contains('=')))
        .collect();
    assert!(targets.len() > 5, "{targets:?}");
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let missing: Vec<_> = targets
        .iter()
        .filter(|target| !makefile.lines().any(|line| line.starts_with(&format!("{target}:"))))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_suite_that_cargo_is_to_run_exists() {
    let commands: Vec<_> = all().into_iter().filter(|command| command.words().1[0] == "cargo").collect();
    assert!(commands.len() > 5, "{commands:#?}");
    let manifests =
        ["bench", "bench/core", "crates/hexchat-pt-ffi", "crates/tor-pt", "packaging", "tests/lab"];
    let packages: String = manifests
        .iter()
        .map(|folder| fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap())
        .collect();
    for command in commands {
        let words = command.words().1;
        for pair in words.windows(2) {
            let exists = match pair[0].as_str() {
                "--test" => is_suite(&pair[1]),
                "--package" => packages.contains(&format!("name = \"{}\"", pair[1])),
                "--manifest-path" => root().join(&pair[1]).is_file(),
                _ => true,
            };
            assert!(exists, "{}: there is no {} {}", command.place, pair[0], pair[1]);
        }
    }
}

/// Whether this is a test target of the program or of the library for apps.
pub(crate) fn is_suite(name: &str) -> bool {
    let folders = ["tests", "crates/hexchat-pt-ffi/tests"].map(|folder| root().join(folder));
    let is_there = |tests: &PathBuf| {
        tests.join(name).join("main.rs").is_file() || tests.join(format!("{name}.rs")).is_file()
    };
    name == "pt-spec" || folders.iter().any(is_there)
}

/// Inline code is not run, but has to be something that could be.
#[test]
fn every_command_in_a_sentence_names_a_command_and_options_that_exist() {
    let mut count = 0;
    for (document, text) in blocks::texts() {
        let prose = text.replace('\n', " ");
        let spans = prose.split('`').skip(1).step_by(2).filter(|span| span.starts_with("hexchat-pt "));
        for span in spans {
            let words: Vec<_> = span.split_whitespace().skip(1).collect();
            // An option alone is the program's own.
            let command: Vec<_> = words.first().filter(|word| !word.starts_with('-')).into_iter().collect();
            let help = Process::new(executable()).args(command).arg("--help").output().unwrap();
            let help = String::from_utf8(help.stdout).unwrap();
            assert!(!help.is_empty(), "{document}: `{span}` is no command");
            for option in words.iter().filter(|word| word.starts_with("--")) {
                assert!(
                    help.contains(option),
                    "{document}: `{span}` has an option that does not exist:\n{help}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 10, "only {count} were found");
}

#[test]
fn commands_are_read_as_a_shell_reads_them() {
    let text = "# why\nA=b make x && printf %s 'two words' | cat   # so\npodman run \\\n    --detach\n";
    let block = Block { document: "x", line: 1, language: "sh".into(), text: text.into() };
    let texts: Vec<_> = in_block(&block).into_iter().map(|command| command.text).collect();
    assert_eq!(texts, ["A=b make x", "printf %s 'two words' | cat", "podman run --detach"]);
    assert_eq!(words("printf %s 'two words' \"\""), ["printf", "%s", "two words", ""]);
}
