//! Examination: one run of the doctor, and what it has said.

use std::path::{Path, PathBuf};

use hexchat_lab::executable;
use hexchat_lab::process::Spawn;
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{PATIENCE, write_private};

/// What must never be in a report: every password contains the first, every JID one of the others.
const SECRETS: [&str; 5] = ["secret-of-", "alice@", "alice2@", "bob@", "nobody@"];

/// How the doctor is called.
pub(crate) struct Call {
    folder: TempDir,
    config: Option<PathBuf>,
    spawn: Spawn,
}

/// What it has said, and its exit status.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) text: String,
}

/// The same, read as JSON.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) status: i32,
    pub(crate) is_ok: bool,
    stages: Vec<Value>,
}

impl Call {
    /// With this configuration, which nobody else can read.
    pub(crate) fn with(config: &str) -> Self {
        let mut call = Self::bare();
        call.config = Some(write_private(call.folder.path(), "hexchat.toml", config));
        call
    }

    /// Without any configuration.
    pub(crate) fn bare() -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-doctor-").tempdir().unwrap();
        Self::of(executable(env!("CARGO_BIN_EXE_hexchat-pt")).as_ref(), folder)
    }

    fn of(program: &Path, folder: TempDir) -> Self {
        let state = folder.path().join("state");
        let spawn = Spawn::new("doctor", program)
            .clean_env()
            .arg("doctor")
            .args(["--state".as_ref(), state.as_os_str()]);
        Self { folder, config: None, spawn }
    }

    /// The same with a DNS server.
    pub(crate) fn asking(dns: &hexchat_lab::DnsServer, config: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("hexchat-doctor-").tempdir().unwrap();
        let program =
            dns.program(executable(env!("CARGO_BIN_EXE_hexchat-pt")).as_ref(), folder.path()).unwrap();
        let mut call = Self::of(&program, folder);
        call.config = Some(write_private(call.folder.path(), "hexchat.toml", config));
        call
    }

    pub(crate) fn config(&self) -> &Path {
        self.config.as_deref().unwrap()
    }

    /// With this bridge line in a file.
    pub(crate) fn line(self, line: &str) -> Self {
        let path = write_private(self.folder.path(), "line.txt", line);
        self.args(["--bridge-line-file".as_ref(), path.as_os_str()])
    }

    pub(crate) fn args<T: AsRef<std::ffi::OsStr>>(self, args: impl IntoIterator<Item = T>) -> Self {
        Self { spawn: self.spawn.args(args), ..self }
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        Self { spawn: self.spawn.env(name, value), ..self }
    }

    /// Runs it to its end.
    pub(crate) fn say(self) -> Said {
        let Self { folder: _folder, config, mut spawn } = self;
        if let Some(config) = &config {
            spawn = spawn.args(["--config".as_ref(), config.as_os_str()]);
        }
        let mut process = spawn.start().unwrap();
        let status = process.wait(PATIENCE).unwrap().code().expect("an exit status");
        process.wait_for_end_of_output(PATIENCE).unwrap();
        let text = String::from_utf8(process.stdout()).unwrap();
        for secret in SECRETS {
            let lines = process.lines().join("\n");
            assert!(!lines.contains(secret), "the report shows {secret:?}: {lines}");
        }
        Said { status, text }
    }

    /// The same, for a program.
    pub(crate) fn report(self) -> Report {
        let Said { status, text } = self.args(["--json"]).say();
        let report: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"));
        let stages = report["stages"].as_array().unwrap().clone();
        Report { status, is_ok: report["ok"].as_bool().unwrap(), stages }
    }
}

impl Report {
    /// What was found at each stage, in order: its name, and what is thought of it.
    pub(crate) fn verdicts(&self) -> Vec<(String, Option<bool>)> {
        let of = |stage: &Value| (stage["name"].as_str().unwrap().to_owned(), stage["ok"].as_bool());
        self.stages.iter().map(of).collect()
    }

    /// The first finding at this stage.
    pub(crate) fn at(&self, stage: &str) -> &Value {
        let found = self.stages.iter().find(|found| found["name"] == stage);
        found.unwrap_or_else(|| panic!("nothing was found at {stage}: {self:#?}"))
    }

    pub(crate) fn stages(&self) -> &[Value] {
        &self.stages
    }

    /// The stage with the first cross, and its sentence.
    pub(crate) fn cross(&self) -> (&str, &str) {
        let crossed = self.stages.iter().find(|stage| stage["ok"] == false);
        let crossed = crossed.unwrap_or_else(|| panic!("nothing is wrong: {self:#?}"));
        (crossed["name"].as_str().unwrap(), crossed["sentence"].as_str().unwrap())
    }

    /// That the first cross is at this stage with these words, that what depends on it was not tried, and the exit status.
    pub(crate) fn blames(&self, stage: &str, words: &str) {
        let (name, sentence) = self.cross();
        assert!(name == stage && sentence.contains(words), "{stage}, {words:?}: {self:#?}");
        let at = self.stages.iter().position(|found| found["ok"] == false).unwrap();
        for later in &self.stages[at + 1..] {
            let text = later["sentence"].as_str().unwrap();
            assert!(text.contains("not tried") || later["name"] == "bridge line", "{text}: {self:#?}");
        }
        assert!(!self.is_ok);
        let of_configuration = stage == "configuration";
        assert_eq!(self.status, if of_configuration { 2 } else { 1 }, "{self:#?}");
    }
}
