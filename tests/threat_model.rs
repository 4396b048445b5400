//! Threat model and tests: those that `doc/threat-model.md` names are there, and those that it says are to come are not.
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

/// The names of all tests, in the sources too.
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
                names.extend(tests_in(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    names
}

/// The names of the functions that are run as tests: those with an attribute that says so, and those that the lab's macro makes
/// tests of.
fn tests_in(text: &str) -> Vec<String> {
    let (mut names, mut is_test, mut is_in_macro) = (Vec::new(), false, false);
    for line in text.lines() {
        match line {
            "on_both_servers! {" => is_in_macro = true,
            "}" => is_in_macro = false,
            _ => {}
        }
        let code = line.trim_start();
        if code == "#[test]" || code.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(name) = function_in(code) {
            let is_in_macros_first_level = is_in_macro && line.len() - code.len() == 4;
            if std::mem::take(&mut is_test) || is_in_macros_first_level {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// The name of the function that begins in this line.
fn function_in(code: &str) -> Option<&str> {
    let head = code.strip_prefix("async ").unwrap_or(code).strip_prefix("fn ")?;
    head.split(['(', ';']).next()
}

#[test]
fn only_what_is_run_as_a_test_counts_as_one() {
    let text = "
#[cfg(test)]
mod tests {
    fn a_helper() {}

    #[test]
    #[ignore = \"slow\"]
    fn a_test() {
        fn a_helper_in_a_test() {}
    }

    proptest! {
        #[test]
        fn a_property(
            x in 0..1,
        ) {}
    }
}

#[tokio::test(flavor = \"multi_thread\")]
async fn an_async_test() {}

async fn an_async_helper() {}

on_both_servers! {
    fn a_test_on_both(kind) {
        fn a_helper_in_a_macro() {}
    }
    async fn an_async_test_on_both;
}

fn a_helper_behind_all() {}
";
    let tests = ["a_test", "a_property", "an_async_test", "a_test_on_both", "an_async_test_on_both"];
    assert_eq!(tests_in(text), tests);
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
