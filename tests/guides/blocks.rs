//! Blocks of code in the documents: where they stand, in which language, and what they say.

use std::fs;

use crate::root;

/// Those that tell people to write or run something.
const DOCUMENTS: [&str; 11] = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "doc/user-guide.md",
    "doc/operator-guide.md",
    "doc/using.md",
    "doc/scaling.md",
    "doc/performance.md",
    "doc/good-guest.md",
    "contrib/container/README.md",
    "contrib/tor-browser/README.md",
];

/// What a fence may say; `main.rs` says what is done with each.
const LANGUAGES: [&str; 11] = [
    "sh",
    "toml",
    "arti",
    "torrc",
    "prosody",
    "ejabberd",
    "prometheus",
    "arguments",
    "log",
    "heartbeat",
    "drawing",
];

/// Options with which torrc fragments begin.
const TORRC: [&str; 8] = [
    "UseBridges",
    "BridgeRelay",
    "Bridge",
    "ClientTransportPlugin",
    "ServerTransportPlugin",
    "ServerTransportOptions",
    "SocksPort",
    "ContactInfo",
];

/// Programs with which commands begin.
const PROGRAMS: [&str; 6] =
    ["hexchat-pt", "make", "cargo", "podman", "contrib/tor-browser/install", "openssl"];

/// A block of code, or a part of one between blank lines where it is indented.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) document: &'static str,
    /// The number of its first line.
    pub(crate) line: usize,
    /// Empty where it has none.
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Block {
    /// For errors.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.document, self.line)
    }
}

/// The blocks of all documents in this language.
pub(crate) fn in_language(language: &str) -> Vec<Block> {
    let blocks: Vec<_> = all().into_iter().filter(|block| block.language == language).collect();
    assert!(!blocks.is_empty(), "no block is {language}");
    blocks
}

/// The blocks of all documents.
pub(crate) fn all() -> Vec<Block> {
    texts().into_iter().flat_map(|(name, text)| of(name, &text)).collect()
}

/// All documents: name and text.
pub(crate) fn texts() -> Vec<(&'static str, String)> {
    DOCUMENTS.iter().map(|&name| (name, fs::read_to_string(root().join(name)).expect(name))).collect()
}

/// The blocks of one document.
fn of(document: &'static str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    // The fence that is open, and the block in it; or the indented block.
    let (mut fenced, mut indented): (Option<Block>, Option<Block>) = (None, None);
    // How far the fence is indented, in an item of a list.
    let mut indentation = 0;
    let mut before_is_blank = true;
    for (number, line) in (1..).zip(text.lines()) {
        let new = |language: &str| Block {
            document,
            line: number,
            language: language.to_owned(),
            text: String::new(),
        };
        if let Some(language) = line.trim_start().strip_prefix("```") {
            indentation = line.len() - line.trim_start().len();
            blocks.extend(indented.take());
            fenced = match fenced.take() {
                Some(block) => {
                    blocks.push(block);
                    None
                }
                None => Some(new(language.trim())),
            };
        } else if let Some(block) = &mut fenced {
            block.text += &format!("{}\n", line.get(indentation..).unwrap_or_default());
        } else if let Some(code) = line.strip_prefix("    ").filter(|_| before_is_blank || indented.is_some())
        {
            indented.get_or_insert_with(|| new("")).text += &format!("{code}\n");
        } else {
            blocks.extend(indented.take());
        }
        before_is_blank = line.trim().is_empty();
    }
    assert!(fenced.is_none(), "{document}: a fence is not closed");
    blocks.extend(indented);
    blocks.into_iter().map(with_language).filter(|block| !is_table(block)).collect()
}

/// An indented table that continues an item of a list.
fn is_table(block: &Block) -> bool {
    block.language.is_empty() && block.text.trim_start().starts_with('|')
}

fn with_language(block: Block) -> Block {
    let language = if block.language.is_empty() { guess(&block.text).to_owned() } else { block.language };
    Block { language, ..block }
}

/// The language of an indented block, by how it begins.
pub(crate) fn guess(text: &str) -> &'static str {
    let code =
        text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#')).unwrap_or_default();
    let word = code.split_whitespace().next().unwrap_or_default();
    let is_variable = |word: &str| word.split_once('=').is_some_and(|(name, _)| name == name.to_uppercase());
    match word {
        "[bridges]" | "[[bridges.transports]]" => "arti",
        _ if word.starts_with('[') => "toml",
        _ if TORRC.contains(&word) => "torrc",
        "Component" | "network_settings" | "limits" => "prosody",
        "listen:" | "shaper_rules:" | "domain_balancing:" => "ejabberd",
        _ if word.starts_with("login=") || word.starts_with("jid=") => "arguments",
        _ if PROGRAMS.contains(&word) || is_variable(word) || word == "printf" => "sh",
        _ if text.contains('─') => "drawing",
        _ => "",
    }
}

#[test]
fn every_block_has_a_language() {
    let blocks = all();
    assert!(blocks.len() > 60, "only {} blocks were found", blocks.len());
    let known = |block: &&Block| LANGUAGES.contains(&block.language.as_str());
    let unknown: Vec<_> = blocks.iter().filter(|block| !known(block)).collect();
    assert!(unknown.is_empty(), "name their languages behind a fence: {unknown:#?}");
}

#[test]
fn blocks_are_found_with_their_languages_and_places() {
    let text = "Text\n    that goes on.\n\n    [lanes]\n    upload = false\n\n    Bridge x\n\n  ```sh\n  $(true)\n\n  make\n  ```\n- item\n\n      | a |\n";
    let found: Vec<_> =
        of("README.md", text).into_iter().map(|block| (block.line, block.language, block.text)).collect();
    let expected = [
        (4, "toml", "[lanes]\nupload = false\n"),
        (7, "torrc", "Bridge x\n"),
        (9, "sh", "$(true)\n\nmake\n"),
    ];
    assert_eq!(found, expected.map(|(line, language, text)| (line, language.to_owned(), text.to_owned())));
}

#[test]
fn a_block_that_says_nothing_of_itself_has_no_language() {
    assert_eq!(guess("rm -rf /\n"), "");
    assert_eq!(guess("TOR_PT_PROXY=socks5://x hexchat-pt forget y\n"), "sh");
}
