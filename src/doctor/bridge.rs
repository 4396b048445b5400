//! Examination of a bridge, as a client has it: the handshake, what is behind it, and how long there and back takes.
//!
//! It connects as every client does, by the same tunnel. What is measured is what an application waits for: a connection that the bridge
//! makes to its target, and says so.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::account::{Checkup, bridge_is_there};
use super::finding::{Finding, Stage, Verdict};
use super::report::Report;
use super::sentences::{self, ServerFacts};
use super::{Setting, throughput, with_own_resource};
use crate::client::{BridgeStream, Client, ClientError, NamedBridge};
use crate::config::{BridgeConfig, Protocol};
use crate::protocol::{AccountId, Address, CloseReason};
use crate::tunnel::{ConnectError, FAREWELL, Measured, Protocols, Tunnel};
use crate::xmpp::AccountPool;

/// Round trips that are measured at most: 7, of which one that is late says nothing in the median.
const ROUND_TRIPS: usize = 7;

/// No other is begun after 10 seconds.
const ENOUGH: Duration = Duration::from_secs(10);

/// What was found of a bridge.
enum Answer {
    /// It has reached its target.
    Reached(Box<BridgeStream>),
    /// It has answered, and has not.
    Refused,
}

/// Examines a bridge by accounts of which one was found to log in.
///
/// # Errors
///
/// When the report cannot be written.
pub(super) async fn examine(
    setting: &Setting,
    mut bridge: BridgeConfig,
    checkup: &Checkup,
    report: &mut Report,
) -> io::Result<()> {
    // The classic protocol also knows peers without a resource, which nobody can ask whether they are there.
    let is_found = match &checkup.peers[..] {
        [] => false,
        peers => {
            let found = bridge_is_there(checkup.asked_for, peers);
            let verdict = found.verdict;
            report.add(found)?;
            if verdict == Verdict::Cross {
                return report.add_untried(&Stage::OF_BRIDGE[1..], Stage::Bridge);
            }
            verdict == Verdict::Tick
        }
    };
    let accounts = bridge.accounts.iter().map(with_own_resource).collect();
    // They stay for the whole of the examination, and are nobody else's.
    (bridge.accounts, bridge.brings_logins) = (accounts, false);
    let (pool, events) = AccountPool::with_limits(setting.dialer.clone(), &setting.config.limits);
    let (files, relays) = (setting.files.clone(), setting.relays.clone());
    let protocols = Protocols { files, relays, ..Protocols::of_client(&setting.config.limits) };
    let tunnel = Tunnel::start(pool, events, protocols);
    let client = Client::new(tunnel.clone(), setting.config.clone(), Arc::clone(&setting.state));
    let way = Way { setting, client, tunnel, bridge: bridge.into(), is_found };
    let examined = way.examine(checkup, report).await;
    way.tunnel.shutdown(FAREWELL).await;
    examined
}

/// A bridge, and the way to it.
struct Way<'a> {
    setting: &'a Setting,
    client: Client,
    tunnel: Tunnel,
    bridge: NamedBridge,
    /// Whether its account was found to be online.
    is_found: bool,
}

impl Way<'_> {
    async fn examine(&self, checkup: &Checkup, report: &mut Report) -> io::Result<()> {
        let Self { setting, client, bridge, .. } = self;
        wait_until_one_is_online(&self.tunnel, &client.log_in(bridge), setting.config.limits.connect_timeout)
            .await;
        let begun = Instant::now();
        let answer = match ask(setting, client, bridge).await {
            Ok(answer) => answer,
            Err(error) => {
                let sentence = sentence(&error, self.is_found, bridge.config());
                report.add(Finding::cross(Stage::Handshake, begun.elapsed(), sentence))?;
                return report.add_untried(&Stage::OF_BRIDGE[2..], Stage::Handshake);
            }
        };
        let sentence = match bridge.config().protocol {
            Protocol::Secure { .. } => {
                "the bridge accepts the bridge line, and has shown that it has the key that the line names"
            }
            Protocol::Classic => {
                "the bridge answers, in the classic protocol, which the chat servers can read and change"
            }
        };
        report.add(Finding::tick(Stage::Handshake, begun.elapsed(), sentence))?;
        report.add(target(&answer, setting))?;
        report.add(round_trips(setting, client, bridge).await)?;
        self.measure(answer, checkup, report).await
    }

    async fn measure(&self, answer: Answer, checkup: &Checkup, report: &mut Report) -> io::Result<()> {
        let Answer::Reached(stream) = answer else {
            return report.add_untried(&Stage::OF_BRIDGE[4..], Stage::Target);
        };
        let allowance =
            throughput::allowance(self.bridge.config().accounts.iter().map(|account| account.daily_bytes));
        let Some(run) = throughput::measure(stream.stream(), allowance).await else {
            let sentence =
                "nothing can be measured in the classic protocol, or the session has ended meanwhile";
            let stages = [Stage::Stanzas, Stage::Files, Stage::Relay];
            let mut findings =
                stages.into_iter().map(|stage| Finding::neither(stage, Duration::ZERO, sentence));
            return findings.try_for_each(|finding| report.add(finding));
        };
        report.add(throughput::stanzas(&run))?;
        let Measured { knows_files, knows_relays, by_relay, .. } = run.measured;
        let (files, relays) = (self.setting.files.is_some(), self.setting.relays.is_some());
        let ServerFacts { uploads, proxy, .. } = checkup.facts;
        report.add(sentences::files(Duration::ZERO, files, uploads, knows_files))?;
        let rate = by_relay.then_some(run.rate);
        report.add(sentences::relay(Duration::ZERO, relays, proxy, (knows_relays, rate)))
    }
}

async fn wait_until_one_is_online(tunnel: &Tunnel, accounts: &[AccountId], patience: Duration) {
    let mut statuses: Vec<_> = accounts.iter().map(|id| tunnel.pool().subscribe(*id)).collect();
    let online = statuses.iter_mut().map(|status| {
        Box::pin(async {
            // One that is closed is not waited for.
            let _ = status.wait_for(|status| !status.may_come_online()).await;
        })
    });
    // What keeps them offline is said when they are used.
    let _ = tokio::time::timeout(patience, futures_util::future::select_all(online)).await;
}

/// Asks for one connection.
async fn ask(setting: &Setting, client: &Client, bridge: &NamedBridge) -> Result<Answer, ClientError> {
    let local = Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    match client.connect(bridge, local, setting.target.clone()).await {
        Ok(stream) => Ok(Answer::Reached(Box::new(stream))),
        Err(ClientError::Connect(ConnectError::Closed(CloseReason::Refused))) => Ok(Answer::Refused),
        Err(error) => Err(error),
    }
}

/// Why there is no handshake, where it is known whether the bridge is there.
fn sentence(error: &ClientError, is_found: bool, bridge: &BridgeConfig) -> String {
    let is_refused = |reason| match reason {
        CloseReason::LineRefused => true,
        CloseReason::PeerUnavailable => is_found,
        _ => false,
    };
    match error {
        ClientError::Connect(ConnectError::Rejected(error) | ConnectError::NotOnline(Some(error))) => {
            format!("the accounts are not online: {}", error.with_remedy())
        }
        ClientError::Connect(ConnectError::Closed(reason)) if is_refused(*reason) => {
            let psk = match &bridge.protocol {
                Protocol::Secure { psk: None, .. } => {
                    "it may be a private one, whose line has a `psk`, which is missing here; or the key is another's"
                }
                _ => "the `key` or the `psk` may be another's, or of before the bridge was set up anew",
            };
            format!(
                "the bridge is online, and does not accept the bridge line: {psk}; ask whoever runs it for the line that `hexchat-pt bridge-line` \
                 prints there now, and compare the clocks of both ends"
            )
        }
        error => error.to_string(),
    }
}

fn target(answer: &Answer, setting: &Setting) -> Finding {
    // The answer has come with that to the handshake.
    let took = Duration::ZERO;
    match (answer, setting.is_target_given) {
        (Answer::Reached(_), true) => Finding::tick(Stage::Target, took, "the bridge has reached the target"),
        (Answer::Reached(_), false) => Finding::tick(
            Stage::Target,
            took,
            "the bridge has reached what it leads to, its own relay if Tor runs it",
        ),
        (Answer::Refused, true) => Finding::cross(
            Stage::Target,
            took,
            "the bridge answers, and does not allow the target or cannot reach it: whoever runs it has to --allow it",
        ),
        (Answer::Refused, false) => Finding::cross(
            Stage::Target,
            took,
            "the bridge answers, and cannot reach what it leads to: if Tor runs it, its tor does not take connections; if `serve` does, name what \
             it allows by --target HOST:PORT",
        ),
    }
}

/// Connections one after the other, and how long the one in the middle took.
async fn round_trips(setting: &Setting, client: &Client, bridge: &NamedBridge) -> Finding {
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < ROUND_TRIPS && begun.elapsed() < ENOUGH {
        let asked = Instant::now();
        match ask(setting, client, bridge).await {
            Ok(_) => times.push(asked.elapsed()),
            Err(error) => {
                let sentence = format!("after {} that came back one did not: {error}", times.len());
                return Finding::cross(Stage::RoundTrip, begun.elapsed(), sentence);
            }
        }
    }
    let count = times.len();
    let middle = median(times).unwrap_or_default();
    let sentence = format!(
        "a connection to the target is there {:.0} ms after it was asked for, by the median of {count}; the way from the bridge to the target is \
         part of it",
        middle.as_secs_f64() * 1000.0
    );
    let finding = Finding::tick(Stage::RoundTrip, begun.elapsed(), sentence);
    finding.with("median_ms", middle.as_secs_f64() * 1000.0).with("count", count)
}

fn median(mut times: Vec<Duration>) -> Option<Duration> {
    times.sort();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_late_does_not_count_in_the_median() {
        let times = [9, 1, 2, 3, 1000].map(Duration::from_millis);
        assert_eq!(median(times.into()), Some(Duration::from_millis(3)));
        assert_eq!(median(Vec::new()), None);
    }
}
