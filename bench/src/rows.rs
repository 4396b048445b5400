//! Rows of the table: what was measured against what was to be reached.

use hexchat_lab::Kind;
use serde::{Deserialize, Serialize};

use crate::limited::{ACCOUNTS, SESSIONS as SESSIONS_OF_ONE};
use crate::ours::Tls;
use crate::samples::{Samples, Spread, quantile, sorted};
use crate::scale::{BRIDGE_ACCOUNTS, SESSIONS, STREAMS};
use crate::{far, lanes, name_of};

/// What a row comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    Met,
    NotMet,
    /// Nor would it be if we were not there: the server forbids it. The note has the evidence.
    Forbidden,
    /// Nothing is to be reached there; it is good to know.
    Informational,
    /// It could not be measured.
    Failed,
}

impl Verdict {
    pub(crate) fn shown(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::NotMet => "not met",
            Self::Forbidden => "forbidden",
            Self::Informational => "-",
            Self::Failed => "failed",
        }
    }
}

impl From<bool> for Verdict {
    fn from(is_met: bool) -> Self {
        if is_met { Self::Met } else { Self::NotMet }
    }
}

/// A line of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) what: String,
    /// What came out, or why nothing did.
    pub(crate) value: String,
    pub(crate) reach: String,
    pub(crate) verdict: Verdict,
    /// The figures behind it, with their spread.
    pub(crate) note: String,
}

/// What a row comes to: its value, whether that is enough, and the note.
type Outcome = Result<(String, bool, String), String>;

/// All rows, in order.
pub(crate) fn rows(samples: &Samples) -> Vec<Row> {
    let s = samples;
    let mut rows = vec![
        row(
            "bulk, Prosody without limits, one account a side, against slixmpp's bytestreams",
            ">= 2.5 times",
            slixmpp(s, "slixmpp"),
        ),
        row("the same, against raw stanzas of the best size", ">= 0.7", raw(s, "raw", 1)),
        informational("the same, against raw stanzas in TLS records like ours", raw(s, "aligned", 1)),
        row("two accounts a side, against raw stanzas of two pairs", ">= 0.7", raw(s, "raw", 2)),
        informational("the same, against raw stanzas in TLS records like ours", raw(s, "aligned", 2)),
        row(
            "bulk, ejabberd without limits, one account a side, against raw stanzas of 48 KiB",
            ">= 0.4",
            ejabberd(s),
        ),
        row(
            "the same, in proportion to a machine where raw stanzas carry 113 MB/s",
            ">= 40 MB/s there",
            ejabberd_floor(s),
        ),
        row(
            "classic bulk, Prosody without limits, one account (the 2013 program: 2.0 to 2.3 MB/s)",
            ">= 4 MB/s",
            classic(s),
        ),
    ];
    // Not everybody has installed it.
    if s.has_some_of("prosody.slixmpp-1.17") {
        rows.insert(
            1,
            row(
                "bulk on Prosody against slixmpp 1.17's bytestreams",
                ">= 2.5 times",
                slixmpp(s, "slixmpp-1.17"),
            ),
        );
    }
    for accounts in ACCOUNTS {
        let what = format!("bulk, Prosody with stock limits, {accounts} x 10 kB/s");
        let reach = if accounts == 8 { ">= 0.70, within 5 % of linear" } else { ">= 0.70" };
        rows.push(row(&what, reach, limited(s, "prosody", 10_000.0, accounts)));
    }
    // The first is what they are compared with.
    for sessions in &SESSIONS_OF_ONE[1..] {
        let what =
            format!("bulk, Prosody with stock limits, one account with {sessions} logins, against one");
        rows.push(row(&what, "within 3 %", sessions_of_one(s, *sessions)));
    }
    for accounts in ACCOUNTS {
        if s.has(&format!("limited.ejabberd.{accounts}")) {
            let what = format!("bulk, ejabberd with stock limits, {accounts} x 3 kB/s");
            rows.push(informational(&what, limited_ejabberd(s, accounts)));
        }
    }
    rows.extend([
        row(
            "a Tor cell there and back, idle (20 ms after the last), against a raw IQ: p50, Prosody",
            "<= 2 times",
            cell(s, "prosody", ""),
        ),
        slow_cell(s, "prosody"),
        informational("the same, against raw stanzas of that size between the same sockets: p50", raw_cell(s, "prosody")),
        informational("the same, one right after the other: p50", cell(s, "prosody", "busy_")),
        row("idle, over ejabberd: p50", "<= 2 times", cell(s, "ejabberd", "")),
        slow_cell(s, "ejabberd"),
        informational("the same, against raw stanzas of that size between the same sockets: p50", raw_cell(s, "ejabberd")),
        informational("the same, one right after the other: p50", cell(s, "ejabberd", "busy_")),
        row("a Tor cell there and back during a bulk transfer, stock Prosody: p50", "<= 1.5 s", loaded_cell(s, "loaded", 0.5, 1.5)),
        row("of the bulk rate kept meanwhile", ">= 0.9", loaded_bulk(s, "loaded")),
        row("the same with four logins of one account: p50", "<= 0.15 s", loaded_cell(s, "sessions.loaded", 0.5, 0.15)),
        row("p99", "<= 0.5 s", loaded_cell(s, "sessions.loaded", 0.99, 0.5)),
        row("of the bulk rate kept meanwhile", ">= 0.9", loaded_bulk(s, "sessions.loaded")),
        row("stock ejabberd, four logins of one account: p50", "<= 0.15 s", loaded_cell(s, "sessions.ejabberd.loaded", 0.5, 0.15)),
        row("p99", "<= 0.5 s", loaded_cell(s, "sessions.ejabberd.loaded", 0.99, 0.5)),
        row("of the bulk rate kept meanwhile", ">= 0.9", loaded_bulk(s, "sessions.ejabberd.loaded")),
        row("a Tor cell there and back during a bulk transfer, Prosody without limits: p50", "<= 10 ms", beside(s, "prosody", 0.5, 10.0)),
        row("p99", "<= 50 ms", beside(s, "prosody", 0.99, 50.0)),
        row("of the bulk rate kept meanwhile", ">= 0.9", beside_bulk(s, "prosody")),
        informational("during a bulk transfer, ejabberd without limits: p50", beside(s, "ejabberd", 0.5, 10.0)),
        informational("p99", beside(s, "ejabberd", 0.99, 50.0)),
        informational("of the bulk rate kept meanwhile", beside_bulk(s, "ejabberd")),
        row("tor's download of 10 MB over ejabberd without limits, against obfs4", ">= 0.9", tor(s, "ejabberd")),
        informational("the same over Prosody without limits", tor(s, "prosody")),
        row("bytes on the wire per byte of payload, blocks of 4 KiB", "<= 1.45", wire(s, "slow", 1.45)),
        row("the same with the largest blocks (ejabberd without limits)", "<= 1.37", wire(s, "fast", 1.37)),
        row(&format!("{STREAMS} open streams: memory of each, in either half"), "<= 32 KB", streams(s)),
        row("served, and left after the close", "all, none", leftovers(s)),
        row(
            &format!("{STREAMS} streams in {SESSIONS} sessions, a bridge with {BRIDGE_ACCOUNTS} accounts: memory of each there"),
            "<= 32 KB",
            crowd(s),
        ),
        row("served, and left on the bridge after the close", "all, none", crowd_leftovers(s)),
        row("from the start to CMETHODS DONE", "<= 50 ms", start(s)),
        row("CPU of an idle half", "<= 0.2 %", idle(s)),
        row("the executable, stripped", "<= 10 MB", size(s)),
    ]);
    for server in far::SERVERS {
        // A quick run leaves some of them out.
        let is_measured = |distance: &u64| s.has(&format!("far.{}.{distance}.first_cell", server.name()));
        rows.extend(FAR.into_iter().filter(is_measured).flat_map(|distance| far_rows(s, server, distance)));
    }
    for kind in [Kind::Prosody, Kind::Ejabberd] {
        let is_measured = |distance: &u64| s.has_some_of(&format!("lanes.{}.{distance}", name_of(kind)));
        rows.extend(
            lanes::DISTANCES
                .into_iter()
                .filter(is_measured)
                .flat_map(|distance| lanes_rows(s, kind, distance)),
        );
    }
    rows
}

/// Real tor with both halves so far from a server with stock limits that takes files.
fn lanes_rows(s: &Samples, kind: Kind, distance: u64) -> Vec<Row> {
    let name = format!("lanes.{}.{distance}", name_of(kind));
    let least = if distance == 0 { 400.0 } else { 100.0 };
    let times = |lane: &str| {
        let [lane, stanzas] =
            [s.get(&format!("{name}.{lane}"))?, s.get(&format!("{name}.stanzas"))?].map(|rate| rate.median);
        let ratio = lane / stanzas;
        let note = format!("{:.2} MB/s; {:.2} kB/s", lane / 1e6, stanzas / 1e3);
        Ok((format!("{ratio:.0} times"), ratio >= least, note))
    };
    let within = |what: &str, most: f64| {
        let Spread { median, least, most: longest } = s.get(&format!("{name}.{what}"))?;
        Ok((format!("{median:.2} s"), median <= most, format!("{least:.2} to {longest:.2} s")))
    };
    let server = shown(far::Server { kind, tls: Tls::Start });
    let what = format!(
        "tor's download of 20 MB, {server} with stock limits {distance} ms from both halves, files against stanzas alone"
    );
    vec![
        row(&what, &format!(">= {least:.0} times"), times("files")),
        row("a page of 60 objects, 2.5 MB: first byte", "<= 1 s", within("first_byte", 1.0)),
        row("all of it", "<= 6 s", within("page", 6.0)),
        row(
            "from tor's cold start until 2.5 MB, as large as a consensus, are there",
            "<= 15 s",
            within("cold", 15.0),
        ),
        row("the same download by a relay", &format!(">= {least:.0} times"), times("relay")),
        row("the same page by a relay: first byte", "<= 1 s", within("relay_first_byte", 1.0)),
        row("all of it by a relay", "<= 6 s", within("relay_page", 6.0)),
        row("a cold start with a relay", "<= 15 s", within("relay_cold", 15.0)),
    ]
}

/// Round trips of each leg of which there are rows, in milliseconds.
const FAR: [u64; 2] = [50, 200];

/// With both halves so far from a server without limits.
fn far_rows(s: &Samples, server: far::Server, distance: u64) -> Vec<Row> {
    let name = format!("far.{}.{distance}", server.name());
    let where_from = format!("both halves {distance} ms from {}", shown(server));
    // With SASL2 and tokens a login takes three round trips less.
    let [most_to_first_cell, most_back] = if server.kind == Kind::ProsodyModules { [8, 6] } else { [11, 9] };
    let trips = |what: &str, bound: u32| {
        let Spread { median, least, most } = s.get(&format!("{name}.{what}"))?;
        let note = format!("{least:.1} to {most:.1} round trips of one leg");
        Ok((format!("{median:.1}"), median <= f64::from(bound), note))
    };
    let mut rows = vec![
        row(
            &format!("{where_from}: from the start to the first cell"),
            &format!("<= {most_to_first_cell} round trips"),
            trips("first_cell", most_to_first_cell),
        ),
        row("back after a cut", &format!("<= {most_back} round trips"), trips("back", most_back)),
        row("a cell there and back", "<= 1.1 times the two legs", far_cell(s, &name)),
    ];
    let near = format!("far.{}.0.bulk", server.name());
    if s.has(&near) {
        rows.push(row("bulk, against the same lines without a delay", ">= 0.8", far_bulk(s, &name, &near)));
    }
    rows
}

fn far_cell(s: &Samples, name: &str) -> Outcome {
    let trips = s.get(&format!("{name}.cell"))?.median;
    Ok((format!("{:.2}", trips / 2.0), trips <= 2.2, String::new()))
}

fn far_bulk(s: &Samples, name: &str, near: &str) -> Outcome {
    let [far, near] = [s.get(&format!("{name}.bulk"))?, s.get(near)?].map(|rate| rate.median);
    let ratio = far / near;
    Ok((format!("{ratio:.2}"), ratio >= 0.8, format!("{:.2} MB/s; {:.2} MB/s", far / 1e6, near / 1e6)))
}

fn shown(server: far::Server) -> &'static str {
    match (server.kind, server.tls) {
        (Kind::Prosody, _) => "Prosody",
        (Kind::ProsodyModules, Tls::Start) => "Prosody with SASL2 and tokens",
        (Kind::ProsodyModules, Tls::Direct) => "Prosody with SASL2 and tokens, by direct TLS",
        (Kind::Ejabberd, _) => "ejabberd",
    }
}

fn row(what: &str, reach: &str, outcome: Outcome) -> Row {
    let (value, verdict, note) = match outcome {
        Ok((value, is_met, note)) => (value, is_met.into(), note),
        Err(reason) => ("failed".into(), Verdict::Failed, reason),
    };
    Row { what: what.into(), value, reach: reach.into(), verdict, note }
}

/// A row of which nothing is expected, but that it can be measured.
fn informational(what: &str, outcome: Outcome) -> Row {
    let mut row = row(what, "-", outcome);
    if row.verdict != Verdict::Failed {
        row.verdict = Verdict::Informational;
    }
    row
}

/// MB/s, with the spread.
fn rate(spread: Spread) -> String {
    in_units(spread, 1e6, "MB/s")
}

/// With the spread.
fn milliseconds(spread: Spread) -> String {
    in_units(spread, 1e-3, "ms")
}

fn in_units(spread: Spread, size: f64, unit: &str) -> String {
    let [median, least, most] = [spread.median, spread.least, spread.most].map(|value| value / size);
    format!("{median:.2} {unit} ({least:.2} to {most:.2})")
}

/// The best of what starts so, and the rest of its name. All of it must have been measured: the best might be missing.
fn best<'a>(samples: &'a Samples, start: &'a str) -> Result<(&'a str, Spread), String> {
    let best = samples.below(start)?.into_iter().max_by(|a, b| a.1.median.total_cmp(&b.1.median));
    best.ok_or_else(|| samples.get(start).err().unwrap_or_default())
}

/// Against slixmpp as it sends by itself. Many calls of its `send` at a time are only noted: nothing in it does that.
fn slixmpp(s: &Samples, which: &str) -> Outcome {
    let ours = s.get("prosody.secure.1")?;
    let name = format!("prosody.{which}");
    let start = format!("{name}.1.");
    let (block, peer) = best(s, &start).map_err(|_| s.get(&name).err().unwrap_or_default())?;
    let ratio = ours.median / peer.median;
    let mut note = format!("{}; slixmpp {}, blocks of {block}", rate(ours), rate(peer));
    if let Ok((name, pushed)) = best(s, &format!("{name}.16.")) {
        note += &format!("; 16 sends of its at a time: {}, blocks of {name}", rate(pushed));
    }
    Ok((format!("{ratio:.2}"), ratio >= 2.5, note))
}

/// `client`: `raw`, or `aligned` for one whose records Prosody reads without a rest.
fn raw(s: &Samples, client: &str, pairs: usize) -> Outcome {
    let ours = s.get(&format!("prosody.secure.{pairs}"))?;
    let start = format!("prosody.{client}.{pairs}.");
    let (block, ceiling) = best(s, &start)?;
    let ratio = ours.median / ceiling.median;
    Ok((
        format!("{ratio:.2}"),
        ratio >= 0.7,
        format!("{}; raw {}, payload {block}", rate(ours), rate(ceiling)),
    ))
}

fn ejabberd(s: &Samples) -> Outcome {
    let ours = s.get("ejabberd.secure.1")?;
    let ceiling = s.get("ejabberd.raw.1.49152")?;
    let ratio = ours.median / ceiling.median;
    let mut note = format!("{}; raw {}", rate(ours), rate(ceiling));
    if let Ok(raw) = s.get("ejabberd.raw.1.24576") {
        note += &format!("; raw stanzas of 24 KiB {}", rate(raw));
    }
    Ok((format!("{ratio:.2}"), ratio >= 0.4, note))
}

/// On a machine that is faster or slower than the first one, in proportion to the raw stanzas.
fn ejabberd_floor(s: &Samples) -> Outcome {
    let ours = s.get("ejabberd.secure.1")?.median / 1e6;
    let raw = s.get("ejabberd.raw.1.49152")?.median / 1e6;
    let floor = 40.0 * raw / 113.0;
    Ok((
        format!("{ours:.1} MB/s"),
        ours >= floor,
        format!("raw stanzas of 48 KiB carry {raw:.1} MB/s here, so it is >= {floor:.1} MB/s here"),
    ))
}

fn classic(s: &Samples) -> Outcome {
    let ours = s.get("prosody.classic.1")?;
    let peer = best(s, "prosody.slixmpp.1.").map_or_else(|_| "not measured".into(), |peer| rate(peer.1));
    let value = format!("{:.2} MB/s", ours.median / 1e6);
    Ok((value, ours.median >= 4e6, format!("{}; slixmpp {peer}", rate(ours))))
}

fn limited(s: &Samples, server: &str, limit: f64, accounts: usize) -> Outcome {
    let got = |accounts| Ok::<_, String>(s.get(&format!("limited.{server}.{accounts}"))?.median);
    let rate = got(accounts)?;
    let share = rate / (limit * accounts as f64);
    let linear = rate / (got(1)? * accounts as f64);
    let is_linear = accounts != ACCOUNTS[3] || server != "prosody" || linear >= 0.95;
    let note = format!("{:.2} kB/s; {:.3} of one account's rate times {accounts}", rate / 1e3, linear);
    Ok((format!("{share:.3}"), share >= 0.70 && is_linear, note))
}

/// So many logins of one account, against as many times what one carries.
fn sessions_of_one(s: &Samples, sessions: u8) -> Outcome {
    let [rate, one] = [sessions, 1].map(|n| s.get(&format!("sessions.prosody.{n}")));
    let (rate, one) = (rate?.median, one?.median);
    let times = rate / one;
    let is_linear = (times / f64::from(sessions) - 1.0).abs() <= 0.03;
    Ok((format!("{times:.2} times"), is_linear, format!("{:.2} kB/s", rate / 1e3)))
}

/// No share is asked for there.
fn limited_ejabberd(s: &Samples, accounts: usize) -> Outcome {
    let (value, is_met, mut note) = limited(s, "ejabberd", 3000.0, accounts)?;
    if accounts == ACCOUNTS[0] {
        note +=
            "; a block of 4 KiB would take 2 s there, and of 1 KiB base64 and the stanza around leave 0.65";
    }
    Ok((value, is_met, note))
}

/// The median, against the raw IQ's. What raw stanzas take is the least that any program could.
fn cell(s: &Samples, server: &str, how: &str) -> Outcome {
    let of = |what| s.get(&format!("{server}.{how}{what}.p50"));
    let [cell, raw, ping] = [of("cell")?, of("raw_cell")?, of("ping")?];
    let [ratio, least] = [cell, raw].map(|time| time.median / ping.median);
    let times = format!("{}; IQ {}", milliseconds(cell), milliseconds(ping));
    Ok((format!("{ratio:.2}"), ratio <= 2.0, format!("{times}; without us, raw stanzas {least:.2} times")))
}

/// The slowest of a hundred cells, against the median of the raw IQ. Where even raw stanzas are as slow now and then, it is the
/// server that pauses.
fn slow_cell(s: &Samples, server: &str) -> Row {
    let most = 5.0;
    let ratios = || {
        let of = |what: &str| s.get(&format!("{server}.{what}"));
        let [cell, raw, slow_ping, ping] =
            [of("cell.p99")?, of("raw_cell.p99")?, of("ping.p99")?, of("ping.p50")?];
        let [ours, raw, slow_ping] = [cell, raw, slow_ping].map(|time| time.median / ping.median);
        let without =
            format!("without us, raw stanzas {raw:.1} times and the IQ itself {slow_ping:.1} times");
        Ok((ours, raw, format!("{}; {without}", milliseconds(cell))))
    };
    let judged: Result<_, String> = ratios();
    let is_forbidden = judged.as_ref().is_ok_and(|(ours, raw, _)| *ours > most && *raw > most);
    let outcome = judged.map(|(ours, _, note)| (format!("{ours:.2}"), ours <= most, note));
    let mut row = row("p99, against the IQ's p50", "<= 5 times", outcome);
    if is_forbidden {
        row.verdict = Verdict::Forbidden;
    }
    row
}

/// Without us: what the server and the system alone take.
fn raw_cell(s: &Samples, server: &str) -> Outcome {
    let [cell, raw, ping] = ["cell", "raw_cell", "ping"].map(|what| s.get(&format!("{server}.{what}.p50")));
    let [cell, raw, ping] = [cell?.median, raw?.median, ping?.median];
    let note = format!("those take {:.2} ms, {:.2} times the IQ", raw * 1e3, raw / ping);
    Ok((format!("{:.2}", cell / raw), true, note))
}

/// So many cells of a hundred take no longer than this, beside a transfer at a server with limits. `most` is in seconds.
fn loaded_cell(s: &Samples, name: &str, share: f64, most: f64) -> Outcome {
    let times = format!("{name}.cell.times");
    let Spread { most: slowest, .. } = s.get(&times)?;
    let times = sorted(s.of(&times));
    let time = quantile(&times, share);
    let note =
        format!("{} cells, p90 {:.2} s, the slowest {slowest:.2} s", times.len(), quantile(&times, 0.9));
    Ok((format!("{time:.2} s"), time <= most, note))
}

fn loaded_bulk(s: &Samples, name: &str) -> Outcome {
    let of = |what| s.get(&format!("{name}.{what}"));
    of("cell.times")?;
    let [alone, loaded] = [of("bulk_alone")?.median, of("bulk")?.median];
    let Spread { median, least, most } = of("kept")?;
    let rates = format!("{:.2} kB/s, alone {:.2} kB/s", loaded / 1e3, alone / 1e3);
    let note = format!("{least:.2} to {most:.2}; {rates}; a cell each 2 to 3 s");
    Ok((format!("{median:.2}"), median >= 0.9, note))
}

/// So many cells of a hundred take no longer than this, beside a transfer without limits. `most` is in milliseconds.
fn beside(s: &Samples, server: &str, share: f64, most: f64) -> Outcome {
    let name = format!("beside.{server}.cell.times");
    let Spread { most: slowest, .. } = s.get(&name)?;
    let times = sorted(s.of(&name));
    let time = quantile(&times, share) * 1e3;
    let note =
        format!("{} cells, at least 20 to 30 ms apart, the slowest {:.1} ms", times.len(), slowest * 1e3);
    Ok((format!("{time:.2} ms"), time <= most, note))
}

fn beside_bulk(s: &Samples, server: &str) -> Outcome {
    let of = |what: &str| s.get(&format!("beside.{server}.{what}"));
    of("cell.times")?;
    let Spread { median, least, most } = of("kept")?;
    let note = format!("{least:.2} to {most:.2}; {}, alone {}", rate(of("bulk")?), rate(of("bulk_alone")?));
    Ok((format!("{median:.2}"), median >= 0.9, note))
}

/// What tor does without a transport is noted: neither can be faster.
fn tor(s: &Samples, server: &str) -> Outcome {
    let [ours, obfs4] = [s.get(&format!("tor.{server}"))?, s.get("tor.obfs4")?];
    let ratio = ours.median / obfs4.median;
    let plain = s.get("tor.plain").map_or_else(|_| "not measured".into(), rate);
    let note = format!("{}; obfs4 {}; without a transport {plain}", rate(ours), rate(obfs4));
    Ok((format!("{ratio:.2}"), ratio >= 0.9, note))
}

/// Of the half with more.
fn wire(s: &Samples, name: &str, most: f64) -> Outcome {
    let serve = s.get(&format!("wire.{name}.serve"))?.median;
    let forward = s.get(&format!("wire.{name}.forward"))?.median;
    let value = serve.max(forward);
    Ok((
        format!("{value:.3}"),
        value <= most,
        format!("{serve:.3} at the sender, {forward:.3} at the receiver"),
    ))
}

fn streams(s: &Samples) -> Outcome {
    let memory = s.get("streams.memory")?.median / 1e3;
    Ok((format!("{memory:.1} KB"), memory <= 32.0, "growth of the larger half's resident memory".into()))
}

fn leftovers(s: &Samples) -> Outcome {
    left_by(s, "streams")
}

/// The sessions are counted among the streams' memory.
fn crowd(s: &Samples) -> Outcome {
    let [stream, session] = [s.get("crowd.stream")?, s.get("crowd.session")?].map(|size| size.median / 1e3);
    let note = format!("its share of a session included; a session with one stream {session:.0} KB");
    Ok((format!("{stream:.1} KB"), stream <= 32.0, note))
}

fn crowd_leftovers(s: &Samples) -> Outcome {
    left_by(s, "crowd")
}

/// What so many streams have left behind.
fn left_by(s: &Samples, whose: &str) -> Outcome {
    let number = |what: &str| Ok::<_, String>(s.get(&format!("{whose}.{what}"))?.median);
    let served = number("served")?;
    let (files, threads) = (number("files_left")?, number("threads_left")?);
    let is_clean = served == STREAMS as f64 && files <= 0.0 && threads <= 0.0;
    let note = format!("{} files and {} threads more than before", files.max(0.0), threads.max(0.0));
    Ok((format!("{served} served"), is_clean, note))
}

fn start(s: &Samples) -> Outcome {
    let time = s.get("start")?;
    let [median, least, most] = [time.median, time.least, time.most].map(|time| time * 1e3);
    Ok((format!("{median:.1} ms"), median <= 50.0, format!("{least:.1} to {most:.1} ms")))
}

fn idle(s: &Samples) -> Outcome {
    let percent = s.get("idle.cpu")?.median * 100.0;
    Ok((format!("{percent:.3} %"), percent <= 0.2, "of the busier half, in 30 s".into()))
}

fn size(s: &Samples) -> Outcome {
    let size = s.get("size")?.median / 1e6;
    Ok((format!("{size:.1} MB"), size <= 10.0, String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_cell_is_the_servers_fault_where_raw_stanzas_are_as_slow() {
        for (ours, raw, verdict) in
            [(2.4, 3.0, Verdict::Met), (2.6, 2.4, Verdict::NotMet), (2.6, 2.6, Verdict::Forbidden)]
        {
            let mut samples = Samples::default();
            for (name, time) in
                [("cell.p99", ours), ("raw_cell.p99", raw), ("ping.p99", 2.0), ("ping.p50", 0.5)]
            {
                samples.add(format!("x.{name}"), time);
            }
            assert_eq!(slow_cell(&samples, "x").verdict, verdict, "{ours} {raw}");
        }
    }
}
