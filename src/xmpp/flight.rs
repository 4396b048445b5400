//! Stanzas between our hands and the server's: which are acknowledged, which are lost.

use std::collections::VecDeque;

use futures_util::FutureExt;
use tokio::task::unconstrained;
use tokio_xmpp::stanzastream::{StanzaStage, StanzaToken};

/// How a stanza with a tag ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The server has it.
    Acked(u64),
    /// Nobody knows whether the server has it.
    Lost(u64),
}

/// All stanzas handed to the stanza stream, in order, until their fate is known.
///
/// The fate of a stanza follows from its token. On a stream with XEP-0198, the token reaches `Acked`, or its other half
/// is dropped while it stays at `Sent`: lost with the session. Without XEP-0198 the other half is dropped as soon as
/// the stanza is written, and that is all that anyone will ever know: written counts as acknowledged.
///
/// While the connection is down nothing is decided: a resumed stream sends again by itself what the server has not
/// seen, a new one does not. [`suspend`](Self::suspend) therefore notes how many stanzas are in doubt.
#[derive(Default)]
pub(super) struct Flight {
    entries: VecDeque<Entry>,
    /// How many at the front are known to have left the queue.
    sent: usize,
    /// How many at the front were written to a connection that is gone.
    in_doubt: usize,
    /// Whether the server acknowledges (XEP-0198).
    acks: bool,
}

struct Entry {
    token: StanzaToken,
    tag: Option<u64>,
}

impl Flight {
    /// Takes note of a stanza that the stanza stream has accepted.
    pub(super) fn push(&mut self, token: StanzaToken, tag: Option<u64>) {
        self.entries.push_back(Entry { token, tag });
    }

    /// How many stanzas still wait in the stanza stream's queue. Costs what has changed since the last call.
    pub(super) fn queued(&mut self) -> usize {
        while self.entries.get(self.sent).is_some_and(|entry| entry.token.state() >= StanzaStage::Sent) {
            self.sent += 1;
        }
        self.entries.len() - self.sent
    }

    /// Resolves when the oldest stanza's fate may be known: one wake-up for each of the server's acknowledgements.
    pub(super) fn news(&self) -> impl Future<Output = ()> + use<> {
        let stage = if self.acks { StanzaStage::Acked } else { StanzaStage::Sent };
        wait(self.entries.front().map(|entry| entry.token.clone()), stage)
    }

    /// Resolves when half of the queue has been written: one wake-up for many stanzas.
    pub(super) fn room(&self) -> impl Future<Output = ()> + use<> {
        let middle = self.sent + (self.entries.len() - self.sent) / 2;
        wait(self.entries.get(middle).map(|entry| entry.token.clone()), StanzaStage::Sent)
    }

    /// What is known by now, oldest first. For a connection that is up.
    pub(super) fn settle(&mut self) -> Vec<Fate> {
        let mut fates = Vec::new();
        while let Some(outcome) = self.entries.front_mut().and_then(|entry| entry.outcome(self.acks)) {
            self.pop(outcome, &mut fates);
        }
        fates
    }

    /// The connection is gone. After some faults (a stream error) the session is, too: what is lost is known at once.
    pub(super) fn suspend(&mut self) -> Vec<Fate> {
        let fates = self.settle();
        self.in_doubt = self.entries.len() - self.queued();
        fates
    }

    /// The session goes on over a new connection: the stream sends again what is needed, nothing is lost.
    pub(super) fn resume(&mut self) -> Vec<Fate> {
        self.in_doubt = 0;
        self.settle()
    }

    /// A new session. What was in doubt is lost, unless the server acknowledged it at the last moment; what was still
    /// queued is sent in this session. `acks`: whether the server acknowledges from now on.
    pub(super) fn reset(&mut self, acks: bool) -> Vec<Fate> {
        let mut fates = Vec::new();
        for _ in 0..std::mem::take(&mut self.in_doubt) {
            let acked = self.entries.front().is_some_and(|entry| entry.token.state() == StanzaStage::Acked);
            self.pop(acked, &mut fates);
        }
        self.acks = acks;
        fates.extend(self.settle());
        fates
    }

    /// The stream is gone for good: all is lost.
    pub(super) fn abandon(&mut self) -> Vec<Fate> {
        let mut fates = self.settle();
        while !self.entries.is_empty() {
            self.pop(false, &mut fates);
        }
        self.in_doubt = 0;
        fates
    }

    fn pop(&mut self, acked: bool, fates: &mut Vec<Fate>) {
        let tag = self.entries.pop_front().and_then(|entry| entry.tag);
        self.sent = self.sent.saturating_sub(1);
        fates.extend(tag.map(if acked { Fate::Acked } else { Fate::Lost }));
    }
}

impl Entry {
    /// Whether the stanza is acknowledged; none while that is open.
    fn outcome(&mut self, acks: bool) -> Option<bool> {
        let stage = if acks { StanzaStage::Acked } else { StanzaStage::Sent };
        // Unconstrained: the scheduler's budget must not leave the rest of a long acknowledgement for later.
        match unconstrained(self.token.wait_for(stage)).now_or_never()? {
            // The stages after `Acked` are failures.
            Some(state) => Some(state <= StanzaStage::Acked),
            None => Some(false),
        }
    }
}

async fn wait(token: Option<StanzaToken>, stage: StanzaStage) {
    match token {
        Some(mut token) => drop(token.wait_for(stage).await),
        None => std::future::pending().await,
    }
}
