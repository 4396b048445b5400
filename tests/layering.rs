//! Imports point downwards only, as the map in `src/lib.rs` says, and the protocol cores are pure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot read the source has failed"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Every top-level module, top to bottom, and what it may use. Whatever is used stands further down, so
/// that there are no circles.
const MAP: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "client",
            "bridge",
            "accounts",
            "relay",
            "tunnel",
            "session",
            "classic",
            "protocol",
            "xmpp",
            "config",
            "state",
            "pt",
            "logging",
            "hardening",
            "descriptors",
        ],
    ),
    ("client", &["accounts", "relay", "tunnel", "protocol", "xmpp", "config", "state", "pt"]),
    (
        "bridge",
        &[
            "accounts",
            "relay",
            "tunnel",
            "protocol",
            "xmpp",
            "config",
            "state",
            "pt",
            "logging",
            "descriptors",
        ],
    ),
    ("accounts", &["xmpp", "config", "state"]),
    ("relay", &["tunnel"]),
    ("tunnel", &["carrier", "session", "classic", "protocol", "xmpp"]),
    ("carrier", &["classic", "session", "protocol", "xmpp"]),
    ("session", &["protocol"]),
    ("classic", &["protocol"]),
    ("protocol", &[]),
    ("xmpp", &["config"]),
    ("config", &[]),
    ("state", &[]),
    ("pt", &[]),
    ("logging", &[]),
    ("hardening", &[]),
    ("descriptors", &[]),
];

/// What must be pure, with all that is inside.
const CORES: &[&str] = &["classic", "session", "protocol", "xmpp::connection"];

/// What would tie a protocol core to a runtime, a clock, a machine, or the order in a hash table.
const IMPURE: &[&str] = &[
    "tokio",
    "async ",
    ".await",
    "Instant::now",
    "SystemTime",
    "std::env",
    "std::fs",
    "std::thread",
    "std::sync",
    "TcpStream",
    "UdpSocket",
    "rand::",
    "tracing",
    "HashMap",
    "HashSet",
];

#[test]
fn imports_point_downwards_only() {
    let violations: Vec<String> =
        sources().iter().flat_map(|(path, text)| forbidden_imports(path, text)).collect();
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn the_map_itself_points_downwards() {
    for (n, (module, uses)) in MAP.iter().enumerate() {
        for used in *uses {
            let place = MAP.iter().position(|(other, _)| other == used);
            assert!(
                place.is_some_and(|place| place > n),
                "{module} uses {used}, which does not stand below it"
            );
        }
    }
}

#[test]
fn every_module_is_on_the_map() {
    let modules: BTreeSet<String> = sources().iter().map(|(path, _)| module_path(path)[0].clone()).collect();
    let mapped: BTreeSet<String> = MAP.iter().map(|(module, _)| (*module).to_owned()).collect();
    assert_eq!(modules, mapped);
}

#[test]
fn the_protocol_cores_are_pure() {
    let is_core = |path: &Path| {
        let module = format!("{}::", module_path(path).join("::"));
        CORES.iter().any(|core| module.starts_with(&format!("{core}::")))
    };
    let core: Vec<_> = sources().into_iter().filter(|(path, _)| is_core(path)).collect();
    assert!(core.len() > 5, "the cores are not where they were");
    for (path, text) in core {
        assert_eq!(impurities(&text), Vec::<&str>::new(), "in {}", path.display());
    }
}

#[test]
fn another_transport_needs_the_pt_module_alone() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plain_transport.rs");
    let used = used_modules(&["example".to_owned()], &code_of(&fs::read_to_string(example).unwrap()));
    assert_eq!(used, BTreeSet::from(["pt".to_owned()]));
}

#[test]
fn a_wrong_import_is_found_however_it_is_written() {
    let wrong = [
        ("pt/args.rs", "use crate::config::Config;"),
        ("pt/args.rs", "fn f() { crate::logging::init() }"),
        ("classic/link.rs", "use crate::{classic::AccountId, tunnel::Tunnel};"),
        ("classic/link.rs", "use crate::{\n    classic::{AccountId, SetId},\n    xmpp,\n};"),
        ("classic/link.rs", "use super::super::tunnel;"),
        ("classic.rs", "use super::carrier;"),
        ("xmpp.rs", "pub use crate::tunnel::Tunnel;"),
        ("main.rs", "use hexchat_pt::tunnel::Tunnel;"),
        ("config.rs", "/* crate::pt */ use crate::state::State; // crate::pt"),
    ];
    for (path, text) in wrong {
        assert_eq!(forbidden_imports(Path::new(path), text).len(), 1, "{path}: {text}");
    }
    let right = [
        ("classic/link.rs", "use super::AccountId; use crate::classic::stanza::Aliases;"),
        ("classic/endpoint/timeouts.rs", "use super::super::link; use super::Endpoint;"),
        ("tunnel.rs", "use crate::{classic::{self, Endpoint}, xmpp};"),
        ("pt.rs", "//! Unlike [`crate::config`]\n// use crate::config;\nlet text = \"crate::config\";"),
        ("pt.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use crate::config; }"),
        ("main.rs", "hexchat_pt::cli::run()"),
        ("pt.rs", "use other_crate::config;"),
    ];
    for (path, text) in right {
        assert_eq!(forbidden_imports(Path::new(path), text), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn a_core_that_looks_at_the_clock_is_found() {
    assert_eq!(impurities("let now = Instant::now();"), ["Instant::now"]);
    assert_eq!(impurities("// Instant::now()\nfn f(now: Instant) {}"), Vec::<&str>::new());
}

/// Every source file of the crate, its path relative to `src`. Files of tests only are left out.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
        .into_iter()
        .filter(|path| !path.ends_with("tests.rs") && *path != root.join("lib.rs"))
        .map(|path| (path.strip_prefix(&root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// `a/b.rs` is the module `a::b`.
fn module_path(path: &Path) -> Vec<String> {
    path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect()
}

fn forbidden_imports(path: &Path, text: &str) -> Vec<String> {
    let module = module_path(path);
    let (_, allowed) = MAP.iter().find(|(name, _)| *name == module[0]).expect("a module on the map");
    let is_wrong = |used: &String| *used != module[0] && !allowed.contains(&used.as_str()) && is_module(used);
    let used = used_modules(&module, &code_of(text));
    used.into_iter().filter(is_wrong).map(|used| format!("{} uses {used}", path.display())).collect()
}

/// Items of the crate's root that are not modules are macros, and belong to everybody.
fn is_module(name: &str) -> bool {
    MAP.iter().any(|(module, _)| *module == name)
}

fn impurities(text: &str) -> Vec<&'static str> {
    let code = code_of(text);
    IMPURE.iter().copied().filter(|word| code.contains(word)).collect()
}

/// The text without comments, string literals and the tests at its end.
fn code_of(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if next == '"' {
            literal_length(rest)
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// How long the string literal is with which `text` begins.
fn literal_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The top-level modules that the code of `module` names.
fn used_modules(module: &[String], code: &str) -> BTreeSet<String> {
    let up = "super::".repeat(module.len());
    let roots = ["crate::", "hexchat_pt::", up.as_str()];
    let mut used = BTreeSet::new();
    for root in roots {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|before| before.is_alphanumeric() || "_$:".contains(before)) {
                used.extend(heads(&code[at + root.len()..]));
            }
        }
    }
    used
}

/// The first names of a path, which may be a group: `{a::b, c}` has `a` and `c`.
fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|next| next.is_alphanumeric() || *next == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 0;
    let mut heads = vec![name(group)];
    for (at, next) in group.char_indices() {
        match next {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    heads
}
