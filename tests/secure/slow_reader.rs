//! An application that stops reading, in the middle of everything.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use hexchat_lab::recorder::{Conversation, Speaker};
use hexchat_lab::{Kind, Recorder};

use crate::harness::{Half, Lab, Route, Target, random_bytes};
use crate::pair::Bridge;

const MEGABYTE: usize = 1_000_000;

/// For how long nobody reads: 35 seconds. What gives a path or a stream of the secure protocol up for its silence does so within 30.
const PAUSE: Duration = Duration::from_secs(35);

/// How much more memory a half may take than before: `queue_per_stream` (1 MiB) for what was written and as much for what
/// was not read, on each of the two streams, and what is on its way between the tasks of a half.
const MOST_MEMORY: usize = 8 * MEGABYTE;

/// The most that a path's window has room for, in bytes on the wire, with a block more: doc/protocol.md.
const MOST_UNANSWERED: usize = (2 << 20) + (90 << 10);

/// The most memory that a half has had so far, in bytes.
fn peak_memory(half: &mut Half) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", half.process().pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// Follows the blocks of one connection, and what of them is not answered.
#[derive(Default)]
struct Unanswered {
    unread: BTreeMap<Speaker, String>,
    blocks: BTreeMap<String, usize>,
    most: usize,
    total: usize,
}

impl Unanswered {
    fn follow(conversation: &Conversation) -> Self {
        let mut unanswered = Self::default();
        for (speaker, bytes) in conversation {
            unanswered.unread.entry(*speaker).or_default().push_str(&String::from_utf8_lossy(bytes));
            while let Some(stanza) = unanswered.next_iq(*speaker) {
                unanswered.on_iq(*speaker, &stanza);
            }
        }
        unanswered
    }

    /// The next complete IQ of a direction.
    fn next_iq(&mut self, speaker: Speaker) -> Option<String> {
        let text = self.unread.get_mut(&speaker)?;
        let start = text.find("<iq")?;
        let head = start + text[start..].find('>')?;
        let end = if text[..head].ends_with('/') {
            head + 1
        } else {
            start + text[start..].find("</iq>")? + "</iq>".len()
        };
        let stanza = text[start..end].to_owned();
        text.drain(..end);
        Some(stanza)
    }

    fn on_iq(&mut self, speaker: Speaker, stanza: &str) {
        let id = attribute(stanza, "id");
        if speaker == Speaker::Client && stanza.contains("<data") {
            self.total += stanza.len();
            self.blocks.insert(id, stanza.len());
            self.most = self.most.max(self.blocks.values().sum());
        } else if speaker == Speaker::Server && ["result", "error"].contains(&&*attribute(stanza, "type")) {
            self.blocks.remove(&id);
        }
    }
}

fn attribute(stanza: &str, name: &str) -> String {
    let (_, rest) = stanza.split_once(&format!(" {name}=")).unwrap_or_default();
    rest.get(1..).and_then(|rest| rest.split(['\'', '"']).next()).unwrap_or_default().to_owned()
}

/// Sends all of `data` from one end, of which the other reads the first part, nothing for a while, and the rest.
fn send_to_a_slow_reader(mut from: TcpStream, mut to: TcpStream, data: &[u8], pause: impl FnOnce()) {
    from.set_write_timeout(None).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| from.write_all(data).and_then(|()| from.shutdown(Shutdown::Write)).unwrap());
        let mut received = vec![0; MEGABYTE];
        to.read_exact(&mut received).unwrap();
        pause();
        to.read_to_end(&mut received).unwrap();
        assert!(received == data, "what arrived differs");
    });
}

/// What is still unanswered on any connection, and the most that ever was.
fn unanswered(recorders: &[Recorder]) -> (usize, usize) {
    let conversations = recorders.iter().flat_map(Recorder::conversations);
    let followed: Vec<_> = conversations.map(|conversation| Unanswered::follow(&conversation)).collect();
    assert!(followed.iter().map(|one| one.total).sum::<usize>() > 2 * MEGABYTE, "blocks were overlooked");
    let left = followed.iter().map(|one| one.blocks.len()).sum();
    (left, followed.iter().map(|one| one.most).max().unwrap())
}

#[test]
fn readers_that_stop_for_half_a_minute_cost_neither_half_nor_the_server_more_than_their_share() {
    let (lab, target) = (Lab::overheard(Kind::Prosody), Target::start());
    let recorders = [(); 2].map(|()| Recorder::start(lab.server.address()).unwrap());
    let [at_bob, at_alice] = recorders.each_ref().map(|recorder| Route::Overheard(recorder.address()));
    let mut bridge = Bridge::start(&lab, &["bob"], &at_bob, target.address());
    let mut forward = bridge.forward(&lab, &["alice"], &at_alice);
    let (down, server_down) = target.connect_through(forward.entrance());
    let (up, server_up) = target.connect_through(forward.entrance());
    let before = [peak_memory(&mut bridge.half), peak_memory(&mut forward)];
    let data = random_bytes(15 * MEGABYTE);
    let mut seen = None;
    thread::scope(|scope| {
        // Gone when everything has been looked at: until then neither of the two reads.
        let (still_looking, is_seen) = mpsc::channel::<()>();
        let until_seen = move || {
            let _ = is_seen.recv();
        };
        scope.spawn(|| send_to_a_slow_reader(up, server_up, &data, until_seen));
        send_to_a_slow_reader(server_down, down, &data, || {
            thread::sleep(PAUSE);
            let memory = [peak_memory(&mut bridge.half), peak_memory(&mut forward)];
            seen = Some((memory, unanswered(&recorders)));
            drop(still_looking);
        });
    });
    let (memory, (left, most)) = seen.unwrap();
    let grown = [memory[0] - before[0], memory[1] - before[1]];
    println!("memory grew by {grown:?} bytes; at most {most} bytes of blocks were unanswered");
    assert!(grown.iter().all(|grown| *grown <= MOST_MEMORY), "{grown:?} bytes more are taken");
    assert_eq!(left, 0, "the server holds blocks that nobody takes");
    assert!(most <= MOST_UNANSWERED, "{most} bytes of blocks were unanswered");
}
