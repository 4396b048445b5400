//! The table in README.md: every test that it names exists, and every test of this folder is in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Test names are sentences; other words in the table have fewer underscores.
const FEWEST_UNDERSCORES: usize = 3;

/// The names of the tests below a folder.
fn tests_in(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            names.extend(tests_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            names.extend(tests_of(&fs::read_to_string(path).unwrap()));
        }
    }
    names
}

fn tests_of(source: &str) -> Vec<String> {
    let (mut names, mut is_test) = (Vec::new(), false);
    for line in source.lines().map(str::trim_start) {
        let declared = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        match declared {
            Some(name) if is_test => names.extend(name.split('(').next().map(str::to_owned)),
            _ => {}
        }
        is_test =
            line.starts_with("#[test]") || line.starts_with("#[tokio::test") || is_test && declared.is_none();
    }
    names
}

#[test]
fn every_mistake_of_the_list_has_tests_that_exist_and_every_test_here_is_in_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("pt-spec-tests/newcomer/README.md")).unwrap();
    let is_test = |word: &&str| word.matches('_').count() >= FEWEST_UNDERSCORES && !word.contains(' ');
    let named: BTreeSet<String> = table.split('`').filter(is_test).map(str::to_owned).collect();
    let mut all = BTreeSet::new();
    for folder in ["src", "tests", "pt-spec-tests", "crates"] {
        all.extend(tests_in(&root.join(folder)));
    }
    let gone: Vec<_> = named.difference(&all).collect();
    let here = tests_in(&root.join("pt-spec-tests/newcomer"));
    let unnamed: Vec<_> = here.difference(&named).filter(|name| !name.starts_with("every_mistake")).collect();
    assert!(gone.is_empty() && unnamed.is_empty(), "in the table and gone: {gone:?}; not in it: {unnamed:?}");
    let is_row =
        |line: &&str| line.starts_with("| ") && !line.starts_with("| mistake") && !line.starts_with("| ---");
    let rows = table.lines().filter(is_row);
    let bare: Vec<_> = rows.filter(|row| !row.contains('_') && !row.contains("Tor's")).collect();
    assert!(bare.is_empty(), "without a test: {bare:?}");
}
