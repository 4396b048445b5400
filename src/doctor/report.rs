//! Report of an examination: a line a stage as it ends, or one JSON object when all have.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use super::finding::{Finding, Stage, Verdict};

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a person.
    Lines,
    /// For a program.
    Json,
}

/// What was found until now.
pub(crate) struct Report {
    form: Form,
    out: Box<dyn Write + Send>,
    findings: Vec<Finding>,
    /// How many accounts there are: one alone needs no number.
    accounts: usize,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(form: Form, out: impl Write + Send + 'static) -> Self {
        Self { form, out: Box::new(out), findings: Vec::new(), accounts: 1 }
    }

    /// So many accounts are examined.
    pub(crate) fn set_accounts(&mut self, accounts: usize) {
        self.accounts = accounts;
    }

    /// Something was found. A person reads it at once.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn add(&mut self, finding: Finding) -> io::Result<()> {
        if self.form == Form::Lines {
            writeln!(self.out, "{}", self.line(&finding))?;
            self.out.flush()?;
        }
        self.findings.push(finding);
        Ok(())
    }

    /// These stages were not tried, since there is a fault at the one before.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn add_untried(&mut self, stages: &[Stage], failed: Stage) -> io::Result<()> {
        Finding::not_tried(stages, failed).try_for_each(|finding| self.add(finding))
    }

    /// All was found.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if self.form == Form::Json {
            let stages: Vec<_> = self.findings.iter().map(object).collect();
            let report = json!({ "ok": self.is_sound(), "stages": stages });
            writeln!(self.out, "{report}")?;
        }
        self.out.flush()
    }

    /// Whether nobody has to do anything.
    pub(crate) fn is_sound(&self) -> bool {
        self.findings.iter().all(|finding| finding.verdict != Verdict::Cross)
    }

    fn line(&self, Finding { stage, account, verdict, sentence, .. }: &Finding) -> String {
        let mark = match verdict {
            Verdict::Tick => "✓",
            Verdict::Cross => "✗",
            Verdict::Neither => "·",
        };
        let account = account.filter(|_| self.accounts > 1);
        let account = account.map_or_else(String::new, |number| format!("account {number}, "));
        format!("{mark} {account}{}: {sentence}", stage.name())
    }
}

fn object(finding: &Finding) -> Value {
    let Finding { stage, account, verdict, took, sentence, facts } = finding;
    let ok = match verdict {
        Verdict::Tick => Value::Bool(true),
        Verdict::Cross => Value::Bool(false),
        Verdict::Neither => Value::Null,
    };
    // To a millisecond: nothing here is measured more closely.
    let seconds = took.as_millis() as f64 / 1000.0;
    let mut object = Map::new();
    object.extend([
        ("name".to_owned(), stage.name().into()),
        ("ok".to_owned(), ok),
        ("seconds".to_owned(), seconds.into()),
        ("sentence".to_owned(), sentence.as_str().into()),
    ]);
    object.extend(account.map(|account| ("account".to_owned(), account.into())));
    object.extend(facts.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test is a panic")]
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::doctor::finding::Stage;

    /// What was written.
    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn findings() -> [Finding; 3] {
        let second = Duration::from_millis(1234);
        [
            Finding::tick(Stage::Tcp, second, "connected").of(2).with("way", "direct"),
            Finding::cross(Stage::Tls, second, "no").of(2),
            Finding::not_tried(&[Stage::Login], Stage::Tls).next().unwrap().of(2),
        ]
    }

    fn written(form: Form, accounts: usize) -> (String, bool) {
        let out = Shared::default();
        let mut report = Report::new(form, out.clone());
        report.set_accounts(accounts);
        findings().into_iter().for_each(|finding| report.add(finding).unwrap());
        report.finish().unwrap();
        let written = out.0.lock().unwrap().clone();
        (String::from_utf8(written).unwrap(), report.is_sound())
    }

    #[test]
    fn a_person_reads_a_line_a_stage() {
        let (text, is_sound) = written(Form::Lines, 2);
        assert_eq!(
            text,
            "✓ account 2, TCP: connected\n✗ account 2, TLS: no\n\
             · account 2, login: not tried, since there is a fault at the stage before: TLS\n"
        );
        assert!(!is_sound);
        assert!(written(Form::Lines, 1).0.starts_with("✓ TCP: connected\n"), "one alone needs no number");
    }

    #[test]
    fn a_program_reads_one_object() {
        let (text, _) = written(Form::Json, 1);
        let expected = json!({ "ok": false, "stages": [
            { "name": "TCP", "ok": true, "seconds": 1.234, "sentence": "connected", "account": 2, "way": "direct" },
            { "name": "TLS", "ok": false, "seconds": 1.234, "sentence": "no", "account": 2 },
            { "name": "login", "ok": null, "seconds": 0.0, "account": 2,
              "sentence": "not tried, since there is a fault at the stage before: TLS" },
        ] });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn what_is_neither_well_nor_ill_leaves_a_report_sound() {
        let mut report = Report::new(Form::Lines, Shared::default());
        report.add(Finding::neither(Stage::Clock, Duration::ZERO, "nobody knows")).unwrap();
        assert!(report.is_sound());
    }
}
