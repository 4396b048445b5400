//! Properties of the lines that the library writes, against both parents: they read what was meant, whatever the text.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tor_pt::{Message, Severity, SmethodArgs, Status, Stdout, TransportName};

use crate::parents::{self, Asked, Pairs, arti, c_tor};

/// Pieces that have broken a line somewhere, among ordinary ones.
const PIECES: [&str; 22] = [
    "\n",
    "\r\n",
    "\0",
    "\\",
    "\"",
    "'",
    " ",
    "  ",
    "=",
    "\t",
    "\\0",
    "\\n",
    "\u{1b}[31m",
    "\u{2028}",
    "\u{202e}",
    "\u{7f}",
    "\u{85}",
    "\u{fffd}",
    "é",
    "CMETHODS DONE",
    "LOG",
    "x",
];

fn strange() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(prop::sample::select(&PIECES[..]), 0..30);
    prop_oneof![pieces.prop_map(|pieces| pieces.concat()), any::<String>()]
}

fn name() -> TransportName {
    "hexchat".parse().unwrap()
}

/// What a reader should see of a text: no more of it than there is room for, and a visible escape in place of what would
/// act on a line or a terminal.
fn visible(text: &str) -> String {
    let acts = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let shown = |c: char| if acts(c) { c.escape_default().to_string() } else { c.to_string() };
    text.trim_end().chars().take(1000).map(shown).collect()
}

fn pairs(pairs: &[(&str, String)]) -> Pairs {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
}

/// The message in the middle of a launch, as a parent that asked for us would get it.
fn is_read(message: &Message, server: bool) -> Result<(), String> {
    let asked = Asked { transports: vec!["hexchat".to_owned()], server, proxy: false };
    let done = if server { "SMETHODS DONE" } else { "CMETHODS DONE" };
    parents::read_all(&asked, format!("VERSION 1\n{message}\n{done}\n").as_bytes())
}

proptest! {
    #[test]
    fn row_31_both_parents_read_the_log_text_that_was_meant(text in strange()) {
        let text = format!("{text}.");
        let message = Message::log(Severity::Warning, text.clone());
        prop_assert_eq!(is_read(&message, false), Ok(()));
        let meant = pairs(&[("SEVERITY", "warning".to_owned()), ("MESSAGE", visible(&text))]);
        prop_assert_eq!(c_tor::log(&message.to_string()), Ok(meant.clone()));
        prop_assert_eq!(arti::log(&message.to_string()), Ok(meant));
    }

    #[test]
    fn row_33_both_parents_read_the_status_that_was_meant(a in strange(), b in strange()) {
        let message = Message::Status(Status::new(name(), "A", a.clone()).field("B", b.clone()));
        prop_assert_eq!(is_read(&message, true), Ok(()));
        let value = |text: &str| if text.trim().is_empty() { "-".to_owned() } else { visible(text.trim()) };
        let meant = pairs(&[("TRANSPORT", "hexchat".to_owned()), ("A", value(&a)), ("B", value(&b))]);
        prop_assert_eq!(c_tor::status(&message.to_string()), Ok(meant.clone()));
        prop_assert_eq!(arti::status(&message.to_string()), Ok(meant));
    }

    #[test]
    fn row_31_no_text_splits_an_error_line(text in strange()) {
        let alone = |message: Message, before: &str| {
            let asked = Asked { transports: vec!["hexchat".to_owned()], server: false, proxy: true };
            parents::read_all(&asked, format!("{before}{message}\n").as_bytes())
        };
        prop_assert_eq!(alone(Message::EnvError(text.clone()), ""), Ok(()));
        prop_assert_eq!(alone(Message::ProxyError(text.clone()), "VERSION 1\n"), Ok(()));
        prop_assert_eq!(is_read(&Message::CmethodError { transport: name(), text: text.clone() }, false), Ok(()));
        prop_assert_eq!(is_read(&Message::SmethodError { transport: name(), text }, true), Ok(()));
    }

    #[test]
    fn row_37_arti_reads_the_method_arguments_that_were_meant(
        meant in prop::collection::vec(("[^\\s\\p{Cc}]{1,8}", "[^\\s\\p{Cc}]{0,12}"), 1..5),
    ) {
        let mut args = SmethodArgs::default();
        for (key, value) in &meant {
            args.push(key, value).unwrap();
        }
        let message = Message::Smethod { transport: name(), addr: "127.0.0.1:1".parse().unwrap(), args };
        prop_assert_eq!(is_read(&message, true), Ok(()));
        let line = message.to_string();
        let words: Vec<_> = line.split(' ').collect();
        prop_assert_eq!(arti::smethod_args(words[3].strip_prefix("ARGS:").unwrap()), Ok(meant));
    }

    #[test]
    fn row_32_what_many_threads_say_at_once_is_whole_lines(texts in prop::collection::vec(strange(), 1..100)) {
        let written = Written::default();
        let stdout = Stdout::with_writer(written.clone()).unwrap();
        stdout.send(Message::Version);
        std::thread::scope(|scope| {
            for part in texts.chunks(25) {
                let stdout = &stdout;
                scope.spawn(move || part.iter().for_each(|text| stdout.log(Severity::Notice, format!("{text}."))));
            }
        });
        stdout.send(Message::CmethodsDone);
        prop_assert!(stdout.blocking_flush(Duration::from_secs(10)));
        let bytes = written.0.lock().unwrap().clone();
        let asked = Asked { transports: vec!["hexchat".to_owned()], server: false, proxy: false };
        prop_assert_eq!(parents::read_all(&asked, &bytes), Ok(()));
        prop_assert!(bytes.ends_with(b"CMETHODS DONE\n"));
        prop_assert!(bytes.split(|byte| *byte == b'\n').count() <= 64);
    }
}

/// Keeps what is written, in the small pieces in which a pipe takes it.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = &bytes[..bytes.len().min(7)];
        self.0.lock().unwrap().extend(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
