//! Ladder of a login: where the server is, a connection, TLS, a session. What is seen of a login becomes findings. Pure.

use std::time::Duration;

use super::blame::stage_of;
use super::finding::{Finding, Stage};
use crate::config::{AccountConfig, Credential};
use crate::xmpp::AccountError;
use crate::xmpp::seen::{How, Offers, Protection, Seen, Whereabouts};

/// How far the login of one account is.
#[derive(Debug)]
pub(super) struct Ladder {
    rights: Rights,
    goes_by_proxy: bool,
    /// How many of [`Stage::OF_ACCOUNT`] are told.
    told: usize,
    /// When the last one was.
    since: Duration,
    whereabouts: Whereabouts,
    offers: Offers,
}

/// What the configuration says of how the account gets in, as far as it is of interest here.
#[derive(Clone, Copy, Debug)]
struct Rights {
    has_pin: bool,
    has_ca_file: bool,
    login: &'static str,
}

impl Ladder {
    /// Nothing is done yet. Times are counted from now on.
    pub(super) fn new(account: &AccountConfig, goes_by_proxy: bool) -> Self {
        let login = match &account.credential {
            Credential::Password(_) => "the server has let the account in",
            Credential::Anonymous => "the server lets everybody in, and has let us in without an account",
            Credential::New => "the server has let the account in that was registered there",
            Credential::Component(_) => "the server has taken us for the component of this domain",
        };
        let (has_pin, has_ca_file) = (account.pin.is_some(), account.ca_file.is_some());
        let rights = Rights { has_pin, has_ca_file, login };
        let (whereabouts, offers) = (Whereabouts::Given, Offers::default());
        Self { rights, goes_by_proxy, told: 0, since: Duration::ZERO, whereabouts, offers }
    }

    /// What follows from what was seen at this time.
    pub(super) fn on_seen(&mut self, at: Duration, seen: &Seen) -> Vec<Finding> {
        match seen {
            Seen::Found(whereabouts) => {
                self.whereabouts = *whereabouts;
                Vec::new()
            }
            Seen::Connected { took, how } => {
                let since = at.saturating_sub(*took);
                let found = self.tell(Stage::Dns, since, |ladder, took| ladder.found(took));
                let connected = self.tell(Stage::Tcp, at, |ladder, took| ladder.connected(took, *how));
                found.into_iter().chain(connected).collect()
            }
            Seen::Secured(protection) => {
                let secured = self.tell(Stage::Tls, at, |ladder, took| ladder.secured(took, *protection));
                secured.into_iter().collect()
            }
            Seen::Offered(offers) => {
                self.offers = *offers;
                Vec::new()
            }
        }
    }

    /// The account is online.
    pub(super) fn on_online(&mut self, at: Duration) -> Vec<Finding> {
        let login = self
            .tell(Stage::Login, at, |ladder, took| Finding::tick(Stage::Login, took, ladder.rights.login));
        login.into_iter().collect()
    }

    /// There is no session, or none any more.
    pub(super) fn on_failed(&mut self, at: Duration, error: &AccountError) -> Vec<Finding> {
        let mut findings = Vec::new();
        let blamed = stage_of(error);
        if blamed > Stage::Dns {
            let now = self.since;
            findings.extend(self.tell(Stage::Dns, now, |ladder, took| ladder.found(took)));
        }
        let took = at.saturating_sub(self.since);
        let rest = Stage::OF_ACCOUNT.get(self.told..).unwrap_or_default();
        let next = rest.iter().copied().find(|stage| *stage >= blamed);
        let failed = match blamed {
            Stage::Configuration => blamed,
            blamed => next.unwrap_or(blamed),
        };
        findings.push(Finding::cross(failed, took, error.with_remedy()));
        let untried: Vec<_> = rest.iter().copied().filter(|stage| *stage > failed).collect();
        findings.extend(Finding::not_tried(&untried, failed));
        findings
    }

    /// What the server offers in a session.
    pub(super) fn offers(&self) -> Offers {
        self.offers
    }

    /// Says what was found at a stage, once.
    fn tell(
        &mut self,
        stage: Stage,
        at: Duration,
        finding: impl FnOnce(&Self, Duration) -> Finding,
    ) -> Option<Finding> {
        let place = Stage::OF_ACCOUNT.iter().position(|other| *other == stage)?;
        if place < self.told {
            return None;
        }
        let took = at.saturating_sub(self.since);
        (self.told, self.since) = (place + 1, at.max(self.since));
        Some(finding(self, took))
    }

    fn found(&self, took: Duration) -> Finding {
        let tick = |sentence: &str| Finding::tick(Stage::Dns, took, sentence);
        match self.whereabouts {
            Whereabouts::Given if self.goes_by_proxy => {
                tick("where the server is needs no SRV records, and the proxy is given its name")
            }
            Whereabouts::Given => tick("where the server is needs no SRV records"),
            Whereabouts::Records(1) => tick("the domain has an SRV record for clients").with("records", 1),
            Whereabouts::Records(count) => {
                tick(&format!("the domain has {count} SRV records for clients")).with("records", count)
            }
            Whereabouts::NoRecords => {
                tick("the domain has no SRV records for clients, and is itself dialled").with("records", 0)
            }
            Whereabouts::Unknown(fault) => {
                let sentence =
                    format!("the domain itself is dialled, since nobody knows its SRV records: {fault}");
                Finding::neither(Stage::Dns, took, sentence)
            }
            Whereabouts::Unasked => {
                let sentence =
                    "the domain itself is dialled, since the proxy lets nobody ask for SRV records";
                Finding::neither(Stage::Dns, took, sentence)
            }
        }
    }

    fn connected(&self, took: Duration, how: How) -> Finding {
        let way = if self.goes_by_proxy { "through the proxy of TOR_PT_PROXY" } else { "directly" };
        let kind = match how {
            How::Plain => "none",
            How::StartTls => "starttls",
            How::Direct => "direct",
            How::WebSocket => "websocket",
        };
        Finding::tick(Stage::Tcp, took, format!("the server takes our connection, {way}")).with("tls", kind)
    }

    fn secured(&self, took: Duration, protection: Protection) -> Finding {
        let trusted = match self.rights {
            Rights { has_pin: true, .. } => "its certificate has the key that `pin` names",
            Rights { has_ca_file: true, .. } => {
                "its certificate is valid, from an authority of `ca_file` or a well-known one"
            }
            _ => "its certificate is valid, from a well-known authority",
        };
        let tick = |version: &str| {
            Finding::tick(Stage::Tls, took, format!("{version}; {trusted}")).with("version", version)
        };
        match protection {
            Protection::None => Finding::neither(
                Stage::Tls,
                took,
                "there is none, as the configuration has it; the server is on this machine",
            ),
            Protection::Tls12 => tick("TLS 1.2"),
            Protection::Tls13 => tick("TLS 1.3"),
            Protection::WebServer => Finding::tick(
                Stage::Tls,
                took,
                "a WebSocket is open, as `server` or the domain's host-meta has it",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DailyFiles;
    use crate::doctor::finding::Verdict;
    use crate::xmpp::Step;
    use xmpp_parsers::jid::Jid;

    const MS: Duration = Duration::from_millis(1);

    fn ladder() -> Ladder {
        let account = AccountConfig {
            jid: Jid::new("alice@chat.example").unwrap_or_else(|_| unreachable!("a literal")),
            credential: Credential::Password("secret".into()),
            server: None,
            tls: None,
            pin: None,
            ca_file: None,
            roster: false,
            sessions: None,
            daily_bytes: None,
            daily_files: DailyFiles::Unbounded,
        };
        Ladder::new(&account, false)
    }

    fn connected() -> Seen {
        Seen::Connected { took: 20 * MS, how: How::StartTls }
    }

    fn told(findings: &[Finding]) -> Vec<(Stage, Verdict)> {
        findings.iter().map(|finding| (finding.stage, finding.verdict)).collect()
    }

    #[test]
    fn each_step_is_told_once_and_how_long_it_took() {
        let mut ladder = ladder();
        let mut findings = ladder.on_seen(30 * MS, &Seen::Found(Whereabouts::Records(2)));
        findings.extend(ladder.on_seen(50 * MS, &connected()));
        findings.extend(ladder.on_seen(70 * MS, &connected()));
        findings.extend(ladder.on_seen(90 * MS, &Seen::Secured(Protection::Tls13)));
        findings.extend(ladder.on_online(150 * MS));
        let all = [Stage::Dns, Stage::Tcp, Stage::Tls, Stage::Login].map(|stage| (stage, Verdict::Tick));
        assert_eq!(told(&findings), all);
        let took: Vec<_> = findings.iter().map(|finding| finding.took).collect();
        assert_eq!(took, [30 * MS, 20 * MS, 40 * MS, 60 * MS]);
    }

    #[test]
    fn what_comes_behind_a_fault_is_not_tried() {
        let mut ladder = ladder();
        ladder.on_seen(MS, &Seen::Found(Whereabouts::NoRecords));
        let findings = ladder.on_failed(2 * MS, &AccountError::Refused);
        let mut expected = vec![(Stage::Dns, Verdict::Tick), (Stage::Tcp, Verdict::Cross)];
        expected.extend(Stage::OF_ACCOUNT[2..].iter().map(|stage| (*stage, Verdict::Neither)));
        assert_eq!(told(&findings), expected);
        assert!(findings[2].sentence.contains("not tried"), "{}", findings[2].sentence);
    }

    #[test]
    fn a_fault_of_a_step_that_was_done_is_one_of_the_next() {
        let mut ladder = ladder();
        ladder.on_seen(MS, &connected());
        let findings = ladder.on_failed(2 * MS, &AccountError::Refused);
        assert_eq!(
            told(&findings)[0],
            (Stage::Tls, Verdict::Cross),
            "one server was reached, and another was not"
        );
    }

    #[test]
    fn a_configuration_that_can_never_work_is_a_fault_of_that() {
        let findings = ladder().on_failed(MS, &AccountError::PlaintextRefused);
        assert_eq!(told(&findings)[0], (Stage::Configuration, Verdict::Cross));
        assert_eq!(findings.len(), 1 + Stage::OF_ACCOUNT.len());
    }

    #[test]
    fn who_never_gets_a_session_has_not_logged_in() {
        let mut ladder = ladder();
        ladder.on_seen(MS, &connected());
        ladder.on_seen(MS, &Seen::Secured(Protection::Tls12));
        let findings = ladder.on_failed(2 * MS, &AccountError::TimedOut(Step::Bind));
        assert_eq!(told(&findings)[0], (Stage::Login, Verdict::Cross));
        assert_eq!(findings.len(), 3);
    }
}
