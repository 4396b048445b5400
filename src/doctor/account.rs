//! Examination of one account: it logs in once, as any account of the program does, and its server is asked what it offers.
//!
//! It logs in under a resource of its own, so that the program can be running meanwhile and keeps its own. Strangers get no answers from
//! it in these seconds but to pings.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};
use xmpp_parsers::jid::{FullJid, Jid};

use super::finding::{Finding, Stage};
use super::ladder::Ladder;
use super::report::Report;
use super::sentences::{Known, ServerFacts, clock, server};
use super::{Setting, with_own_resource};
use crate::accounts::{KeptHints, Registrations};
use crate::carrier::Arrival;
use crate::carrier::questions::{Answer, Presence, Questions};
use crate::carrier::services::discovery::Wanted;
use crate::carrier::services::{Services, Step};
use crate::config::{AccountConfig, Credential};
use crate::protocol::AccountId;
use crate::xmpp::seen::{Observer, Seen};
use crate::xmpp::{AccountError, AccountEvent, AccountPool, Binding, Persistence, StreamManagement, Usage};

/// How long a server has to answer all that it is asked: 10 seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a login may take with all that it waits for: 60 seconds. Each part has a limit of its own, and they come to less.
const LOGIN: Duration = Duration::from_secs(60);

/// What was found of an account and its server.
#[derive(Debug, Default)]
pub(super) struct Checkup {
    /// Whether it can log in.
    pub(super) is_online: bool,
    /// What its server has.
    pub(super) facts: ServerFacts,
    /// Of each peer that was asked whether it is there, what is known.
    pub(super) peers: Vec<(FullJid, Option<Presence>)>,
    /// How long that has taken.
    pub(super) asked_for: Duration,
}

/// An account that is being examined.
struct Patient<'a> {
    number: usize,
    config: AccountConfig,
    pool: AccountPool,
    id: AccountId,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
    seen: mpsc::UnboundedReceiver<(Duration, Seen)>,
    since: Instant,
    ladder: Ladder,
    questions: Questions,
    services: Services,
    /// When the server was asked for its time, by our clock.
    asked_at: i64,
    clocks: Option<(i64, i64)>,
    checkup: Checkup,
    report: &'a mut Report,
}

/// Examines the account with this number, counted from 1, and asks these peers whether they are there.
///
/// # Errors
///
/// When the report cannot be written.
pub(super) async fn examine(
    setting: &Setting,
    (number, config): (usize, &AccountConfig),
    peers: &[FullJid],
    report: &mut Report,
) -> io::Result<Checkup> {
    let mut patient = Patient::new(setting, (number, config), report);
    if patient.log_in().await? {
        patient.ask(peers).await?;
    }
    let Patient { pool, checkup, .. } = patient;
    pool.shutdown().await;
    Ok(checkup)
}

impl<'a> Patient<'a> {
    fn new(setting: &Setting, (number, config): (usize, &AccountConfig), report: &'a mut Report) -> Self {
        let (pool, events) = AccountPool::with_limits(setting.dialer.clone(), &setting.config.limits);
        pool.keep_registrations(Arc::new(Registrations::new(Arc::clone(&setting.state))));
        pool.keep_hints(Arc::new(KeptHints::new(Arc::clone(&setting.state))));
        let (tell, seen) = mpsc::unbounded_channel();
        let since = Instant::now();
        pool.observe(Observer::new(move |step| {
            // Nobody looks any more.
            let _ = tell.send((since.elapsed(), step));
        }));
        let usage = Usage {
            management: StreamManagement::Unwanted,
            binding: Binding::Awaited,
            persistence: Persistence::Once,
        };
        let config = with_own_resource(config);
        let id = pool.open(config.clone(), usage);
        let ladder = Ladder::new(&config, setting.goes_by_proxy);
        let services = Services::new(Wanted { uploads: true, relays: true });
        Self {
            number,
            config,
            pool,
            id,
            events,
            seen,
            since,
            ladder,
            questions: Questions::default(),
            services,
            asked_at: 0,
            clocks: None,
            checkup: Checkup::default(),
            report,
        }
    }

    /// Whether it is online.
    async fn log_in(&mut self) -> io::Result<bool> {
        let deadline = self.since + LOGIN;
        loop {
            let next = timeout_at(deadline, async {
                tokio::select! {
                    biased;
                    Some((at, seen)) = self.seen.recv() => Next::Seen(at, seen),
                    Some((_, event)) = self.events.recv() => Next::Event(event),
                    else => Next::Event(AccountEvent::Failed(AccountError::LoggedOut)),
                }
            });
            let next = next.await.unwrap_or_else(|_| {
                Next::Event(AccountEvent::Failed(AccountError::TimedOut(crate::xmpp::Step::Session)))
            });
            let at = self.since.elapsed();
            match next {
                Next::Seen(at, seen) => {
                    let findings = self.ladder.on_seen(at, &seen);
                    self.tell(findings)?;
                }
                Next::Event(AccountEvent::Online { jid, .. }) => {
                    let findings = self.ladder.on_online(at);
                    self.tell(findings)?;
                    self.checkup.is_online = true;
                    self.checkup.facts.offers = self.ladder.offers();
                    self.ask_server(&jid);
                    return Ok(true);
                }
                Next::Event(AccountEvent::Failed(error)) => {
                    let findings = self.ladder.on_failed(at, &error);
                    self.tell(findings)?;
                    return Ok(false);
                }
                Next::Event(_) => {}
            }
        }
    }

    fn is_component(&self) -> bool {
        matches!(self.config.credential, Credential::Component(_))
    }

    /// A component has no server that it would be a user of.
    fn ask_server(&mut self, own: &FullJid) {
        if self.is_component() {
            return;
        }
        let server = Jid::from_parts(None, own.domain(), None);
        self.asked_at = wall_clock();
        for question in self.questions.ask_server(&server, &mut rand::random) {
            self.pool.send(self.id, question, None);
        }
        let now = std::time::Instant::now();
        self.services.search(now, self.id, &server, &mut rand::random);
        self.carry_out();
    }

    /// Waits for answers, and tells what they come to.
    async fn ask(&mut self, peers: &[FullJid]) -> io::Result<()> {
        let begun = Instant::now();
        for peer in peers {
            self.checkup.peers.push((peer.clone(), None));
            for question in self.questions.ask_peer(peer.clone(), &mut rand::random) {
                self.pool.send(self.id, question, None);
            }
        }
        let _ = timeout(PATIENCE, self.hear()).await;
        let took = begun.elapsed();
        self.checkup.asked_for = took;
        if self.is_component() {
            let sentence = "a component asks its server for nothing";
            let stages = [Stage::Clock, Stage::Server];
            return self.tell(stages.map(|stage| Finding::neither(stage, took, sentence)).into());
        }
        let findings = vec![clock(took, self.clocks), server(took, &self.checkup.facts)];
        self.tell(findings)
    }

    /// Takes what comes until all is answered, or the account is offline.
    async fn hear(&mut self) {
        while !self.has_heard_all() {
            let arrival = match self.events.recv().await {
                Some((_, AccountEvent::Stanza(stanza))) => Arrival::Parsed(stanza),
                Some((_, AccountEvent::Flat(flat))) => Arrival::Flat(flat),
                Some((_, AccountEvent::Failed(_))) | None => return,
                Some(_) => continue,
            };
            if let Some(answer) = self.questions.handle(&arrival) {
                self.on_answer(answer);
            } else if self.services.handle(self.id, &arrival, &mut rand::random) {
                self.carry_out();
            }
        }
    }

    fn has_heard_all(&self) -> bool {
        let ServerFacts { uploads, proxy, .. } = self.checkup.facts;
        let has_found_all = self.is_component() || uploads != Known::Unknown && proxy != Known::Unknown;
        has_found_all && self.questions.is_over()
    }

    fn on_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Time(theirs) => {
                // The answer was made about in the middle between the question and now.
                let now = wall_clock();
                self.clocks = theirs.map(|theirs| (self.asked_at.midpoint(now), theirs));
            }
            Answer::Keeps(keeps) => self.checkup.facts.keeps_messages = keeps,
            Answer::Peer(peer, presence) => {
                let known = self.checkup.peers.iter_mut().find(|(asked, _)| *asked == peer);
                if let Some((_, known)) = known {
                    *known = Some(presence);
                }
            }
        }
    }

    /// Does what the search for services wants.
    fn carry_out(&mut self) {
        while let Some(step) = self.services.poll() {
            match step {
                Step::Send(id, question) => {
                    self.pool.send(id, question, None);
                }
                Step::FoundService(_, service) => {
                    self.checkup.facts.uploads = service.map(|service| service.max_file_size).into();
                }
                Step::FoundProxy(_, proxy) => self.checkup.facts.proxy = proxy.map(|_| ()).into(),
                // Nothing of these was asked for.
                Step::Answered { .. } | Step::Activated { .. } => {}
            }
        }
    }

    fn tell(&mut self, findings: Vec<Finding>) -> io::Result<()> {
        findings.into_iter().try_for_each(|finding| self.report.add(finding.of(self.number)))
    }
}

/// What has happened to an account that logs in.
enum Next {
    Seen(Duration, Seen),
    Event(AccountEvent),
}

/// In milliseconds since 1970.
fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What is known of the peers that were asked whether they are there.
pub(super) fn bridge_is_there(took: Duration, peers: &[(FullJid, Option<Presence>)]) -> Finding {
    let count = |presence| peers.iter().filter(|(_, known)| *known == presence).count();
    let (here, all) = (count(Some(Presence::Here)), peers.len());
    let finding = if here > 0 {
        let away = all - here;
        let rest = match away {
            0 => String::new(),
            away => format!(", and {away} of the {all} in the bridge line are not, which makes it slower"),
        };
        Finding::tick(Stage::Bridge, took, format!("the bridge's account is online{rest}"))
    } else if count(Some(Presence::Unreachable)) > 0 {
        let sentence = "the chat server of our account cannot reach the bridge's: check the `jid` of the bridge line; an account at another \
                        server can help, the bridge's own best";
        Finding::cross(Stage::Bridge, took, sentence)
    } else if count(None) == all {
        let sentence = "nobody has said whether the bridge's account is online, neither it nor its server; the handshake shows it";
        Finding::neither(Stage::Bridge, took, sentence)
    } else {
        let sentence = "the bridge's account is not online, or its chat server lets only contacts through: ask whoever runs the bridge whether it \
                        runs, and whether its bridge line is still this one; `roster = true` helps against the last";
        Finding::cross(Stage::Bridge, took, sentence)
    };
    finding.with("online", Value::from(here)).with("accounts", Value::from(all))
}
