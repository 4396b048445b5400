//! Files of a session, in its packet layer: what goes into them, what comes out, and the frames about them.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::secure::api::stats;
use crate::secure::crypto::file::FilesKey;
use crate::secure::crypto::keys::Side;
use crate::secure::crypto::seal::Draft;
use crate::secure::session::established::{BadPacket, Established, append};
use crate::secure::session::files::choice::{Choice, first_guess};
use crate::secure::session::files::lane::Lane;
use crate::secure::shared::uploads::bucket::Bucket;
use crate::secure::streams::Sent;
use crate::secure::tuning::PROBE_SIZE;
use crate::secure::wire::file_frame::{FileEndReason, FileFrame};
use crate::secure::wire::frame::{Frame, Reader};

/// Room for what is written ahead of the next file: 64 KiB, which fill one of the smallest.
const AHEAD: usize = 64 * 1024;

/// What both ends of a session that know files have beside its packets.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) lane: Lane<Sent>,
    pub(crate) choice: Choice,
    /// Until when bulk waits for files, if it does.
    pub(super) held_until: Option<Instant>,
    /// Bytes of packets in files that were made, and that came.
    carried: stats::Bytes,
}

impl Files {
    pub(super) fn new(key: &FilesKey, side: Side) -> Self {
        Self {
            lane: Lane::new(key, side),
            choice: Choice::default(),
            held_until: None,
            carried: stats::Bytes::default(),
        }
    }

    /// Bytes of packets in files that were made, and that came.
    pub(super) fn carried(&self) -> stats::Bytes {
        self.carried
    }

    /// When there is something to do.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        [self.lane.next_timeout(), self.held_until].into_iter().flatten().min()
    }

    /// Takes note of how long bulk is to wait for files, as they are now.
    pub(crate) fn hold_bulk(&mut self, now: Instant) {
        let of_slots = self.choice.slot_expected_until().filter(|_| self.lane.is_proven(now));
        let until = self.lane.expected_until().or(of_slots).filter(|_| self.choice.is_clear());
        self.held_until = until.filter(|until| now < *until);
    }

    /// How long a file of this bucket takes, where the best path takes so long there and back.
    pub(crate) fn time(&self, bucket: Bucket, round_trip: Duration) -> Duration {
        self.lane.expected(bucket).unwrap_or_else(|| first_guess(bucket, round_trip))
    }

    /// What files carry of so many bytes, in bytes a second, where the best path takes so long there and back. None while it is not sure that one
    /// can be made.
    pub(crate) fn rate(&self, now: Instant, waiting: usize, round_trip: Duration) -> Option<f64> {
        let by_slot = self.lane.best(now, waiting).map(|(_, size)| (Bucket::of(size), size.bytes()));
        let by_habit = || {
            let bucket = Bucket::filled_by(waiting, None).filter(|_| self.lane.is_proven(now))?;
            Some((bucket, bucket.capacity()))
        };
        let (bucket, capacity) = by_slot.or_else(by_habit)?;
        let time = self.time(bucket, round_trip).max(Duration::from_millis(1));
        Some(waiting.min(capacity) as f64 / time.as_secs_f64())
    }
}

impl Established {
    /// As if the two ends had not agreed on files.
    #[cfg(test)]
    pub(crate) fn forget_files(&mut self) {
        self.files = None;
    }

    /// Where both ends know files, what there is of them.
    pub(crate) fn files(&self) -> Option<&Files> {
        self.files.as_deref()
    }

    pub(crate) fn files_mut(&mut self) -> Option<&mut Files> {
        self.files.as_deref_mut()
    }

    /// Whether bulk waits for files, which bring it earlier than paths.
    pub(crate) fn holds_bulk(&self, now: Instant) -> bool {
        self.files().and_then(|files| files.held_until).is_some_and(|until| now < until)
    }

    /// How much more is taken from applications because files carry it, in bytes.
    pub(crate) fn room_for_files(&self) -> usize {
        let in_files = self.files().map_or(0, |files| files.lane.bytes());
        if in_files > 0 { in_files + AHEAD } else { 0 }
    }

    /// Fills this file with what waits, and lets it be put.
    pub(crate) fn make_file(&mut self, now: Instant, file: u64) {
        let waiting = self.streams.waiting_bytes();
        let Some(files) = &mut self.files else { return };
        let Some(mut sealer) = files.lane.begin(now, file, waiting) else { return };
        let mut packets = Vec::new();
        while sealer.room() > 0 {
            let mut frames = Vec::with_capacity(sealer.room() + PROBE_SIZE);
            files.lane.carry(file, self.streams.write_bulk(&mut frames, sealer.room()));
            match sealer.seal(frames) {
                Ok(packet) => packets.push(packet),
                // Never: the frames are no longer than there is room for.
                Err(_) => break,
            }
        }
        let bytes = packets.iter().map(Bytes::len).sum();
        self.carried = self.carried.saturating_add(bytes);
        files.carried.sent += bytes as u64;
        self.last_use = now;
        files.lane.put(file, packets);
    }

    /// A file was put where it belongs, or not.
    pub(crate) fn handle_put(&mut self, now: Instant, file: u64, outcome: Result<(), FileEndReason>) {
        if let Some(files) = &mut self.files {
            let verdict = files.lane.handle_put(now, file, outcome);
            self.settle_file(verdict.arrived, verdict.lost);
        }
    }

    /// Bytes of a file have come; whether more of it is wanted.
    pub(crate) fn handle_file_bytes(
        &mut self,
        now: Instant,
        file: u64,
        mut bytes: Bytes,
    ) -> Result<bool, BadPacket> {
        while !bytes.is_empty() {
            let Some(files) = &mut self.files else { return Ok(false) };
            match files.lane.handle_bytes(file, &mut bytes) {
                Ok(Some(packet)) => self.take_file_packet(now, packet)?,
                Ok(None) => {}
                Err(_) => {
                    files.lane.handle_end(now, file, FileEndReason::Damaged);
                    return Ok(false);
                }
            }
        }
        let Some(files) = &mut self.files else { return Ok(false) };
        let is_wanted = files.lane.wants(file);
        if !is_wanted {
            files.lane.handle_end(now, file, FileEndReason::Done);
        }
        Ok(is_wanted)
    }

    /// Takes what a packet of a file carries. It may be late, which nothing but DATA must be.
    fn take_file_packet(&mut self, now: Instant, packet: Bytes) -> Result<(), BadPacket> {
        self.carried = self.carried.saturating_add(packet.len());
        if let Some(files) = &mut self.files {
            files.carried.received += packet.len() as u64;
        }
        self.last_use = now;
        for frame in Reader::new(packet) {
            match frame {
                Ok(frame @ Frame::Data { .. }) => {
                    self.streams.handle_frame(frame).map_err(|_| BadPacket::Violation)?;
                }
                _ => return Err(BadPacket::Violation),
            }
        }
        Ok(())
    }

    /// A frame about files has come.
    pub(super) fn handle_file_frame(&mut self, now: Instant, frame: FileFrame) -> Result<(), BadPacket> {
        let files = self.files.as_mut().ok_or(BadPacket::Violation)?;
        let verdict = files.lane.handle_frame(now, frame).map_err(|_| BadPacket::Violation)?;
        self.settle_file(verdict.arrived, verdict.lost);
        Ok(())
    }

    pub(super) fn handle_file_timeout(&mut self, now: Instant) {
        if let Some(files) = &mut self.files {
            let verdict = files.lane.handle_timeout(now);
            self.settle_file(verdict.arrived, verdict.lost);
        }
    }

    fn settle_file(&mut self, arrived: Vec<Sent>, lost: Vec<Sent>) {
        arrived.into_iter().for_each(|sent| self.streams.on_acked(sent));
        for sent in lost {
            self.retransmitted = self.retransmitted.saturating_add(sent.bytes());
            self.streams.on_lost(sent);
        }
    }

    /// Whether there are frames about files to send.
    pub(super) fn has_file_frames(&self) -> bool {
        self.files().is_some_and(|files| files.lane.next_frame_len().is_some())
    }

    /// The least block in which the next frame about files fits, in bytes.
    pub(crate) fn room_for_file_frame(&self) -> usize {
        let frame = self.files().and_then(|files| files.lane.next_frame_len());
        frame.map_or(0, |length| length + PROBE_SIZE)
    }

    /// Writes what a packet of `size` bytes has room for; which ones.
    pub(super) fn write_file_frames(&mut self, draft: &mut Draft, size: usize) -> Vec<FileFrame> {
        let mut written = Vec::new();
        let Some(files) = &mut self.files else { return written };
        while let Some(length) = files.lane.next_frame_len() {
            if draft.packet_len() + length > size {
                break;
            }
            let Some(frame) = files.lane.poll_frame() else { break };
            append(draft, size, &Frame::File(frame.clone()));
            written.push(frame);
        }
        written
    }
}
