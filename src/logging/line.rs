//! Format of a log line: `message key=value …`, escaped and bounded.

use std::fmt::{self, Debug, Write};

use tracing::Event;
use tracing::field::{Field, Visit};

/// The longest line: 4 KiB, since what a peer sends must not fill a log.
const MAX_LINE: usize = 4096;

/// `message key=value …`, without control characters; a value with spaces is quoted.
pub(super) fn line_of(event: &Event<'_>) -> String {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let mut line = fields.message;
    line.push_str(if line.is_empty() { fields.rest.trim_start() } else { &fields.rest });
    truncate(&mut line);
    line
}

/// The fields seen so far.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn add(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            push_escaped(&mut self.message, value);
            return;
        }
        self.rest.push(' ');
        self.rest.push_str(field.name());
        self.rest.push('=');
        push_value(&mut self.rest, value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &bounded(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }
}

/// The text of a value, up to the length of a line.
fn bounded(value: &dyn Debug) -> String {
    let mut text = Bounded(String::new());
    // An error is the end of the room, or a value that cannot show itself.
    let _ = write!(text, "{value:?}");
    text.0
}

/// Takes text until it is full.
struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.push_str(text);
        if self.0.len() > MAX_LINE { Err(fmt::Error) } else { Ok(()) }
    }
}

fn push_value(line: &mut String, value: &str) {
    let is_quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    let needs_quotes = value.is_empty() || value.contains([' ', '"', '=']);
    if is_quoted || !needs_quotes {
        push_escaped(line, value);
    } else {
        line.push('"');
        push_escaped(line, &value.replace('\\', "\\\\").replace('"', "\\\""));
        line.push('"');
    }
}

/// Text without anything that ends a line, moves a cursor or turns the direction of reading.
fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars().take(MAX_LINE + 1) {
        if is_harmless(c) {
            line.push(c);
        } else {
            line.extend(c.escape_default());
        }
    }
}

fn is_harmless(c: char) -> bool {
    let turns_direction =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(c.is_control() || turns_direction || matches!(c, '\u{2028}' | '\u{2029}'))
}

fn truncate(line: &mut String) {
    if line.len() > MAX_LINE {
        let end = line.floor_char_boundary(MAX_LINE);
        line.truncate(end);
        line.push('…');
    }
}
