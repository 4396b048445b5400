//! Channel binding: what names the TLS connection below a login, alike at its two ends and nowhere else (RFC 5056). Pure.
//!
//! A login that is bound to such a name is of no use to somebody in between who has a certificate that they should not have: then there
//! are two connections, and each has a name of its own.

use std::fmt;

/// What a name is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BindingType {
    /// The keys of the connection (RFC 9266).
    Exporter,
    /// The server's certificate, which whoever has stolen its key can show as well (RFC 5929 section 4).
    ServerEndPoint,
}

/// The strongest first (XEP-0440 section 3).
const TYPES: [BindingType; 2] = [BindingType::Exporter, BindingType::ServerEndPoint];

impl BindingType {
    /// Its name in the registry of channel bindings.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Exporter => "tls-exporter",
            Self::ServerEndPoint => "tls-server-end-point",
        }
    }
}

/// The names of one connection: none without TLS, and none where TLS may end before the chat server.
#[derive(Clone, Default)]
pub(super) struct ChannelBindings {
    pub(super) exporter: Option<Vec<u8>>,
    pub(super) server_end_point: Option<Vec<u8>>,
}

impl ChannelBindings {
    /// Whether nothing can be bound to this connection.
    pub(super) fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.server_end_point.is_none()
    }

    /// The strongest of those that are wanted.
    pub(super) fn strongest(&self, is_wanted: impl Fn(BindingType) -> bool) -> Option<ChannelBinding> {
        TYPES.into_iter().filter(|of| is_wanted(*of)).find_map(|of| {
            let data = match of {
                BindingType::Exporter => self.exporter.clone(),
                BindingType::ServerEndPoint => self.server_end_point.clone(),
            };
            data.map(|data| ChannelBinding { of, data })
        })
    }
}

/// One name of a connection.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct ChannelBinding {
    pub(super) of: BindingType,
    pub(super) data: Vec<u8>,
}

impl fmt::Debug for ChannelBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.of.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_that_is_there_and_wanted_is_taken() {
        let both = ChannelBindings { exporter: Some(vec![1]), server_end_point: Some(vec![2]) };
        let end_point_alone = ChannelBindings { exporter: None, ..both.clone() };
        let taken = |bindings: &ChannelBindings, wanted: &[BindingType]| {
            bindings.strongest(|of| wanted.contains(&of)).map(|binding| binding.data)
        };
        assert_eq!(taken(&both, &TYPES), Some(vec![1]));
        assert_eq!(taken(&both, &[BindingType::ServerEndPoint]), Some(vec![2]));
        assert_eq!(taken(&end_point_alone, &TYPES), Some(vec![2]));
        assert_eq!(taken(&end_point_alone, &[BindingType::Exporter]), None);
        assert_eq!(taken(&both, &[]), None);
        assert!(ChannelBindings::default().is_empty() && !end_point_alone.is_empty());
    }
}
