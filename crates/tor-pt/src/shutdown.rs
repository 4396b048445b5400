//! The ways in which we are told to stop, made one: standard input, signals, the parent's death (pt-spec section 3.4).
//!
//! | event | what it asks for |
//! | --- | --- |
//! | first SIGINT | [`Phase::Drain`]: stop listening, let live connections end |
//! | second SIGINT, SIGTERM | [`Phase::Now`] |
//! | standard input closed, if `TOR_PT_EXIT_ON_STDIN_CLOSE=1` | [`Phase::Now`] |
//! | the parent process is gone | [`Phase::Now`] |

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal as Kill, getppid};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// How often to look whether the parent is still the same, should no signal say so.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// How far the shutdown has come. It only ever goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Nobody has asked us to stop.
    Running,
    /// Take nothing new; stop once nothing is left.
    Drain,
    /// Clean up and stop. Arti kills a child that takes longer than 5 seconds.
    Now,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Interrupt,
    Terminate,
    StdinClosed,
    ParentDied,
}

impl Phase {
    fn after(self, event: Event) -> Self {
        match (self, event) {
            (Self::Running, Event::Interrupt) => Self::Drain,
            (_, Event::Interrupt | Event::Terminate | Event::StdinClosed | Event::ParentDied) => Self::Now,
        }
    }
}

/// Tells when to stop. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Phase>);

impl Shutdown {
    /// For a process started by Tor: signals, the parent's death and, if asked for, standard input.
    ///
    /// Must be called within a tokio runtime, with I/O and time enabled.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn under_tor(exit_on_stdin_close: bool) -> io::Result<Self> {
        let (source, shutdown) = Source::new();
        watch_signals(source.clone())?;
        watch_parent(source.clone())?;
        if exit_on_stdin_close {
            watch_stdin(source)?;
        }
        Ok(shutdown)
    }

    /// For a process started by a person: signals only.
    ///
    /// Must be called within a tokio runtime, with I/O enabled.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn by_signals() -> io::Result<Self> {
        let (source, shutdown) = Source::new();
        watch_signals(source)?;
        Ok(shutdown)
    }

    /// How far we are.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns once `phase`, or a later one, is reached. May be dropped and called anew at will.
    pub async fn reached(&self, phase: Phase) {
        // An error means that the runtime is going away, and we with it.
        let _ = self.0.clone().wait_for(|now| *now >= phase).await;
    }
}

/// Where events go.
#[derive(Clone)]
struct Source(Arc<watch::Sender<Phase>>);

impl Source {
    fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(Phase::Running);
        (Self(Arc::new(sender)), Shutdown(receiver))
    }

    fn report(&self, event: Event) {
        self.0.send_modify(|phase| *phase = phase.after(event));
    }
}

fn watch_signals(source: Source) -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // A hang-up is Tor's own business; merely listening for it keeps it from ending us.
    drop(signal(SignalKind::hangup())?);
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                _ = interrupt.recv() => Event::Interrupt,
                _ = terminate.recv() => Event::Terminate,
            };
            source.report(event);
        }
    });
    Ok(())
}

fn watch_parent(source: Source) -> io::Result<()> {
    let parent = getppid();
    let hint = parent_death_signal()?;
    tokio::spawn(async move {
        parent_died(parent, hint).await;
        source.report(Event::ParentDied);
    });
    Ok(())
}

/// Linux sends this signal also when only the thread that started us has ended, as threads of a
/// runtime do; so it is no more than a hint to look, and one that others ignore by default.
fn parent_death_signal() -> io::Result<Signal> {
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Kill::URG))?;
    signal(SignalKind::from_raw(Kill::URG.as_raw()))
}

async fn parent_died(parent: Option<Pid>, mut hint: Signal) {
    while getppid() == parent {
        tokio::select! {
            _ = hint.recv() => {}
            () = tokio::time::sleep(PARENT_CHECK) => {}
        }
    }
}

/// Reads standard input in a thread that dies with the process: the runtime's own standard input
/// would keep the process from exiting until another byte came.
fn watch_stdin(source: Source) -> io::Result<()> {
    let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let wait = move || {
        discard_all(stdin);
        source.report(Event::StdinClosed);
    };
    thread::Builder::new().name("stdin".into()).spawn(wait)?;
    Ok(())
}

/// Reads until the end, or until reading fails, which is as good.
fn discard_all(mut stdin: impl Read) {
    let mut bytes = [0; 512];
    loop {
        match stdin.read(&mut bytes) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests;
