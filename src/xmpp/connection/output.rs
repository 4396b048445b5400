//! Bytes that wait for the socket, and what becomes known when they are written. Pure.

use std::collections::VecDeque;

use bytes::{Buf as _, BytesMut};

use crate::xmpp::backlog::Counted;

/// Bytes that wait here before more stanzas have to wait outside, where others can still overtake them: 256 KiB, four batches.
const ROOM: usize = 256 * 1024;

/// What is to be written, in order.
#[derive(Default)]
pub(super) struct Output {
    bytes: BytesMut,
    /// Bytes that the layers below were ever given.
    handed_on: u64,
    /// Stanzas of which the last byte is not written yet, in order.
    unwritten: VecDeque<Unwritten>,
}

/// A stanza that is written when the bytes up to its end are.
struct Unwritten {
    /// Where they end in all that was ever to be written.
    end: u64,
    tag: Option<u64>,
    /// Its part in the backlog, which ends with this.
    _counted: Option<Counted>,
}

impl Output {
    /// Whether there is room for another stanza.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() < ROOM
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// With a tag whose fate is that of the bytes, and a part in the backlog until they are written.
    pub(super) fn push_stanza(&mut self, bytes: &[u8], tag: Option<u64>, counted: Option<Counted>) {
        self.push(bytes);
        if tag.is_some() || counted.is_some() {
            let end = self.end();
            self.unwritten.push_back(Unwritten { end, tag, _counted: counted });
        }
    }

    /// Where the end of all that was ever pushed is.
    pub(super) fn end(&self) -> u64 {
        self.handed_on + self.bytes.len() as u64
    }

    /// Whether the layers below were given everything up to there.
    pub(super) fn is_handed_on(&self, end: u64) -> bool {
        end <= self.handed_on
    }

    /// All that the layers below were not given yet.
    pub(super) fn waiting(&self) -> &[u8] {
        &self.bytes
    }

    /// The layers below have taken so many bytes.
    pub(super) fn on_handed_on(&mut self, length: usize) {
        self.bytes.advance(length);
        self.handed_on += length as u64;
    }

    /// All that the layers below were given is written: the tags of the stanzas that are complete with that.
    pub(super) fn on_flushed(&mut self) -> impl Iterator<Item = u64> {
        let written = self.unwritten.partition_point(|stanza| stanza.end <= self.handed_on);
        self.unwritten.drain(..written).filter_map(|stanza| stanza.tag)
    }

    /// Takes the tags off the stanzas that are not written yet: what becomes of them is reported elsewhere.
    pub(super) fn take_tags(&mut self) -> Vec<u64> {
        self.unwritten.iter_mut().filter_map(|stanza| stanza.tag.take()).collect()
    }

    /// Nothing more will be written: the tags of the stanzas that are not.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = u64> {
        self.bytes.clear();
        self.unwritten.drain(..).filter_map(|stanza| stanza.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::backlog::{Backlog, Gauge};
    use std::sync::Arc;

    #[test]
    fn a_stanza_is_written_when_its_last_byte_is_flushed() {
        let mut output = Output::default();
        output.push_stanza(b"<a/>", Some(1), None);
        output.push(b"<r/>");
        output.push_stanza(b"<b/>", Some(2), None);
        assert_eq!(output.waiting(), b"<a/><r/><b/>");
        output.on_handed_on(3);
        assert_eq!(output.on_flushed().count(), 0);
        output.on_handed_on(8);
        assert_eq!(output.on_flushed().collect::<Vec<_>>(), [1]);
        output.on_handed_on(1);
        assert_eq!(output.clear().collect::<Vec<_>>(), [2], "handed on and not flushed is not written");
    }

    #[test]
    fn what_is_not_written_is_in_the_backlog_and_what_is_cleared_is_not() {
        let (mut output, gauge) = (Output::default(), Arc::new(Gauge::default()));
        (0..2).for_each(|_| output.push_stanza(b"<a/>", None, Some(gauge.count(4))));
        output.on_handed_on(4);
        assert_eq!(gauge.backlog(), Backlog { stanzas: 2, bytes: 8 });
        assert_eq!(output.on_flushed().count(), 0);
        assert_eq!(gauge.backlog(), Backlog { stanzas: 1, bytes: 4 });
        assert_eq!(output.clear().count(), 0);
        assert_eq!(gauge.backlog(), Backlog::default());
    }

    #[test]
    fn there_is_room_until_there_is_much() {
        let mut output = Output::default();
        output.push(&vec![0; ROOM]);
        assert!(!output.has_room());
        output.on_handed_on(1);
        assert!(output.has_room());
    }
}
