//! Results of a run: as a file, and as a table for the terminal.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::process::Spawn;
use serde::{Deserialize, Serialize};

use crate::PATIENCE;
use crate::rows::{Row, Verdict, rows};
use crate::samples::Samples;
use crate::slixmpp;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) date: String,
    pub(crate) cores: usize,
    /// In GB.
    pub(crate) memory: f64,
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
            memory: memory()?,
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
    pub(crate) fn headline(&self) -> String {
        let Self { date, cores, memory, versions, quick, .. } = self;
        let kind = if *quick { "a quick run" } else { "a run" };
        format!("{date}, {kind} on {cores} cores and {memory:.0} GB with {}", versions.join(", "))
    }

    /// How many rows have come to this.
    fn with(&self, verdict: Verdict) -> usize {
        self.rows.iter().filter(|row| row.verdict == verdict).count()
    }

    /// How many rows are met, of those that something is expected of.
    pub(crate) fn count(&self) -> String {
        let all = self.rows.len() - self.with(Verdict::Informational);
        let forbidden = match self.with(Verdict::Forbidden) {
            0 => String::new(),
            rows => format!(", {rows} forbidden by the server"),
        };
        format!("{} of {all} rows met{forbidden}", self.with(Verdict::Met))
    }

    /// # Errors
    ///
    /// How many rows could not be measured, or are not met though nothing forbids it.
    pub(crate) fn check(&self) -> Result<()> {
        let (failed, missed) = (self.with(Verdict::Failed), self.with(Verdict::NotMet));
        ensure!(failed == 0, "{failed} rows could not be measured");
        ensure!(missed == 0, "{missed} rows are not met");
        Ok(())
    }

    /// For the terminal.
    pub(crate) fn table(&self) -> String {
        let mut text = format!("\n{}\n\n", self.headline());
        for Row { what, value, reach, verdict, note } in &self.rows {
            text += &format!("{:<8} {value:>12}   {reach:<30} {what}\n", verdict.shown());
            text += &format!("{:24}{note}\n", "");
        }
        text
    }
}

/// In GB, as Linux has it.
fn memory() -> Result<f64> {
    let text = fs::read_to_string("/proc/meminfo").context("reading the size of the memory")?;
    let words = text.lines().find_map(|line| line.strip_prefix("MemTotal:")).context("no MemTotal")?;
    let kib: f64 = words.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1e9)
}

fn versions() -> Result<Vec<String>> {
    let packages = ["prosody", "ejabberd", "python3-slixmpp", "tor", "obfs4proxy"];
    let mut versions =
        output_of("dpkg-query", &[&["-W", "-f", "${Package} ${Version}\n"][..], &packages].concat())?;
    // What it says of a package that is not there.
    versions.retain(|line| !line.starts_with("dpkg-query: "));
    if let Some(python) = slixmpp::newest() {
        let program = "import slixmpp; print('slixmpp', slixmpp.__version__)";
        versions.extend(output_of(&python.to_string_lossy(), &["-c", program])?);
    }
    Ok(versions)
}

/// The lines of what a command says.
fn output_of(program: &str, args: &[&str]) -> Result<Vec<String>> {
    let mut process = Spawn::new(program, program).args(args).start()?;
    process.wait(PATIENCE)?;
    process.wait_for_end_of_output(PATIENCE)?;
    Ok(process.lines())
}

/// A run that has measured one thing.
#[cfg(test)]
pub(crate) fn example() -> Results {
    let mut samples = Samples::default();
    samples.add("size", 6e6);
    Results {
        date: "2026-01-01".into(),
        cores: 2,
        memory: 4.0,
        versions: vec!["x 1".into()],
        quick: false,
        rows: rows(&samples),
        samples,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]

    use super::*;

    #[test]
    fn what_was_measured_is_judged_and_what_was_not_has_failed() {
        let rows = example().rows;
        assert!(rows.len() > 20);
        let verdict = |what: &str| rows.iter().find(|row| row.what.contains(what)).unwrap().verdict;
        assert_eq!(verdict("stripped"), Verdict::Met);
        assert_eq!(verdict("classic"), Verdict::Failed);
        assert_eq!(verdict("TLS records like ours"), Verdict::Failed);
    }

    #[test]
    fn what_nothing_is_expected_of_does_not_count() {
        let mut results = example();
        let all = results.rows.len();
        assert_eq!(results.count(), format!("1 of {all} rows met"));
        results.rows[0].verdict = Verdict::Informational;
        assert_eq!(results.count(), format!("1 of {} rows met", all - 1));
        assert!(results.check().unwrap_err().to_string().starts_with(&(all - 2).to_string()));
    }
}
