//! How much data fills the TLS records in which its stanza goes, so that servers that read in pieces need not rest between
//! them; see `xmpp::records`.

/// The length of such a record, in bytes.
const RECORD: usize = 4096;

/// The data whose stanza is just below so many records, in bytes before base64, when the stanza weighs at most `around`
/// bytes beyond base64.
pub(crate) const fn filling(records: usize, around: usize) -> usize {
    (records * RECORD - around) / 4 * 3
}
