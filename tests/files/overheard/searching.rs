//! Search for what must not be seen, in all forms in which it could be. Pure.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE};
use memchr::memmem;

/// How much of a long secret gives it away, in bytes.
const WINDOW: usize = 16;

/// The shortest form that is looked for in base64, in characters: fewer stand in every long text.
const SHORTEST: usize = 12;

/// Secrets, and all their pieces in all forms.
#[derive(Default)]
pub(super) struct Traces {
    /// Pieces of those that are long enough.
    long: Vec<(&'static str, HashSet<[u8; WINDOW]>)>,
    /// Those that are not, whole.
    short: Vec<(&'static str, Vec<Vec<u8>>)>,
}

impl Traces {
    /// Looks for this one as well, whose name is what is said when it is found.
    pub(super) fn add(&mut self, name: &'static str, secret: &[u8]) {
        let forms = forms(secret);
        if secret.len() < WINDOW {
            return self.short.push((name, forms));
        }
        let windows = forms.iter().flat_map(|form| form.windows(WINDOW));
        self.long.push((name, windows.filter_map(|window| window.try_into().ok()).collect()));
    }

    /// Which secrets can be read in any of these; letters of short ones in either case.
    pub(super) fn found_in(&self, haystacks: &[Vec<u8>]) -> BTreeSet<&'static str> {
        haystacks.iter().flat_map(|haystack| self.in_one(haystack)).collect()
    }

    fn in_one(&self, haystack: &[u8]) -> Vec<&'static str> {
        let small = haystack.to_ascii_lowercase();
        let has_window =
            |windows: &HashSet<[u8; WINDOW]>| haystack.windows(WINDOW).any(|window| windows.contains(window));
        let has_form = |forms: &[Vec<u8>]| {
            let is_in = |form: &Vec<u8>| memmem::find(&small, &form.to_ascii_lowercase()).is_some();
            forms.iter().any(is_in)
        };
        let long = self.long.iter().filter(|(_, windows)| has_window(windows)).map(|(name, _)| *name);
        long.chain(self.short.iter().filter(|(_, forms)| has_form(forms)).map(|(name, _)| *name)).collect()
    }
}

/// As it is, in hexadecimal, and in both kinds of base64, of which each has three for what stands within something else.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut hex = String::new();
    for byte in secret {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
    }
    let encoded = (0..3).flat_map(|offset| {
        let shifted = [&vec![0; offset], secret].concat();
        [BASE64.encode(&shifted), URL_SAFE.encode(&shifted)].map(|text| {
            // The ends depend on what is around it.
            text.as_bytes().get(4..text.len() - 4).unwrap_or_default().to_vec()
        })
    });
    let encoded = encoded.filter(|form| form.len() >= SHORTEST);
    encoded.chain([secret.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()]).collect()
}

#[test]
fn a_piece_is_found_in_every_form_and_nothing_where_there_is_none() {
    let plaintext = super::plaintext(super::BULK);
    let mut traces = Traces::default();
    traces.add("long", &plaintext);
    traces.add("short", b"127.0.0.1:4567");
    let noise = crate::harness::random_bytes(200_000);
    assert_eq!(traces.found_in(std::slice::from_ref(&noise)), BTreeSet::new());
    for (name, secret) in [("long", &plaintext[777..777 + 40]), ("short", b"127.0.0.1:4567")] {
        let mut seen = vec![secret.to_vec(), secret.to_ascii_lowercase()];
        for offset in 0..3 {
            let within = [&noise[..offset], secret, b"..."].concat();
            seen.extend([BASE64.encode(&within).into_bytes(), URL_SAFE.encode(&within).into_bytes()]);
        }
        seen.extend(forms(secret).into_iter().rev().take(2));
        for form in seen {
            let haystack = [&noise[..1001], &form, &noise[1001..]].concat();
            assert_eq!(traces.found_in(&[haystack]), [name].into(), "{}", String::from_utf8_lossy(&form));
        }
    }
}
