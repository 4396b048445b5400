//! Layering: imports point downwards only, as the map in `src/lib.rs` says, the protocol cores are pure, and no file is too long.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails panics")]

#[path = "layering/code.rs"]
mod code;
#[path = "layering/maps.rs"]
mod maps;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use code::{code_of, heads, used_modules};
use maps::{MAP, Map, ROOMS};

/// What may use `tor_pt`, the crate with Tor's pluggable transport specification.
const NEXT_TO_TOR: &[&str] = &["cli", "embedded", "client", "bridge", "lanes", "dialer"];

/// What must not know what a stanza looks like.
const ABOVE_STANZAS: &[&str] = &[
    "main", "cli", "embedded", "doctor", "client", "bridge", "lanes", "dialer", "relay", "accounts",
    "tunnel", "config", "state", "logging",
];

/// The libraries that have stanzas.
const STANZA_LIBRARIES: &[&str] = &["xmpp_parsers", "tokio_xmpp"];

/// What only `os` may name, here and in `tor_pt`: it has something in its place on every other system.
const SYSTEM: &[&str] = &[
    "std::os::",
    "rustix",
    "socket2",
    "tokio::signal",
    "cfg(unix",
    "cfg(windows",
    "target_os",
    "portable_os",
];

/// Words of one carrier, In-Band Bytestreams: the code of the secure core has none of them.
const OF_BYTESTREAMS: &[&str] =
    &["ibb", "bytestream", "bytestreams", "iq", "sid", "seq", "base64", "stanza", "stanzas"];

/// A file has 600 lines at most: what needs more has more than one idea.
const MAX_LINES: usize = 600;

/// The folders that have source files, tests and benchmarks included.
const FOLDERS: &[&str] = &["src", "crates", "tests", "pt-spec-tests", "bench", "packaging"];

/// What must be pure, with all that is inside.
const CORES: &[&str] = &[
    "classic",
    "secure",
    "protocol",
    "carrier",
    "persona",
    "xmpp::connection",
    "xmpp::negotiation",
    "xmpp::sasl",
    "xmpp::channel_binding",
    "xmpp::registration",
    "xmpp::race",
    "xmpp::srv",
    "xmpp::websocket::framing",
    "tunnel::siblings",
    "tunnel::files::budget",
    "tunnel::files::outcome",
    "tunnel::files::queue",
    "replay_log",
    "uuid",
];

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
fn imports_between_rooms_point_downwards_only() {
    let mut violations = Vec::new();
    for (module, map) in ROOMS {
        for (inner, text) in sources_in(module) {
            violations.extend(forbidden_imports_in(map, &[&format!("crate::{module}::")], &inner, &text));
        }
    }
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn every_room_is_on_its_map() {
    for (module, map) in ROOMS {
        let inside = sources_in(module);
        let rooms: BTreeSet<String> = inside.iter().map(|(path, _)| module_path(path)[0].clone()).collect();
        let mapped: BTreeSet<String> = map.iter().map(|(room, _)| (*room).to_owned()).collect();
        assert_eq!(rooms, mapped, "in {module}");
    }
}

#[test]
fn the_secure_core_knows_nothing_of_what_carries_its_paths() {
    for (path, text) in sources().iter().filter(|(path, _)| is_carried(path)) {
        assert_eq!(words_of_bytestreams(text), Vec::<String>::new(), "in {}", path.display());
        let libraries = code_of(text).matches("xmpp_parsers::").count();
        assert_eq!(libraries, code_of(text).matches("xmpp_parsers::jid::").count(), "in {}", path.display());
    }
}

/// Whether a file is the secure core's, and no tests that look everywhere.
fn is_carried(path: &Path) -> bool {
    path.starts_with("secure") && path != Path::new("secure/vectors.rs")
}

fn words_of_bytestreams(text: &str) -> Vec<String> {
    let code = code_of(text);
    let words = code.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| OF_BYTESTREAMS.contains(&word.as_str())).collect()
}

#[test]
fn a_word_of_a_carrier_is_found_in_code_and_not_in_comments() {
    assert_eq!(words_of_bytestreams("fn next_seq(sid: &str) {} // iq"), ["seq", "sid"]);
    assert_eq!(words_of_bytestreams("/// A stanza.\nfn next(inside: &str) {}"), Vec::<String>::new());
}

#[test]
fn what_a_map_allows_is_needed() {
    let inside =
        ROOMS.iter().map(|(module, map)| (*map, sources_in(module), vec![format!("crate::{module}::")]));
    let whole = (MAP, sources(), vec!["crate::".to_owned(), "hexchat_pt::".to_owned()]);
    for (map, files, roots) in inside.chain([whole]) {
        let roots: Vec<&str> = roots.iter().map(String::as_str).collect();
        for (module, allowed) in map {
            let own = files
                .iter()
                .map(|(path, text)| (module_path(path), text))
                .filter(|(path, _)| path[0] == *module);
            let used: BTreeSet<String> =
                own.flat_map(|(path, text)| used_modules(&path, &roots, &code_of(text))).collect();
            let unused: Vec<_> = allowed.iter().filter(|name| !used.contains(**name)).collect();
            assert!(unused.is_empty(), "{module} does not use {unused:?}");
        }
    }
}

#[test]
fn the_maps_themselves_point_downwards() {
    for map in ROOMS.iter().map(|(_, map)| *map).chain([MAP]) {
        for (n, (module, uses)) in map.iter().enumerate() {
            for used in *uses {
                let place = map.iter().position(|(other, _)| other == used);
                assert!(
                    place.is_some_and(|place| place > n),
                    "{module} uses {used}, which does not stand below it"
                );
            }
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

/// Whom a stanza is for, and what is answered, is for `carrier` to decide.
#[test]
fn what_is_above_the_carrier_names_no_stanza() {
    for (path, text) in sources() {
        if !ABOVE_STANZAS.contains(&module_path(&path)[0].as_str()) {
            continue;
        }
        let named = named_in_libraries(&code_of(&text));
        let stanzas: Vec<_> = named.iter().filter(|name| *name != "xmpp_parsers::jid").collect();
        assert!(stanzas.is_empty(), "{} uses {stanzas:?}", path.display());
    }
}

#[test]
fn a_stanza_is_found_however_it_is_imported() {
    let code =
        "use xmpp_parsers::{iq::Iq, jid::Jid}; use xmpp_parsers::jid::FullJid; let x: tokio_xmpp::Stanza;";
    let found = ["tokio_xmpp::Stanza", "xmpp_parsers::iq", "xmpp_parsers::jid"];
    assert_eq!(named_in_libraries(code), found.map(str::to_owned).into());
}

#[test]
fn only_what_is_next_to_tor_knows_its_specification() {
    for (path, text) in sources() {
        let may = NEXT_TO_TOR.contains(&module_path(&path)[0].as_str());
        assert!(may || !code_of(&text).contains("tor_pt::"), "{} uses tor_pt", path.display());
    }
}

#[test]
fn only_the_room_for_it_knows_the_operating_system() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours = files(&root.join("src"));
    let of_tor_pt = files(&root.join("crates/tor-pt/src")).into_iter().filter(|(path, _)| !is_test(path));
    for (path, text) in ours.into_iter().chain(of_tor_pt) {
        let found: Vec<_> = SYSTEM.iter().filter(|name| text.contains(**name)).collect();
        assert!(module_path(&path)[0] == "os" || found.is_empty(), "{} names {found:?}", path.display());
    }
}

#[test]
fn no_file_is_longer_than_one_idea() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = FOLDERS.iter().flat_map(|folder| files(&root.join(folder))).collect();
    assert!(files.len() > 100, "the files are not where they were");
    let lengths = files.iter().map(|(path, text)| (path, text.lines().count()));
    let too_long: Vec<_> = lengths.filter(|(_, lines)| *lines > MAX_LINES).collect();
    assert!(too_long.is_empty(), "{too_long:?}");
}

#[test]
fn tor_pt_needs_nothing_of_this_workspace() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/tor-pt/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    assert!(manifest.contains("[dependencies]") && !manifest.contains("path ="), "{manifest}");
}

#[test]
fn a_wrong_import_is_found_however_it_is_written() {
    let wrong = [
        ("state/file.rs", "use crate::config::Config;"),
        ("state/file.rs", "fn f() { crate::logging::init() }"),
        ("classic/link.rs", "use crate::{classic::AccountId, tunnel::Tunnel};"),
        ("classic/link.rs", "use crate::{\n    classic::{AccountId, SetId},\n    xmpp,\n};"),
        ("classic/link.rs", "use super::super::tunnel;"),
        ("classic.rs", "use super::carrier;"),
        ("xmpp.rs", "pub use crate::tunnel::Tunnel;"),
        ("main.rs", "use hexchat_pt::tunnel::Tunnel;"),
        ("config.rs", "/* crate::cli */ use crate::state::State; // crate::cli"),
        ("state/file.rs", "#[cfg(test)]\nmod tests;\nuse crate::config::Config;"),
    ];
    for (path, text) in wrong {
        assert_eq!(forbidden_imports(Path::new(path), text).len(), 1, "{path}: {text}");
    }
    let right = [
        ("classic/link.rs", "use super::AccountId; use crate::classic::stanza::Aliases;"),
        ("classic/endpoint/timeouts.rs", "use super::super::link; use super::Endpoint;"),
        ("tunnel.rs", "use crate::{classic::{self, Endpoint}, xmpp};"),
        ("state.rs", "//! Unlike [`crate::config`]\n// use crate::config;\nlet text = \"crate::config\";"),
        ("state.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n use crate::config; }"),
        ("main.rs", "hexchat_pt::cli::run()"),
        ("state.rs", "use other_crate::config;"),
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
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    files.into_iter().filter(|(path, _)| !is_test(path) && path != Path::new("lib.rs")).collect()
}

/// Those below one module, their paths relative to it.
fn sources_in(module: &str) -> Vec<(PathBuf, String)> {
    let inner = |(path, text): (PathBuf, String)| Some((path.strip_prefix(module).ok()?.to_owned(), text));
    // `vectors` are tests that look everywhere.
    sources().into_iter().filter_map(inner).filter(|(path, _)| path != Path::new("vectors.rs")).collect()
}

/// Whether a file has nothing but tests, or what they are made of.
fn is_test(path: &Path) -> bool {
    path.ends_with("tests.rs") || path.ends_with("testing.rs")
}

/// Every Rust file below `root`, by its path relative to that.
fn files(root: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
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
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root).unwrap().to_owned(), text)
    };
    files.into_iter().map(read).collect()
}

/// `a/b.rs` is the module `a::b`.
fn module_path(path: &Path) -> Vec<String> {
    path.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect()
}

fn forbidden_imports(path: &Path, text: &str) -> Vec<String> {
    forbidden_imports_in(MAP, &["crate::", "hexchat_pt::"], path, text)
}

/// What a file uses that the map forbids. Its path is relative to the module that the map is of, which has these names.
fn forbidden_imports_in(map: Map, roots: &[&str], path: &Path, text: &str) -> Vec<String> {
    let module = module_path(path);
    let (_, allowed) = map.iter().find(|(name, _)| *name == module[0]).expect("a module on the map");
    // Items of the root that are not modules belong to everybody: macros, and what it re-exports.
    let is_module = |name: &str| map.iter().any(|(module, _)| *module == name);
    let is_wrong = |used: &String| *used != module[0] && !allowed.contains(&used.as_str()) && is_module(used);
    let used = used_modules(&module, roots, &code_of(text));
    used.into_iter().filter(is_wrong).map(|used| format!("{} uses {used}", path.display())).collect()
}

fn impurities(text: &str) -> Vec<&'static str> {
    let code = code_of(text);
    IMPURE.iter().copied().filter(|word| code.contains(word)).collect()
}

/// What code names of the libraries that have stanzas: `library::module`.
fn named_in_libraries(code: &str) -> BTreeSet<String> {
    let named = STANZA_LIBRARIES.iter().flat_map(|library| {
        let root = format!("{library}::");
        let places: Vec<_> = code.match_indices(&root).map(|(at, _)| at + root.len()).collect();
        places
            .into_iter()
            .flat_map(move |at| heads(&code[at..]))
            .map(move |name| format!("{library}::{name}"))
    });
    named.collect()
}
