//! Orphaned processes: the end of those that outlive whoever started them.
//!
//! A process that is killed takes its own children with it only if they notice. A program that must leave nothing
//! running therefore adopts them: as a "child subreaper" (prctl(2)) it becomes the parent of every descendant whose own
//! parent has ended, and can end each by a pid that nobody else can have meanwhile.

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid};

use crate::tor::children_of;

/// This process, as the one that descendants without a parent fall to.
#[derive(Debug)]
pub struct Orphans(());

impl Orphans {
    /// From now on, descendants whose parent ends become children of this process.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn adopt() -> Result<Self> {
        set_child_subreaper(Some(getpid())).context("adopting orphans")?;
        Ok(Self(()))
    }

    /// Kills every child of this process and waits for its end, until there is none left.
    ///
    /// It makes no difference between adopted and own children: all that are still needed must have ended before.
    pub fn end_all(&self) {
        loop {
            let children = children_of(std::process::id());
            if children.is_empty() {
                return;
            }
            children.into_iter().for_each(end);
        }
    }
}

/// An error means that it has ended already, which is what is wanted.
fn end(child: u32) {
    if let Some(pid) = i32::try_from(child).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
        let _ = waitpid(Some(pid), WaitOptions::empty());
    }
}
