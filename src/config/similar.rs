//! Similar names: what somebody may have meant by a key that does not exist. Pure.

use super::keys::{ACCOUNT, ARGUMENTS, SECTIONS};

/// A name that differs by more than 2 letters is another one, and one of 4 letters at most if it differs by more than one.
const MOST_EDITS: usize = 2;
const SHORT: usize = 4;

/// What can be said of a key that does not exist where it stands. All texts are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Nothing.
    None,
    /// There is one that is spelled nearly so.
    Spelling(&'static str),
    /// It belongs elsewhere; the text says where.
    Elsewhere(&'static str),
}

/// What may have been meant by `key` in the section that is called `section` in errors and has the `known` keys.
pub(super) fn hint(section: &str, key: &str, known: &[&'static str]) -> Hint {
    if section == "[[account]]" && key == "psk" {
        return Hint::Elsewhere("[bridge], for a bridge of yours, or to [client], for one that you use");
    }
    if section == "[[account]]" && key == "login" {
        return Hint::Elsewhere("a bridge line or to [client]; here an account has a jid and a password");
    }
    if section.is_empty() && !SECTIONS.iter().any(|(name, _)| *name == key) {
        if ACCOUNT.contains(&key) {
            return Hint::Elsewhere(
                "a section, such as [[account]], which stands in a line of its own above it",
            );
        }
        if ARGUMENTS.contains(&key) {
            return Hint::Elsewhere(
                "a section, such as [client], which stands in a line of its own above it",
            );
        }
    }
    similar(key, known).map_or(Hint::None, Hint::Spelling)
}

/// The name that is spelled nearly as `key`.
pub(super) fn similar(key: &str, known: &[&'static str]) -> Option<&'static str> {
    let distance = |name: &&'static str| edits(key, name);
    let nearest = known.iter().copied().min_by_key(distance)?;
    let most = if key.len() > SHORT { MOST_EDITS } else { 1 };
    let is_near = distance(&nearest) <= most || nearest.starts_with(key) || key.starts_with(nearest);
    (is_near && key.len() > MOST_EDITS).then_some(nearest)
}

/// How many letters have to be added, left out, changed, or swapped with the next one.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<_>, Vec<_>) = (from.chars().collect(), to.chars().collect());
    let mut rows = vec![(0..=to.len()).collect::<Vec<_>>()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let changed = rows[i - 1][j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut least = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_keyboard_is_recognised_and_another_word_is_not() {
        for (key, meant) in [
            ("passwrod", Some("password")),
            ("passwd", Some("password")),
            ("servr", Some("server")),
            ("jdi", Some("jid")),
            ("hexagon", None),
            ("p/n", Some("pin")),
            ("xy", None),
            ("", None),
        ] {
            assert_eq!(similar(key, ACCOUNT), meant, "{key}");
        }
        assert_eq!(similar("acount", &["account", "client"]), Some("account"));
        assert_eq!(similar("clasic", &["classic", "psk"]), Some("classic"));
        assert_eq!(similar("passwort", &ARGUMENTS), None);
    }

    #[test]
    fn a_key_of_another_section_is_sent_there() {
        let is_elsewhere =
            |section, key, known: &[&'static str]| matches!(hint(section, key, known), Hint::Elsewhere(_));
        assert!(is_elsewhere("[[account]]", "psk", ACCOUNT));
        assert!(is_elsewhere("[[account]]", "login", ACCOUNT));
        assert!(is_elsewhere("", "password", &["account", "client"]));
        assert!(is_elsewhere("", "key", &["account", "client"]));
        assert!(!is_elsewhere("[bridge]", "pks", &["psk"]));
    }
}
