//! Shutdown: standard input, signals and the parent's death as one event (pt-spec section 3.4).
//!
//! | event | what it asks for |
//! | --- | --- |
//! | first SIGINT | [`Phase::Drain`]: stop listening, let live connections end |
//! | second SIGINT, SIGTERM | [`Phase::Now`] |
//! | SIGHUP | nothing under Tor, else [`Phase::Now`] |
//! | standard input closed, if `TOR_PT_EXIT_ON_STDIN_CLOSE=1` | [`Phase::Now`] |
//! | the parent process is gone | [`Phase::Now`] |
//!
//! Away from Unix, only Ctrl-C and the end of standard input are noticed.

use std::io::{self, Read};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::watch;

use super::os::{self, DeathHint, Signal, Signals};

/// How often to look whether the parent is still the same, should nothing else say so. Arti gives a child 5 seconds.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// How far the shutdown has come. It only ever goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Phase {
    /// Nobody has asked this process to stop.
    Running,
    /// Take nothing new; stop once nothing is left.
    Drain,
    /// Clean up and stop. Arti kills a child that takes longer than 5 seconds.
    Now,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Signal(Signal),
    StdinClosed,
    ParentDied,
}

impl Phase {
    fn after(self, event: Event) -> Self {
        match (self, event) {
            (Self::Running, Event::Signal(Signal::Interrupt)) => Self::Drain,
            (_, Event::Signal(_) | Event::StdinClosed | Event::ParentDied) => Self::Now,
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
        // A hang-up is Tor's own business; merely listening for it keeps it from ending this process.
        watch_signals(source.clone(), |signal| signal != Signal::HangUp)?;
        watch_parent(source.clone())?;
        if exit_on_stdin_close {
            watch_stdin(source)?;
        }
        Ok(shutdown)
    }

    /// For a process started by a person: signals only, the hang-up of a terminal among them.
    ///
    /// Must be called within a tokio runtime, with I/O enabled.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn by_signals() -> io::Result<Self> {
        let (source, shutdown) = Source::new();
        watch_signals(source, |_| true)?;
        Ok(shutdown)
    }

    /// How far the shutdown has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns once `phase`, or a later one, is reached. May be dropped and called anew at will.
    pub async fn reached(&self, phase: Phase) {
        // An error means that the runtime is going away, and with it this task.
        let _ = self.0.clone().wait_for(|now| *now >= phase).await;
    }
}

/// Blocks the thread until Tor is gone: standard input closes, if that is asked for, or else the parent dies.
///
/// It is for a process that has no runtime and nothing to do, and stays because Tor starts a child anew that exits.
/// Signals end such a process by themselves.
pub fn block_until_tor_is_gone(exit_on_stdin_close: bool) {
    if exit_on_stdin_close {
        return discard_all(io::stdin());
    }
    let tor = os::parent();
    while os::parent() == tor {
        thread::sleep(PARENT_CHECK);
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

/// Reports the signals that `matters` is true for, and ignores the others.
fn watch_signals(source: Source, matters: impl Fn(Signal) -> bool + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::listen()?;
    tokio::spawn(async move {
        loop {
            let signal = signals.next().await;
            if matters(signal) {
                source.report(Event::Signal(signal));
            }
        }
    });
    Ok(())
}

fn watch_parent(source: Source) -> io::Result<()> {
    let (parent, mut hint) = (os::parent(), DeathHint::listen()?);
    tokio::spawn(async move {
        while os::parent() == parent {
            tokio::select! {
                () = hint.next() => {}
                () = tokio::time::sleep(PARENT_CHECK) => {}
            }
        }
        source.report(Event::ParentDied);
    });
    Ok(())
}

/// Reads standard input in a thread that dies with the process: the runtime's own standard input
/// would keep the process from exiting until another byte came.
fn watch_stdin(source: Source) -> io::Result<()> {
    let stdin = os::stdin()?;
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
