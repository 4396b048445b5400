//! A run's results: as a file, as a table for the terminal, and as one for README.md.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use hexchat_lab::process::Spawn;
use serde::{Deserialize, Serialize};

use crate::PATIENCE;
use crate::rows::{Row, rows};
use crate::samples::Samples;

const BEGIN: &str = "<!-- What `make bench` found; `make bench-readme` writes it. -->\n";
const END: &str = "<!-- The end of what it found. -->\n";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) date: String,
    pub(crate) cores: usize,
    /// Programs that took part.
    pub(crate) versions: Vec<String>,
    /// Rounds and transfers were few and short.
    pub(crate) quick: bool,
    pub(crate) rows: Vec<Row>,
    pub(crate) samples: Samples,
}

impl Results {
    pub(crate) fn new(quick: bool, samples: Samples) -> Result<Self> {
        Ok(Self {
            date: output_of("date", &["-u", "+%F"])?.concat(),
            cores: std::thread::available_parallelism()?.get(),
            versions: versions()?,
            quick,
            rows: rows(&samples),
            samples,
        })
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }

    /// One line says when, on what, and with whom.
    fn headline(&self) -> String {
        let Self { date, cores, versions, quick, .. } = self;
        let kind = if *quick { "a quick run" } else { "a run" };
        format!("{date}, {kind} on {cores} cores with {}", versions.join(", "))
    }

    /// For the terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{}\n\n", self.headline());
        for Row { what, value, reach, met, note } in &self.rows {
            text += &format!("{:<8} {value:>12}   {reach:<30} {what}\n", verdict(*met));
            text += &format!("{:24}{note}\n", "");
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = format!(
            "{}:\n\n| what | value | reach | | |\n| --- | --- | --- | --- | --- |\n",
            self.headline()
        );
        for Row { what, value, reach, met, note } in &self.rows {
            let note = note.replace('|', "/");
            text += &format!("| {what} | {value} | {reach} | {} | {note} |\n", verdict(*met));
        }
        text
    }

    /// Puts the table where the marks are.
    pub(crate) fn show_in(&self, readme: &Path) -> Result<()> {
        let text = fs::read_to_string(readme).with_context(|| format!("reading {}", readme.display()))?;
        let (before, rest) = text.split_once(BEGIN).context("the mark before the table is missing")?;
        let (_, after) = rest.split_once(END).context("the mark after the table is missing")?;
        let table = self.markdown();
        fs::write(readme, format!("{before}{BEGIN}\n{table}\n{END}{after}")).context("writing")
    }
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "not met",
        None => "failed",
    }
}

fn versions() -> Result<Vec<String>> {
    let packages = ["prosody", "ejabberd", "python3-slixmpp"];
    output_of("dpkg-query", &[&["-W", "-f", "${Package} ${Version}\n"][..], &packages].concat())
}

/// The lines of what a command says.
fn output_of(program: &str, args: &[&str]) -> Result<Vec<String>> {
    let mut process = Spawn::new(program, program).args(args).start()?;
    process.wait(PATIENCE)?;
    process.wait_for_end_of_output(PATIENCE)?;
    Ok(process.lines())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    fn results() -> Results {
        let mut samples = Samples::default();
        samples.add("size", 6e6);
        let rows = rows(&samples);
        Results {
            date: "2026-01-01".into(),
            cores: 2,
            versions: vec!["x 1".into()],
            quick: false,
            rows,
            samples,
        }
    }

    #[test]
    fn what_was_measured_is_judged_and_what_was_not_has_failed() {
        let rows = results().rows;
        assert!(rows.len() > 20);
        let verdict = |what: &str| rows.iter().find(|row| row.what.contains(what)).unwrap().met;
        assert_eq!(verdict("stripped"), Some(true));
        assert_eq!(verdict("classic"), None);
    }

    #[test]
    fn the_table_replaces_the_one_that_is_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let readme = folder.path().join("README.md");
        fs::write(&readme, format!("before\n{BEGIN}old\n{END}after\n")).unwrap();
        results().show_in(&readme).unwrap();
        let once = fs::read_to_string(&readme).unwrap();
        results().show_in(&readme).unwrap();
        assert_eq!(fs::read_to_string(&readme).unwrap(), once);
        assert!(once.starts_with("before\n") && once.ends_with("after\n") && !once.contains("old"));
        assert!(once.contains("| the executable, stripped | 6.0 MB | <= 10 MB | met |"));
    }
}
