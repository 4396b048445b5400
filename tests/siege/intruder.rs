//! A hostile client: it holds the bridge line, and keeps to as much of the protocol as its attack needs.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use hexchat_lab::ChatServer;
use hexchat_pt::config::parse_bridge_line;
use hexchat_pt::protocol::Address;
use hexchat_pt::secure::crypto::entropy::Entropy;
use hexchat_pt::secure::crypto::handshake::{Credits, Hello, Initiator, Lanes};
use hexchat_pt::secure::crypto::keys::SessionKeys;
use hexchat_pt::secure::crypto::line::{BridgeLine, LineKeys};
use hexchat_pt::secure::crypto::seal::{Draft, Sealer};
use hexchat_pt::secure::wire::ack::AckFrame;
use hexchat_pt::secure::wire::frame::Frame;
use tokio::time::timeout_at;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use crate::deeds::{Deed, Deeds};
use crate::prober::Prober;

/// How long the bridge may take to answer a step of a handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// More credit than any bridge uses up.
const PLENTY: u64 = 1 << 50;

/// What an attacker knows of the bridge.
#[derive(Clone)]
pub(crate) struct Line {
    bridge: FullJid,
    line: BridgeLine,
}

impl Line {
    /// What a bridge line without a pre-shared secret says.
    pub(crate) fn read(text: &str) -> Self {
        let arguments = parse_bridge_line(text).unwrap();
        let value = |key| arguments.iter().find(|(name, _)| *name == key).unwrap().1;
        let key = URL_SAFE_NO_PAD.decode(value("key")).unwrap().try_into().unwrap();
        Self { bridge: FullJid::new(value("jid")).unwrap(), line: BridgeLine::new(key, None) }
    }
}

/// See the [module](self).
pub(crate) struct Intruder {
    prober: Prober,
    jid: FullJid,
    line: Line,
    sessions: Vec<Session>,
    /// The ids of the requests that came from the bridge.
    pub(crate) ids: Vec<String>,
    /// Whether it answers them.
    pub(crate) answers: bool,
    /// How many bytestreams the bridge has closed.
    closed: usize,
    done: Deeds,
}

/// Which of an intruder's sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionId(usize);

struct Session {
    sid: String,
    sealer: Sealer,
    keys: SessionKeys,
    credits: Credits,
    next_seq: u16,
    requests: u64,
    is_over: bool,
}

/// As random as anybody's.
#[derive(Debug)]
struct Random;

impl Entropy for Random {
    fn fill(&mut self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

impl Intruder {
    pub(crate) async fn log_in(server: &ChatServer, user: &str, resource: &str, line: &Line) -> Self {
        let prober = Prober::log_in_as(server, user, resource).await;
        let jid = FullJid::new(&prober.jid).unwrap();
        let (sessions, ids, done) = (Vec::new(), Vec::new(), Deeds::default());
        Self { prober, jid, line: line.clone(), sessions, ids, answers: true, closed: 0, done }
    }

    /// What it has done, and what it has still.
    pub(crate) fn into_deeds(mut self) -> Deeds {
        let held = self.open_sessions().len();
        self.done.add(Deed::Held, held);
        self.done.add(Deed::Ended, self.sessions.len() - held);
        self.done.add(Deed::Request, self.ids.len());
        let paths = self.done.count(Deed::Path);
        self.done.add(Deed::PathHeld, paths.saturating_sub(self.closed));
        self.done
    }

    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    /// How many of its sessions are not known to be over.
    pub(crate) fn open_sessions(&self) -> Vec<SessionId> {
        (0..self.sessions.len()).map(SessionId).filter(|session| self.is_open(*session)).collect()
    }

    pub(crate) fn is_open(&self, session: SessionId) -> bool {
        !self.sessions[session.0].is_over
    }

    /// How much the bridge takes in one stream, and in all of the session, before it grants more.
    pub(crate) fn credits(&self, session: SessionId) -> Credits {
        self.sessions[session.0].credits
    }

    /// Asks for a bytestream with a genuine proof, and waits for nothing.
    async fn knock(&mut self) -> String {
        let minute = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 60;
        let keys = LineKeys::new(&self.line.line);
        let sid = keys.first_contact(rand::random(), minute, &self.jid, &self.line.bridge).to_string();
        self.request(&sid, &open(&sid)).await;
        sid
    }

    /// Says the first words of a handshake, unless the bridge refuses the bytestream.
    pub(crate) async fn begin_handshake(&mut self) -> Option<(String, Initiator)> {
        let sid = self.knock().await;
        let is_taken = self.until_answered(&sid).await;
        self.done.add(if is_taken { Deed::Handshake } else { Deed::Refused }, 1);
        is_taken.then_some(())?;
        let hello = Hello {
            credits: Credits { stream: u32::MAX, session: u32::MAX },
            resume: None,
            lanes: Lanes::default(),
            early: Vec::new(),
        };
        let parsed = sid.parse().unwrap();
        let (initiator, first) =
            Initiator::start(&self.line.line, &parsed, &self.jid, &self.line.bridge, &hello, &mut Random);
        self.request("hello", &data(&sid, 0, &first)).await;
        Some((sid, initiator))
    }

    /// A new session, unless the bridge refuses one.
    pub(crate) async fn shake_hands(&mut self) -> Option<SessionId> {
        let (sid, initiator) = self.begin_handshake().await?;
        let second = self.until(|stanza| block(stanza, &sid)).await?;
        let (welcome, keys) = initiator.finish(&second).unwrap();
        let sealer = Sealer::new(&keys.send);
        self.sessions.push(Session {
            sid,
            sealer,
            keys,
            credits: welcome.credits,
            next_seq: 1,
            requests: 0,
            is_over: false,
        });
        self.done.add(Deed::Session, 1);
        let session = SessionId(self.sessions.len() - 1);
        self.say(session, &[Frame::Ping]).await;
        Some(session)
    }

    /// Asks for a further bytestream of a session of `other`'s, from this account.
    pub(crate) async fn open_path_of(&mut self, other: &Self, session: SessionId, number: u64) {
        let key = &other.sessions[session.0].keys.path_key;
        let sid = key.credential(number, &self.jid, &self.line.bridge).to_string();
        self.request(&sid, &open(&sid)).await;
        let is_taken = self.until_answered(&sid).await;
        self.done.add(if is_taken { Deed::Path } else { Deed::Refused }, 1);
    }

    /// Sends a packet with these frames, under an id that says whose it is.
    pub(crate) async fn say(&mut self, session: SessionId, frames: &[Frame]) {
        self.say_as(session, frames, "").await;
    }

    /// The same, and waits until it has been answered.
    pub(crate) async fn say_and_wait(&mut self, session: SessionId, frames: &[Frame]) -> bool {
        let id = self.say_as(session, frames, "").await;
        self.until_answered(&id).await
    }

    /// The same, under an id that ends with `suffix`.
    pub(crate) async fn say_as(&mut self, session: SessionId, frames: &[Frame], suffix: &str) -> String {
        self.done.add(Deed::Packet, 1);
        self.done.add(Deed::Byte, frames.iter().map(carried).sum());
        let state = &mut self.sessions[session.0];
        let packet = seal(&mut state.sealer, frames);
        state.requests += 1;
        let id = format!("{}-{}{suffix}", session.0, state.requests);
        let payload = data(&state.sid, state.next_seq, &packet);
        state.next_seq = state.next_seq.wrapping_add(1);
        self.request(&id, &payload).await;
        id
    }

    /// Leaves out the counter of the next packet, as if it had been lost.
    pub(crate) fn skip_counter(&mut self, session: SessionId) {
        seal(&mut self.sessions[session.0].sealer, &[]);
    }

    /// Opens a stream, and sends what tells the target how to treat it.
    pub(crate) async fn open_stream(
        &mut self,
        session: SessionId,
        stream: u64,
        target: &Address,
        first: &'static [u8],
    ) {
        let open = Frame::Open { stream, target: target.clone() };
        let first = Frame::Data { stream, offset: 0, data: first.into(), fin: false };
        let credits =
            [Frame::StreamCredit { stream, offset: PLENTY }, Frame::SessionCredit { offset: PLENTY }];
        self.say(session, &[&[open, first], &credits[..]].concat()).await;
    }

    /// Acknowledges all packets that there are, and as many that there are not.
    pub(crate) async fn acknowledge_everything(&mut self, session: SessionId) {
        let everything = AckFrame::new(std::iter::once(0..1 << 40)).unwrap();
        self.say(session, &[Frame::Ack(everything), Frame::SessionCredit { offset: PLENTY }]).await;
    }

    /// Claims that a request of the bridge's has been answered that has not been seen.
    pub(crate) async fn claim_result(&mut self, id: &str) {
        self.done.add(Deed::Claim, 1);
        self.answer(id).await;
    }

    async fn answer(&mut self, id: &str) {
        let bridge = &self.line.bridge;
        self.prober.send(&format!("<iq type='result' id='{id}' to='{bridge}'/>")).await;
    }

    async fn request(&mut self, id: &str, payload: &str) {
        let bridge = &self.line.bridge;
        self.prober.send(&format!("<iq type='set' id='{id}' to='{bridge}'>{payload}</iq>")).await;
    }

    /// Takes in what comes for so long.
    pub(crate) async fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while let Some(stanza) = self.next_before(end).await {
            self.on_stanza(&stanza).await;
        }
    }

    async fn next_before(&mut self, end: Instant) -> Option<Element> {
        timeout_at(end.into(), self.prober.next()).await.ok()
    }

    /// Whether the request `id` is granted.
    async fn until_answered(&mut self, id: &str) -> bool {
        let answer = |stanza: &Element| {
            let is_answer = stanza.attr("id") == Some(id) && stanza.attr("type") != Some("set");
            is_answer.then(|| stanza.attr("type") == Some("result"))
        };
        self.until(answer).await.unwrap_or(false)
    }

    /// Takes in what comes until what is wanted is among it, unless that takes too long.
    async fn until<T>(&mut self, wanted: impl Fn(&Element) -> Option<T>) -> Option<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            let stanza = self.next_before(end).await?;
            self.on_stanza(&stanza).await;
            if let Some(found) = wanted(&stanza) {
                return Some(found);
            }
        }
    }

    async fn on_stanza(&mut self, stanza: &Element) {
        let id = stanza.attr("id").unwrap_or_default();
        match stanza.attr("type") {
            Some("set") => {
                let closed = stanza.get_child("close", ns::IBB).and_then(|close| close.attr("sid"));
                self.closed += usize::from(closed.is_some());
                self.lose(|session| closed == Some(session.sid.as_str()));
                self.ids.push(id.to_owned());
                if self.answers {
                    self.answer(id).await;
                }
            }
            Some("result") if self.session_of(id).is_some() => self.done.add(Deed::Answer, 1),
            // The bridge does not know the session any more.
            Some("error") => {
                if let Some(session) = self.session_of(id) {
                    session.is_over = true;
                }
            }
            _ => {}
        }
    }

    /// Whose packet was sent under this id.
    fn session_of(&mut self, id: &str) -> Option<&mut Session> {
        let number = id.split_once('-')?.0.parse::<usize>().ok()?;
        self.sessions.get_mut(number)
    }

    fn lose(&mut self, is_lost: impl Fn(&Session) -> bool) {
        self.sessions
            .iter_mut()
            .filter(|session| is_lost(session))
            .for_each(|session| session.is_over = true);
    }
}

/// Bytes of a stream.
fn carried(frame: &Frame) -> usize {
    if let Frame::Data { data, .. } = frame { data.len() } else { 0 }
}

fn seal(sealer: &mut Sealer, frames: &[Frame]) -> Vec<u8> {
    let mut draft = Draft::new(0);
    frames.iter().for_each(|frame| frame.encode(draft.buffer()));
    sealer.seal(draft).unwrap().1.to_vec()
}

fn open(sid: &str) -> String {
    format!("<open xmlns='{}' block-size='65535' sid='{sid}' stanza='iq'/>", ns::IBB)
}

fn data(sid: &str, seq: u16, block: &[u8]) -> String {
    format!("<data xmlns='{}' seq='{seq}' sid='{sid}'>{}</data>", ns::IBB, BASE64.encode(block))
}

/// The first block of this bytestream, if it is in this stanza.
fn block(stanza: &Element, sid: &str) -> Option<Vec<u8>> {
    let data = stanza.get_child("data", ns::IBB)?;
    let is_first = data.attr("sid") == Some(sid) && data.attr("seq") == Some("0");
    is_first.then(|| BASE64.decode(data.text()).unwrap())
}
