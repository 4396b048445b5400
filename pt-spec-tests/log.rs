//! Lines of a child's log, read as strictly as the specification writes them.

use crate::child::{Child, PATIENCE};

/// Waits for a warning with this text in it, which must be well-formed.
pub(crate) fn warns(child: &Child, text: &str) -> String {
    let wanted = |line: &str| line.starts_with("LOG SEVERITY=warning ") && line.contains(text);
    let line = child.process.wait_for_line(wanted, PATIENCE).unwrap();
    message(&line);
    line
}

/// Waits for a warning or an error, likewise.
pub(crate) fn complains(child: &Child, text: &str) -> String {
    let severe = ["LOG SEVERITY=warning ", "LOG SEVERITY=error "];
    let wanted = |line: &str| severe.iter().any(|start| line.starts_with(start)) && line.contains(text);
    let line = child.process.wait_for_line(wanted, PATIENCE).unwrap();
    message(&line);
    line
}

/// The text of a `LOG` line: `LOG SEVERITY=word MESSAGE="text"`, or a text of one word without quotes.
///
/// # Panics
///
/// When the line is not well-formed.
pub(crate) fn message(line: &str) -> String {
    let rest = line.strip_prefix("LOG SEVERITY=").unwrap_or_else(|| panic!("{line}"));
    let (severity, message) = rest.split_once(" MESSAGE=").unwrap_or_else(|| panic!("{line}"));
    assert!(["error", "warning", "notice", "info", "debug"].contains(&severity), "{line}");
    assert!(line.chars().all(|c| !c.is_control() && c != char::REPLACEMENT_CHARACTER), "{line}");
    let Some(quoted) = message.strip_prefix('"') else {
        assert!(!message.is_empty() && !message.contains([' ', '"', '\\']), "{line}");
        return message.to_owned();
    };
    unquote(quoted).unwrap_or_else(|| panic!("{line}"))
}

/// What stands before the closing quote, which ends the line.
fn unquote(quoted: &str) -> Option<String> {
    let (mut text, mut chars) = (String::new(), quoted.chars());
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                escaped @ ('"' | '\\') => text.push(escaped),
                _ => return None,
            },
            plain => text.push(plain),
        }
    }
}
