//! The table in README.md: each row once, and each test that is named after a row.

use std::collections::BTreeSet;
use std::path::Path;

const ROWS: usize = 50;

/// The names of functions that are called after a row.
fn tests_in(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(tests_in(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(path).unwrap();
            let declared = source.lines().filter_map(|line| line.trim().strip_prefix("fn "));
            let names_of = declared.filter_map(|line| line.split('(').next()).map(str::to_owned);
            names.extend(names_of.filter(|name| is_named_after_a_row(name)));
        }
    }
    names
}

fn is_named_after_a_row(name: &str) -> bool {
    let number = name.strip_prefix("row_").or(name.strip_prefix("rows_"));
    number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[test]
fn every_row_has_its_line_and_every_test_is_in_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("pt-spec-tests");
    let readme = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let table: Vec<&str> = readme.lines().filter(|line| line.starts_with("| ")).skip(2).collect();
    let rows: Vec<&str> = table.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(rows, (1..=ROWS).map(|row| row.to_string()).collect::<Vec<_>>());
    let named = table.iter().flat_map(|line| line.split('`')).map(str::to_owned);
    let named: BTreeSet<String> = named.filter(|name| is_named_after_a_row(name)).collect();
    let there = tests_in(&folder);
    let missing: Vec<_> = there.difference(&named).collect();
    let gone: Vec<_> = named.difference(&there).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; in it and gone: {gone:?}");
}
