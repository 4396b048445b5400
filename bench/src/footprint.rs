//! Footprint of a process: what it takes up, as the kernel says (proc(5)).

use std::fs;

use anyhow::{Context as _, Result};
use hexchat_lab::Process;

/// A moment's view of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// Resident memory, in bytes.
    pub(crate) memory: u64,
    pub(crate) files: usize,
    pub(crate) threads: usize,
    /// CPU time so far, in seconds.
    pub(crate) cpu: f64,
}

impl Footprint {
    pub(crate) fn of(process: &Process) -> Result<Self> {
        Self::of_pid(process.pid())
    }

    pub(crate) fn of_pid(pid: u32) -> Result<Self> {
        let folder = format!("/proc/{pid}");
        let status = fs::read_to_string(format!("{folder}/status")).context("the process has ended")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: u64 = resident.trim().trim_end_matches(" kB").parse()?;
        let (mut threads, mut cpu) = (0, 0.0);
        for thread in fs::read_dir(format!("{folder}/task"))? {
            threads += 1;
            cpu += cpu_of(&fs::read_to_string(thread?.path().join("schedstat"))?)?;
        }
        let files = fs::read_dir(format!("{folder}/fd"))?.count();
        Ok(Self { memory: 1024 * kib, files, threads, cpu })
    }
}

/// The first field of schedstat: nanoseconds, where the times in `stat` are hundredths of a second.
fn cpu_of(schedstat: &str) -> Result<f64> {
    let nanoseconds: f64 = schedstat.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e9)
}
