//! Namer of a machine: who has named what was looked for.

use std::fmt;

/// Who has named a machine that was to be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// The account, whose domain it is.
    Account,
    /// `server`.
    Server,
    /// The SRV records of the domain.
    Srv,
    /// The domain, where it says where its WebSocket is (XEP-0156).
    HostMeta,
    /// A server that does not want us itself (`see-other-host`).
    OtherServer,
}

impl NamedBy {
    /// What can help where the machine has no address, as a clause to put behind the text.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::Account => {
                "check the domain and the network; if the chat server has another name, give it as `server`; trying again"
            }
            Self::Server => "check `server`, and the network; trying again",
            Self::Srv => "ask whoever runs the chat server, or give its machine as `server`; trying again",
            Self::HostMeta => {
                "ask whoever runs the chat server, or put the URL of its WebSocket into `server` (server = \"wss://…\"); trying again"
            }
            Self::OtherServer => {
                "ask whoever runs the chat server, or set `server` to where it lets us in; trying again"
            }
        }
    }
}

impl fmt::Display for NamedBy {
    /// The machine, by who has named it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "the domain of the account",
            Self::Server => "the name in `server`",
            Self::Srv => "the machine that the domain's SRV records name",
            Self::HostMeta => "the machine that the domain's host-meta names",
            Self::OtherServer => "the machine that the server sends us to",
        })
    }
}
