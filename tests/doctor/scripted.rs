//! Servers of the test's own, without TLS and on this machine, for what real ones do not do.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::examination::{Call, Report};

/// What a server says.
#[derive(Clone, Copy)]
struct Script {
    /// How its clock differs from that of this machine, in seconds; none does not tell the time.
    clock: Option<i64>,
    mechanism: &'static str,
    /// What it answers to a login.
    login: &'static str,
}

const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";

const SOUND: Script = Script { clock: Some(0), mechanism: "ANONYMOUS", login: SUCCESS };

impl Script {
    fn start(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Whoever is done hangs up.
                thread::spawn(move || self.serve(stream.unwrap()));
            }
        });
        address
    }

    fn serve(self, mut stream: TcpStream) -> Option<()> {
        let (mut heard, mut is_in) = (String::new(), false);
        let mut buffer = [0; 4096];
        loop {
            let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
            heard += &String::from_utf8_lossy(&buffer[..length]);
            while let Some(answer) = self.answer(&mut heard, &mut is_in) {
                stream.write_all(answer.as_bytes()).ok()?;
            }
        }
    }

    /// The answer to the first thing that was said, which is taken.
    fn answer(self, heard: &mut String, is_in: &mut bool) -> Option<String> {
        if let Some(at) = heard.find("<stream:stream") {
            let length = heard[at..].find('>')? + 1;
            heard.drain(..at + length);
            let inside = if *is_in {
                "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>".to_owned()
            } else {
                format!(
                    "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>{}</mechanism></mechanisms>",
                    self.mechanism
                )
            };
            return Some(format!(
                "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='1' \
                 from='mock.example' version='1.0'><stream:features>{inside}</stream:features>"
            ));
        }
        if let Some(at) = heard.find("<auth") {
            let length = heard[at..]
                .find("/>")
                .map(|end| end + 2)
                .or_else(|| Some(heard[at..].find("</auth>")? + 7))?;
            heard.drain(..at + length);
            *is_in = self.login == SUCCESS;
            return Some(self.login.to_owned());
        }
        let at = heard.find("<iq")?;
        let length = heard[at..].find("</iq>")? + 5;
        let iq = heard[at..at + length].to_owned();
        heard.drain(..at + length);
        let id = ["id='", "id=\""].iter().find_map(|quoted| {
            let start = iq.find(quoted)? + quoted.len();
            let end = iq[start..].find(['\'', '"'])?;
            Some(iq[start..start + end].to_owned())
        })?;
        Some(self.answer_to(&iq, &id))
    }

    fn answer_to(self, iq: &str, id: &str) -> String {
        let refused =
            "<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";
        if iq.contains("xmpp-bind") {
            let jid = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>guest@mock.example/r</jid></bind>";
            return format!("<iq type='result' id='{id}'>{jid}</iq>");
        }
        match self.clock.filter(|_| iq.contains("urn:xmpp:time")) {
            Some(difference) => format!(
                "<iq type='result' id='{id}' from='mock.example' to='guest@mock.example/r'><time xmlns='urn:xmpp:time'><tzo>+00:00</tzo>\
                 <utc>{}</utc></time></iq>",
                utc(difference)
            ),
            None => format!(
                "<iq type='error' id='{id}' from='mock.example' to='guest@mock.example/r'>{refused}</iq>"
            ),
        }
    }

    fn report(self) -> Report {
        let server = self.start();
        let config = format!("[[account]]\njid = \"mock.example\"\nserver = \"{server}\"\ntls = \"none\"\n");
        Call::with(&config).report()
    }
}

/// The time so many seconds from now, as XEP-0082 has it. Days are counted as Howard Hinnant's `civil_from_days` does.
fn utc(difference: i64) -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs())
        .unwrap();
    let seconds = now + difference;
    let (days, rest) = (seconds.div_euclid(86_400) + 719_468, seconds.rem_euclid(86_400));
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

#[test]
fn a_clock_that_is_right_is_a_tick() {
    let report = SOUND.report();
    assert_eq!((report.at("clock")["ok"].as_bool(), report.status), (Some(true), 0), "{report:#?}");
    assert_eq!(report.at("TLS")["ok"], serde_json::Value::Null, "there is none, and none is needed");
}

#[test]
fn a_clock_that_is_behind_is_a_cross_that_says_by_how_much() {
    let report = Script { clock: Some(15 * 60 + 20), ..SOUND }.report();
    let (stage, sentence) = report.cross();
    assert_eq!((stage, report.status), ("clock", 1));
    assert!(sentence.contains("is 15 minutes behind the chat server's"), "{sentence}");
}

#[test]
fn a_clock_that_is_ahead_is_a_cross_that_says_by_how_much() {
    let report = Script { clock: Some(-3 * 3600 - 60), ..SOUND }.report();
    assert!(report.cross().1.contains("is 3 hours ahead of the chat server's"), "{report:#?}");
}

#[test]
fn a_server_that_tells_no_time_is_no_fault() {
    let report = Script { clock: None, ..SOUND }.report();
    assert_eq!((report.at("clock")["ok"].as_bool(), report.status), (None, 0), "{report:#?}");
    assert!(report.at("clock")["sentence"].as_str().unwrap().contains("does not tell its time"));
}

#[test]
fn a_server_that_lets_nobody_in_without_an_account_is_said_to_do_so() {
    Script { mechanism: "PLAIN", ..SOUND }.report().blames("login", "lets nobody in without an account");
}

#[test]
fn a_server_that_has_a_fault_of_its_own_is_named_by_what_it_says() {
    let login = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><temporary-auth-failure/></failure>";
    Script { login, ..SOUND }.report().blames("login", "it cannot check passwords at the moment");
}
