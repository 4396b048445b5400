//! Secure endpoint whose paths are In-Band Bytestreams, as its driver has it.

use std::ops::{Deref, DerefMut};
use std::time::Instant;

use hexchat_pt::carrier::ibb::{Bytestreams, Incoming, Outgoing, Transmit};
use hexchat_pt::protocol::AccountId;
use hexchat_pt::secure::crypto::entropy::Entropy;
use hexchat_pt::secure::{self, Config, Endpoint, Persisted, Service, Token};
use xmpp_parsers::jid::FullJid;

/// What the wall clock shows at the beginning of a simulation, in seconds since 1970: a moment of 2027.
pub(crate) const WALL_CLOCK: u64 = 1_800_000_000;

/// The endpoint, and the table of its bytestreams.
#[derive(Debug)]
pub(crate) struct OverIbb {
    endpoint: Endpoint,
    bytestreams: Bytestreams,
}

impl OverIbb {
    pub(crate) fn new(config: Config, service: Option<Service>, entropy: Box<dyn Entropy>) -> Self {
        let endpoint = Endpoint::new(config, service, entropy);
        Self { endpoint, bytestreams: Bytestreams::default() }
    }

    pub(crate) fn handle_stanza(&mut self, now: Instant, via: AccountId, from: &FullJid, stanza: Incoming) {
        self.bytestreams.handle_stanza(&mut self.endpoint, now, via, from, stanza);
    }

    pub(crate) fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.poll_transmit_but(now, Some)
    }

    /// The same, where another carrier takes some of it before.
    pub(crate) fn poll_transmit_but(
        &mut self,
        now: Instant,
        mut take: impl FnMut(secure::Transmit) -> Option<secure::Transmit>,
    ) -> Option<Transmit> {
        loop {
            let left = take(self.endpoint.poll_transmit(now)?);
            if let Some(stanza) = left.and_then(|transmit| self.bytestreams.write(transmit)) {
                return Some(stanza);
            }
        }
    }

    /// Has a disk that takes whatever is to be written on it at once.
    pub(crate) fn persist(&mut self, now: Instant) {
        while let Some(record) = self.endpoint.poll_handshake_record() {
            self.endpoint.handle_persisted(now, &record, Persisted::Yes);
        }
    }

    pub(crate) fn has_bytestream_with(&self, via: AccountId, from: &FullJid) -> bool {
        self.bytestreams.has_with(via, from)
    }

    /// How many things are written down, bytestreams included.
    pub(crate) fn entries(&self) -> usize {
        self.endpoint.statistics().entries + self.bytestreams.count()
    }
}

impl Deref for OverIbb {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl DerefMut for OverIbb {
    fn deref_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }
}

/// The number of an IQ that wants an answer.
pub(crate) fn iq_of(stanza: &Outgoing) -> Option<Token> {
    match stanza {
        Outgoing::Open { iq, .. } | Outgoing::Data { iq, .. } | Outgoing::Close { iq, .. } => Some(*iq),
        Outgoing::Result { .. } | Outgoing::Refusal { .. } => None,
    }
}
