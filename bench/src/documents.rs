//! Tables in Markdown: all rows for `doc/performance.md`, five of them for `README.md`. Each stands between two marks.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::results::Results;
use crate::rows::Row;

const BEGIN: &str = "<!-- What `make bench` found; `make bench-doc` writes it. -->\n";
const END: &str = "<!-- The end of what it found. -->\n";

/// The plot, as `doc/performance.md` finds it.
const PLOT: &str = "![Goodput by accounts and by size of block, and latency](../bench/plot.svg)\n";

/// The rows for `README.md`, by how they begin: bulk and latency with and without a server's limits, and memory.
const SUMMARY: [&str; 5] = [
    "bulk, Prosody without limits, one account a side, against slixmpp's bytestreams",
    "bulk, Prosody with stock limits, 8 x 10 kB/s",
    "a Tor cell there and back, idle (20 ms after the last), against a raw IQ: p50, Prosody",
    "a Tor cell there and back during a bulk transfer, stock Prosody: p50",
    "1000 open streams: memory of each, in either half",
];

/// Puts both tables in the place of those that are there.
///
/// # Errors
///
/// After a quick run, whose figures are for a first look only; or when a document has no marks.
pub(crate) fn update(results: &Results, readme: &Path, performance: &Path) -> Result<()> {
    ensure!(!results.quick, "those are the results of a quick run");
    replace_between_marks(readme, &summary(results))?;
    replace_between_marks(performance, &all(results))
}

fn summary(results: &Results) -> String {
    let is_shown = |row: &&Row| SUMMARY.iter().any(|start| row.what.starts_with(start));
    let rows: Vec<_> = results.rows.iter().filter(is_shown).collect();
    format!("{}: {}. Five of them:\n\n{}", results.headline(), results.count(), table(&rows))
}

fn all(results: &Results) -> String {
    let rows: Vec<_> = results.rows.iter().collect();
    format!("{}: {}.\n\n{}\n{PLOT}", results.headline(), results.count(), table(&rows))
}

fn table(rows: &[&Row]) -> String {
    let mut text = "| what | value | reach | | |\n| --- | --- | --- | --- | --- |\n".to_owned();
    for Row { what, value, reach, verdict, note } in rows {
        let note = note.replace('|', "/");
        text += &format!("| {what} | {value} | {reach} | {} | {note} |\n", verdict.shown());
    }
    text
}

fn replace_between_marks(path: &Path, new: &str) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let marked = || {
        let (before, rest) = text.split_once(BEGIN)?;
        rest.split_once(END).map(|(_, after)| (before, after))
    };
    let (before, after) =
        marked().with_context(|| format!("{} does not have the marks around a table", path.display()))?;
    fs::write(path, format!("{before}{BEGIN}\n{new}\n{END}{after}"))
        .with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;
    use crate::results::example;

    #[test]
    fn the_table_replaces_the_one_that_is_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let [readme, performance] = ["README.md", "performance.md"].map(|name| folder.path().join(name));
        for path in [&readme, &performance] {
            fs::write(path, format!("before\n{BEGIN}old\n{END}after\n")).unwrap();
        }
        let updated = || {
            update(&example(), &readme, &performance).unwrap();
            [&readme, &performance].map(|path| fs::read_to_string(path).unwrap())
        };
        let once = updated();
        assert_eq!(updated(), once);
        for text in &once {
            assert!(text.starts_with("before\n") && text.ends_with("after\n") && !text.contains("old"));
        }
        assert!(once[1].contains("| the executable, stripped | 6.0 MB | <= 10 MB | met |"));
        assert!(!once[0].contains("stripped"), "it is none of the five");
    }

    #[test]
    fn each_line_of_the_summary_is_one_row_of_the_table() {
        let rows = example().rows;
        for start in SUMMARY {
            assert_eq!(rows.iter().filter(|row| row.what.starts_with(start)).count(), 1, "{start}");
        }
    }

    #[test]
    fn a_quick_run_and_a_document_without_marks_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("README.md");
        fs::write(&path, "text\n").unwrap();
        assert!(update(&example(), &path, &path).is_err());
        fs::write(&path, format!("{BEGIN}{END}")).unwrap();
        assert!(update(&Results { quick: true, ..example() }, &path, &path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{BEGIN}{END}"));
    }
}
