//! Memory of a pool: what is kept of accounts when they are closed, until the program ends.

use super::distrusted::Distrusted;
use super::resting::Resting;

/// It. Clones share it.
#[derive(Clone, Default)]
pub(in crate::xmpp) struct Remembered {
    /// Who presumes nothing any more.
    pub(super) distrusted: Distrusted,
    /// Whose servers are left alone.
    pub(super) resting: Resting,
}
