//! Filling in: what a reader is to put in place of placeholders.

/// A key that may be a bridge's, and a secret that may be a private bridge's.
pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// A relay's fingerprint.
const FINGERPRINT: &str = "ABCDEF0123456789ABCDEF0123456789ABCDEF01";

/// The text without placeholders.
pub(crate) fn fill(text: &str) -> String {
    let text = text
        .replace("2001:db8:…", "2001:db8::3")
        .replace("<FINGERPRINT>", FINGERPRINT)
        .replace("key=…", &format!("key={KEY}"))
        .replace("psk=…", &format!("psk={KEY}"))
        .replace("psk = \"…\"", &format!("psk = \"{KEY}\""))
        .replace("\"…\"", "\"secret\"");
    assert!(!text.contains('…'), "nobody knows what to put there: {text}");
    text
}

#[test]
fn what_is_filled_in_is_what_a_reader_would_write() {
    let line = fill("Bridge hexchat [2001:db8:…]:443 <FINGERPRINT> jid=a@b/c key=… psk=…");
    assert_eq!(line, format!("Bridge hexchat [2001:db8::3]:443 {FINGERPRINT} jid=a@b/c key={KEY} psk={KEY}"));
    assert_eq!(fill("password = \"…\""), "password = \"secret\"");
}
