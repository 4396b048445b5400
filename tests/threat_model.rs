//! The tests that `doc/threat-model.md` names are there, and those that it says are to come are not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Test names are sentences; other names in the document have fewer words.
const FEWEST_UNDERSCORES: usize = 3;

#[test]
fn every_test_that_the_threat_model_names_exists_or_is_said_to_come() {
    let (claims, to_come) = names();
    let tests = tests();
    assert!(claims.len() > 30, "only {} names were found", claims.len());
    let missing: Vec<_> = claims.difference(&tests).filter(|name| !to_come.contains(*name)).collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
    let there: Vec<_> = to_come.intersection(&tests).collect();
    assert!(there.is_empty(), "they have come, say so: {there:#?}");
    let unnamed: Vec<_> = to_come.difference(&claims).collect();
    assert!(unnamed.is_empty(), "no claim needs them: {unnamed:#?}");
}

/// The names of tests in the claims, and in the list at the end.
fn names() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = fs::read_to_string(root().join("doc/threat-model.md")).unwrap();
    let (claims, to_come) = text.split_once("## To come").unwrap();
    (names_in(claims), names_in(to_come))
}

fn names_in(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| is_name(name)).map(str::to_owned).collect()
}

fn is_name(text: &str) -> bool {
    text.matches('_').count() >= FEWEST_UNDERSCORES
        && text.chars().all(|next| next == '_' || next.is_ascii_lowercase() || next.is_ascii_digit())
}

/// The names of all functions of the sources and tests.
fn tests() -> BTreeSet<String> {
    let mut folders: Vec<PathBuf> =
        ["src", "tests", "pt-spec-tests"].map(|folder| root().join(folder)).into();
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                names.extend(functions(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    names
}

fn functions(text: &str) -> Vec<String> {
    let heads =
        text.lines().filter_map(|line| line.trim_start().strip_prefix("async ").or(Some(line.trim_start())));
    let names = heads.filter_map(|line| line.strip_prefix("fn ")?.split('(').next());
    names.map(str::to_owned).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
