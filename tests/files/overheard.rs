//! Files as the operator of the client's server sees them: what passes on all its connections after decryption, requests by HTTP with their
//! bodies, and the files that it keeps. Client and bridge have accounts at two servers, and the client is alone on its machine.

mod control;
mod heads;
mod randomness;
mod recording;
mod searching;
mod text;

use std::collections::BTreeSet;

use heads::Request;
use recording::{Log, Secrets, World};
use searching::Traces;

/// More than stanzas carry before files begin: 100 seconds at a stock Prosody's 10 kB/s.
const BULK: usize = 1_000_000;

/// How much of it has to go by files, each way, for this to be a test of files.
const BY_FILES: usize = BULK / 2;

/// How many lines the plaintext has before it begins anew, so that what is encrypted alike each time shows.
const LINES: usize = 2_000;

/// About how large files are, in bytes: each is between 7/8 of one of these and all of it.
const BUCKETS: [usize; 4] = [16 << 10, 64 << 10, 256 << 10, 1 << 20];

/// What the lane calls things, what Tor does, and what the program is made with. (`slot`, `file` and `request` are XEP-0363's.)
const OURS: [&str; 21] = [
    "tor",
    "arti",
    "onion",
    "obfs",
    "bridge",
    "bridgeline",
    "pluggable",
    "transport",
    "tunnel",
    "proxy",
    "relay",
    "lane",
    "lanes",
    "bulk",
    "packet",
    "waiting",
    "stored",
    "file_end",
    "rust",
    "rustls",
    "tokio",
];

/// The hosts in the names of features and namespaces, and in those by which clients and servers say what they are.
const IN_NAMES: [&str; 4] = ["etherx.jabber.org", "jabber.org", "slixmpp.com", "prosody.im"];

/// What the applications say to each other: no two lines are alike, until it begins anew.
fn plaintext(length: usize) -> Vec<u8> {
    let line = |number| format!("{number:06}: a line that nobody but the two applications should see\n");
    let lines: String = (0..LINES).map(line).collect();
    lines.bytes().cycle().take(length).collect()
}

/// What nobody at the client's server is to read.
fn traces(secrets: &Secrets) -> Traces {
    let mut traces = Traces::default();
    traces.add("the plaintext", &plaintext(BULK));
    traces.add("the bridge's key", &secrets.key);
    traces.add("the bridge's key, as it is written", secrets.written_key.as_bytes());
    traces.add("where the bridge connects to", secrets.target.as_bytes());
    traces.add("our name", b"hexchat");
    traces
}

#[test]
fn all_that_the_clients_server_sees_of_files_shows_neither_plaintext_nor_our_names_nor_other_hosts() {
    let world = World::start();
    world.download(&plaintext(BULK));
    world.upload(&plaintext(BULK));
    let (log, secrets) = world.end();
    both_ways_went_by_files(&log);
    assert_eq!(traces(&secrets).found_in(&log.everything()), BTreeSet::new());
    assert_eq!(text::words_in(&log.text(), &OURS), BTreeSet::new());
    all_hosts_are_the_servers_own_or_in_the_bridges_address(&log);
    requests_are_those_of_slixmpp(&log);
    files_are_random_to_the_last_byte(&log.files);
    assert_eq!(log.reached_by_client(), log.own_places, "the client connects to its own server alone");
    assert!(!log.text_of_servers().contains("upload"), "the bridge's server hears of no files");
}

/// Each file was asked for, of its size, and put by one half, and the other has fetched most of the plaintext.
fn both_ways_went_by_files(log: &Log) {
    let (requests, text) = (log.requests(), log.text());
    let urls = text::attributes(&text, "url");
    let asked: Vec<usize> = log.slot_requests().iter().map(|request| request.size).collect();
    for is_client in [true, false] {
        let put: Vec<_> = requests.iter().filter(|it| it.is_put() && it.is_client == is_client).collect();
        for request in &put {
            assert!(urls.iter().any(|url| url.ends_with(&request.path)), "{} is no slot", request.path);
        }
        let is_fetched = |put: &Request| {
            requests.iter().any(|it| !it.is_put() && it.is_client != is_client && it.path == put.path)
        };
        let fetched: Vec<_> = put.iter().filter(|put| is_fetched(put)).collect();
        let bytes: usize = fetched.iter().map(|request| request.body.len()).sum();
        assert!(bytes > BY_FILES, "{bytes} bytes in {} files", fetched.len());
        assert!(fetched.iter().all(|request| log.files.contains(&request.body)), "a file that is not kept");
    }
    for file in &log.files {
        assert!(requests.iter().any(|request| request.body == *file), "a file that nobody has put");
        assert!(asked.contains(&file.len()), "{} bytes are what nobody has asked for", file.len());
    }
}

fn all_hosts_are_the_servers_own_or_in_the_bridges_address(log: &Log) {
    let text = log.text();
    let own = [log.domain.as_str(), log.upload_domain.as_str()];
    for name in ["to", "from", "jid"] {
        for jid in text::attributes(&text, name) {
            let bare = jid.split_once('/').map_or(jid, |(bare, _)| bare);
            let (local, domain) = bare.split_once('@').unwrap_or(("", bare));
            let is_bridges = domain == log.bridges_domain && ["", "bob"].contains(&local);
            assert!(own.contains(&domain) || is_bridges, "{name}={jid}");
        }
    }
    for url in text::attributes(&text, "url") {
        assert!(url.starts_with(&format!("https://{}/", log.upload_authority)), "{url}");
    }
    let expected = own.into_iter().chain([log.bridges_domain.as_str()]);
    let mut hosts = text::hosts_in(&text);
    for host in expected {
        assert!(hosts.remove(host), "{host} is in the log");
    }
    hosts.retain(|host| !IN_NAMES.contains(&host.as_str()) && !is_file_name(host));
    assert_eq!(hosts, BTreeSet::new());
}

/// Whether it is one as slixmpp gives it to what it has encrypted: 24 hexadecimal digits, and the extension of a picture.
fn is_file_name(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.strip_suffix(".jpg").is_some_and(|stem| stem.len() == 24 && stem.bytes().all(is_digit))
}

/// As `doc/lanes.md` has them: a plugin's, and those of the library that it uses.
fn requests_are_those_of_slixmpp(log: &Log) {
    for request in log.requests() {
        let names: Vec<_> = request.fields.iter().map(|(name, _)| name.as_str()).collect();
        let agent = if request.method == "PUT" {
            let length = request.body.len().to_string();
            assert_eq!(
                (request.field("Content-Length"), request.field("Content-Type")),
                (&*length, "image/jpeg")
            );
            assert!(request.field("Authorization").starts_with("Bearer "));
            let expected = ["Host", "User-Agent", "Content-Length", "Content-Type", "Authorization"];
            assert_eq!(names, [&expected[..], &["Accept", "Accept-Encoding"]].concat());
            ("PUT", "slixmpp 1.8.3")
        } else {
            assert_eq!(names, ["Host", "Accept", "Accept-Encoding", "User-Agent"]);
            ("GET", "Python/3.11 aiohttp/3.8.4")
        };
        assert_eq!((request.method.as_str(), request.field("User-Agent")), agent);
        assert_eq!(request.field("Host"), log.upload_authority);
        assert_eq!((request.field("Accept"), request.field("Accept-Encoding")), ("*/*", "gzip, deflate"));
        let name = request.path.rsplit('/').next().unwrap_or_default();
        assert!(is_file_name(name), "{}", request.path);
    }
    for connection in log.connections() {
        let agents: BTreeSet<_> = connection.iter().map(|request| request.field("User-Agent")).collect();
        assert!(agents.len() < 2, "one connection is used by {agents:?}");
    }
    for request in log.slot_requests() {
        assert!(is_file_name(&request.filename) && request.content_type == "image/jpeg", "{request:?}");
    }
}

fn files_are_random_to_the_last_byte(files: &[Vec<u8>]) {
    for file in files {
        let is_in = |bucket: &usize| (bucket * 7 / 8..=*bucket).contains(&file.len());
        assert!(BUCKETS.iter().any(is_in), "{} bytes are of no bucket", file.len());
        assert!(randomness::is_random(file), "a file of {} bytes is not random", file.len());
    }
    assert!(!randomness::repeats(files), "a block of 16 bytes comes twice");
    assert!(!randomness::share_a_key(files), "two packets are encrypted alike");
    assert!(!randomness::are_alike_at_an_end(files), "files begin or end alike");
}
