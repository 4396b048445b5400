//! Links in the documents: the files and the sections to which they lead are there, and so is what SECURITY.md names.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{blocks, commands, root};

/// Where a document's links lead, but for those that leave the sources.
fn links(text: &str) -> Vec<&str> {
    let behind = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    behind.map(|(target, _)| target).filter(|target| !target.contains("://")).collect()
}

/// The names by which sections of a document are linked to, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading
            .chars()
            .filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_section_that_are_there() {
    let mut count = 0;
    for (document, text) in blocks::texts() {
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in links(&text) {
            let (file, section) =
                link.split_once('#').map_or((link, None), |(file, section)| (file, Some(section)));
            let path: PathBuf = if file.is_empty() { root().join(document) } else { folder.join(file) };
            assert!(path.exists(), "{document}: {link} leads to nothing");
            if let Some(section) = section {
                let there = anchors(&fs::read_to_string(&path).unwrap());
                assert!(there.contains(section), "{document}: {link} leads to none of {there:#?}");
            }
            count += 1;
        }
    }
    assert!(count > 60, "only {count} were found");
}

#[test]
fn a_heading_is_linked_to_as_github_has_it() {
    let text = "# A `b`: c, d\n\n## 4. Put both into Tor\ntext # not\n";
    assert_eq!(anchors(text), ["a-b-c-d", "4-put-both-into-tor"].map(str::to_owned).into());
}

/// The table of what can be attacked: folders in its first column, suites in its last.
#[test]
fn every_folder_and_every_suite_that_security_names_exists() {
    let text = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let rows: Vec<Vec<_>> =
        text.lines().filter(|line| line.starts_with('|')).map(|line| line.split('|').collect()).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for row in &rows[2..] {
        for folder in row[1].split('`').skip(1).step_by(2) {
            assert!(Path::new(root()).join(folder).is_dir(), "there is no {folder}");
        }
        for suite in row[3].split('`').skip(1).step_by(2) {
            let exists = suite.starts_with("--lib ") || commands::is_suite(suite);
            assert!(exists, "there is no suite {suite}");
        }
    }
}
