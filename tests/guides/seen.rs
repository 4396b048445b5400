//! What people see: each line that a document shows as the log's or the doctor's is written by a real run.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use hexchat_lab::dns::Record;
use hexchat_lab::process::Spawn;
use hexchat_lab::server::{DOMAIN, Upload};
use hexchat_lab::tor::Tor;
use hexchat_lab::{ChatServer, DnsServer, Door, Halves, Kind, Rate, Rules, TorNetwork};

use crate::blocks::{self, Block};
use crate::{PATIENCE, executable, root, write_private};

const UPLOAD: Upload = Upload { max_file: 10 << 20, daily: 100 << 20 };

/// A chat server, a bridge under tor, and those who use it.
struct World {
    chat: ChatServer,
    network: TorNetwork,
    said: Vec<String>,
}

impl World {
    fn start() -> Self {
        let rules = Rules { upload: Some(UPLOAD), door: Door::Open, ..Rules::default() };
        let chat = ChatServer::start_with(Kind::Prosody, Rate::Stock, &["bridge", "alice"], rules).unwrap();
        Self { chat, network: TorNetwork::start().unwrap(), said: Vec::new() }
    }

    /// A bridge as the operator's guide has it.
    fn bridge(&self, program: &Path) -> Tor {
        let halves = self.halves(program);
        let account = self.chat.account_section("bridge", self.chat.address());
        let config = halves.write_config("bridge", &(account + "[lanes]\nproxy = \"none\"\n")).unwrap();
        let plugin =
            format!("ExtORPort auto\nServerTransportPlugin hexchat exec {}", halves.command(&config));
        self.network.bridge(&plugin).unwrap()
    }

    fn halves<'a>(&'a self, executable: &'a Path) -> Halves<'a> {
        Halves { network: &self.network, chat: &self.chat, executable }
    }

    /// A user's tor, until it has bootstrapped and says what its server offers; then its state is left behind.
    fn client(&mut self, program: &Path, bridge: &Tor, login: &str, last_words: &str) -> Tor {
        let torrc = self.halves(program).client(bridge, login).unwrap();
        let mut client = self.network.client(&torrc).unwrap();
        for words in ["Bootstrapped 100%", last_words] {
            client.process().wait_for_line(|line| line.contains(words), PATIENCE).unwrap();
        }
        client.process_mut().stop();
        self.said.extend(client.process().lines());
        client
    }

    /// Runs the doctor as a user does, with a bridge line and the server found by SRV records: once with the right password, and once not.
    fn examine(&mut self, program: &Path, bridge: &Tor) {
        let port = self.chat.tls_address().port();
        let host = Record::A(Ipv4Addr::LOCALHOST);
        let records = [
            ("_xmpps-client._tcp.chat.example", Record::srv(0, port, "host7.hosting.example")),
            ("host7.hosting.example", host),
        ];
        let (dns, folder) = (DnsServer::start(&records).unwrap(), tempfile::tempdir().unwrap());
        let program = dns.program(program, folder.path()).unwrap();
        let config = format!("[client]\nca_file = \"{}\"\n", self.chat.ca_file().display());
        let config = write_private(folder.path(), "hexchat.toml", &config);
        let line = fs::read_to_string(bridge.data().join("pt_state/hexchat_bridgeline.txt")).unwrap();
        let line = line.lines().find(|line| line.starts_with("Bridge ")).unwrap();
        for password in [ChatServer::password("alice"), ChatServer::password("nobody")] {
            let line = format!("{line} login={}\n", Halves::login("alice", &password));
            let line = write_private(folder.path(), "bridge.txt", &line);
            let args = [
                "doctor",
                "--config",
                config.to_str().unwrap(),
                "--bridge-line-file",
                line.to_str().unwrap(),
            ];
            let state = folder.path().join("state");
            self.run(&program, &[&args[..], &["--state", state.to_str().unwrap()]].concat());
        }
    }

    /// Runs a command to its end.
    fn run(&mut self, program: &Path, args: &[&str]) {
        let mut process = Spawn::new("hexchat-pt", program).args(args).start().unwrap();
        process.wait(PATIENCE).unwrap();
        process.wait_for_end_of_output(PATIENCE).unwrap();
        self.said.extend(process.lines());
    }
}

/// Everything that is said in the runs of which the documents tell.
fn all_that_is_said() -> Vec<String> {
    let (mut world, program) = (World::start(), executable());
    let bridge = world.bridge(&program);
    world.client(&program, &bridge, &Halves::login("alice", &ChatServer::password("alice")), "takes files");
    let newcomer = world.client(&program, &bridge, &format!("new@{DOMAIN}"), "takes files");

    world.examine(&program, &bridge);
    let state = newcomer.data().join("pt_state");
    let client = world.halves(&program).config_file("client");
    let config = fs::read_to_string(&client).unwrap();
    let config = config.replace("[client]\n", &format!("[client]\nserver = \"{}\"\n", world.chat.address()));
    let client = world.halves(&program).write_config("client", &config).unwrap();
    let (client, state) = (client.to_str().unwrap(), state.to_str().unwrap());
    world.run(&program, &["forget", "new@chat.example", "--config", client, "--state", state]);
    world.said.extend(bridge.process().lines());
    world.said
}

/// A line without what differs from run to run: every number is 0.
fn without_digits(line: &str) -> String {
    let mut zeros: Vec<char> =
        line.chars().map(|character| if character.is_ascii_digit() { '0' } else { character }).collect();
    zeros.dedup_by(|one, other| (*one, *other) == ('0', '0'));
    zeros.into_iter().collect()
}

/// Whether the parts of `shown` between its `…` stand in this line, in their order.
fn is_shown(shown: &str, line: &str) -> bool {
    let mut rest = line;
    shown.split('…').all(|part| match rest.split_once(part) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// The lines of the doctor in the picture of its report.
fn drawn() -> Vec<(String, String)> {
    const PICTURE: &str = "doc/pictures/doctor.svg";
    let picture = fs::read_to_string(root().join(PICTURE)).unwrap();
    let lines = picture.split(['>', '<']).filter(|text| text.starts_with(['✓', '✗', '·']));
    let lines: Vec<_> = lines.map(|line| (PICTURE.to_owned(), line.to_owned())).collect();
    assert!(lines.len() > 5, "{picture}");
    lines
}

/// What is in blocks of this language, line by line, with the place of each.
fn lines_in(language: &str) -> Vec<(String, String)> {
    let blocks = blocks::in_language(language);
    let lines = |block: &Block| -> Vec<_> {
        block.text.lines().map(|line| (block.place(), line.to_owned())).collect()
    };
    blocks.iter().flat_map(lines).filter(|(_, line)| !line.trim().is_empty()).collect()
}

#[test]
fn every_line_that_a_document_shows_is_written_by_a_real_run() {
    let real = all_that_is_said();
    let said: Vec<_> = real.iter().map(|line| without_digits(line)).collect();
    let is_said = |line: &str| said.iter().any(|said| is_shown(&without_digits(line.trim()), said));
    let missing: Vec<_> =
        lines_in("log").into_iter().chain(drawn()).filter(|(_, line)| !is_said(line)).collect();
    assert!(missing.is_empty(), "nothing says {missing:#?}; what was said:\n{}", real.join("\n"));
}

/// The program's own sources in one text, in which a sentence that is broken into lines is whole.
fn sources(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.is_dir() {
        true => sources(&path),
        false => fs::read_to_string(path).unwrap().split("\\\n").map(str::trim_start).collect(),
    });
    texts.collect()
}

/// No test waits for six hours: what a unit test sees beside the code is what documents show.
#[test]
fn the_heartbeat_in_documents_is_that_of_its_unit_test() {
    let amounts = |line: &str| without_digits(line).replace("kB", "MB");
    let sources = amounts(&sources(&root().join("src/bridge")));
    for (place, line) in lines_in("heartbeat") {
        assert!(sources.contains(&amounts(&line)), "{place}: {}", amounts(&line));
    }
}

/// Tables that tell what to do where the program says something: their first column.
#[test]
fn what_tables_say_that_is_said_stands_in_the_program() {
    let sources = sources(&root().join("src"));
    let mut count = 0;
    for (document, text) in blocks::texts() {
        let rows = text.lines().skip_while(|line| !line.starts_with("| what is said |")).skip(2);
        for row in rows.take_while(|line| line.starts_with('|')) {
            let cell = row.split('|').nth(1).unwrap();
            for words in cell.split(['…', ';']).map(str::trim).filter(|words| !words.is_empty()) {
                assert!(sources.contains(words), "{document}: nothing says {words:?}");
                count += 1;
            }
        }
    }
    assert!(count > 12, "only {count} sentences were found");
}

#[test]
fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
    assert!(is_shown("is … as …", "it is online as alice"));
    assert!(!is_shown("is … as …", "it is online"));
    assert!(!is_shown("as … is …", "it is online as alice"));
    assert_eq!(without_digits("in 4.5 s"), without_digits("in 12.75 s"));
}
