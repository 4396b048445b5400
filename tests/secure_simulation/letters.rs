//! Stanzas of the secure protocol, as the simulated network has them.

use std::fmt;

use bytes::Bytes;

use crate::network::{self, Letter};

pub(crate) type Stanza = network::Stanza<Body>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Open {
        sid: String,
        block_size: u16,
    },
    Data {
        sid: String,
        seq: u16,
        data: Bytes,
    },
    Close {
        sid: String,
    },
    Result,
    Error,
    /// From a server: nobody is there.
    Undelivered,
}

impl Letter for Body {
    fn size(&self) -> u64 {
        match self {
            Self::Data { data, .. } => 250 + data.len() as u64 * 4 / 3,
            Self::Open { .. } | Self::Close { .. } => 250,
            Self::Result | Self::Error | Self::Undelivered => 120,
        }
    }

    fn through_the_wire(self) -> Self {
        self
    }

    fn bounce(&self, _: bool) -> Option<Self> {
        match self {
            Self::Open { .. } | Self::Data { .. } | Self::Close { .. } => Some(Self::Undelivered),
            Self::Result | Self::Error | Self::Undelivered => None,
        }
    }

    fn stored(&self) -> Option<Self> {
        None
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { sid, .. } => write!(f, "open {}", &sid[..8]),
            Self::Data { sid, seq, data } => write!(f, "data {} {seq} {} bytes", &sid[..8], data.len()),
            Self::Close { sid } => write!(f, "close {}", &sid[..8]),
            Self::Result => f.write_str("result"),
            Self::Error => f.write_str("error"),
            Self::Undelivered => f.write_str("undelivered"),
        }
    }
}
