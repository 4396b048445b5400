//! Talk of a negotiation: what we write on its stream, and what is read of the server. Pure.

use bytes::{Bytes, BytesMut};
use xso::AsXml;

use crate::xmpp::error::{AccountError, Step};
use crate::xmpp::framer::Framer;
use crate::xmpp::intake::{Intake, Word};
use crate::xmpp::writer::{Unwritable, Writer};

/// Both directions of a stream.
pub(super) struct Talk {
    writer: Writer,
    output: BytesMut,
    intake: Option<Intake>,
}

impl Talk {
    /// Begins with our header.
    pub(super) fn begin(domain: &str, from: Option<&str>, max_stanza: usize) -> Self {
        let (writer, output) = Writer::begin(domain, from);
        Self { writer, output, intake: Some(Intake::new(max_stanza)) }
    }

    /// Says something.
    pub(super) fn say(&mut self, element: &impl AsXml, step: Step) -> Result<(), AccountError> {
        let written = self.writer.write(element).map_err(|Unwritable| AccountError::Protocol(step))?;
        self.output.extend_from_slice(&written);
        Ok(())
    }

    /// Says what is written already.
    pub(super) fn say_written(&mut self, written: &[u8]) {
        self.output.extend_from_slice(written);
    }

    /// Whether nothing waits to be written.
    pub(super) fn has_said_all(&self) -> bool {
        self.output.is_empty()
    }

    pub(super) fn take_output(&mut self) -> Bytes {
        self.output.split().freeze()
    }

    pub(super) fn hear(&mut self, bytes: &[u8], step: Step) -> Result<(), AccountError> {
        self.intake.as_mut().map_or(Ok(()), |intake| intake.feed(bytes, step))
    }

    /// The next word of the server.
    pub(super) fn next(&mut self, step: Step) -> Result<Option<Word>, AccountError> {
        self.intake.as_mut().map_or(Ok(None), |intake| intake.next(step))
    }

    /// The stream is somebody else's from here on. Nothing more is heard.
    pub(super) fn hand_over(&mut self) -> Option<Framer> {
        self.intake.take().map(Intake::into_framer)
    }
}
