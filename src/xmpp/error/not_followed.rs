//! Redirection that is not followed: a server sends us to another host (`see-other-host`), and we do not go there.

use std::fmt;

use super::OtherHost;

/// Where a server sends us, and why we do not go there.
///
/// Any two of one reason are equal, because a server may send us to another of its hosts each time. A log shows the host only where it
/// shows what is private.
#[derive(Clone, Debug)]
pub struct NotFollowed {
    host: OtherHost,
    why: Unfollowed,
}

/// Why we do not go where a server sends us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfollowed {
    /// We have just been there.
    InCircle,
    /// We have been sent on several times already.
    TooFar,
    /// A host is no URL of a WebSocket.
    WebSocket,
    /// Nothing may go there without TLS.
    Plaintext,
}

impl NotFollowed {
    pub(in crate::xmpp) fn new(host: OtherHost, why: Unfollowed) -> Self {
        Self { host, why }
    }

    /// Whether the server would do the same again and again.
    pub(super) fn is_endless(&self) -> bool {
        matches!(self.why, Unfollowed::InCircle | Unfollowed::TooFar)
    }

    /// What can help, as a clause to put behind the text.
    pub(super) fn advice(&self) -> &'static str {
        match self.why {
            Unfollowed::InCircle | Unfollowed::TooFar => {
                "ask whoever runs the chat server, or set `server` to where it lets us in; trying again within half a minute"
            }
            Unfollowed::WebSocket => {
                "put the URL of the WebSocket there into `server` (server = \"wss://…\"), or that host, which --unsafe-logging shows, and \
                 use another `tls`; trying again"
            }
            Unfollowed::Plaintext => {
                "put that host, which --unsafe-logging shows, into `server`, and use another `tls` than \"none\"; trying again"
            }
        }
    }
}

impl PartialEq for NotFollowed {
    fn eq(&self, other: &Self) -> bool {
        self.why == other.why
    }
}

impl Eq for NotFollowed {}

impl fmt::Display for NotFollowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, why } = self;
        match why {
            Unfollowed::InCircle => write!(f, "the chat server sends us in a circle, at last to {host}"),
            Unfollowed::TooFar => {
                write!(f, "the chat server sends us on from host to host, at last to {host}")
            }
            Unfollowed::WebSocket => {
                write!(
                    f,
                    "the chat server sends us to another host, {host}, which is not followed over a WebSocket"
                )
            }
            Unfollowed::Plaintext => write!(
                f,
                "the chat server sends us to another host, {host}, which is not followed without TLS, because it is not on this machine"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use safelog::with_safe_logging_suppressed;

    use super::*;
    use crate::xmpp::error::{AccountError, Pause};

    fn error(host: &str, why: Unfollowed) -> AccountError {
        AccountError::NotFollowed(NotFollowed::new(OtherHost::parse(host).unwrap(), why))
    }

    const ALL: [Unfollowed; 4] =
        [Unfollowed::InCircle, Unfollowed::TooFar, Unfollowed::WebSocket, Unfollowed::Plaintext];

    #[test]
    fn the_host_is_shown_only_where_what_is_private_is() {
        for why in ALL {
            let error = error("node7.chat.example", why);
            assert!(
                error.to_string().contains(" to another host, [scrubbed], ")
                    || error.to_string().ends_with(" to [scrubbed]")
            );
            let shown = with_safe_logging_suppressed(|| error.to_string());
            assert!(shown.contains("node7.chat.example:5222"), "{shown}");
            assert!(!format!("{error:?}").contains("node7"), "{error:?}");
        }
    }

    #[test]
    fn each_says_what_to_set_and_is_the_same_whichever_host_it_is() {
        for why in ALL {
            let advice = error("node7.chat.example", why).advice();
            assert!(advice.contains("`server`") && advice.contains("; trying again"), "{advice}");
            assert_eq!(error("node7.chat.example", why), error("node8.chat.example", why));
        }
    }

    #[test]
    fn a_circle_does_not_pass_by_itself() {
        assert_eq!(error("node7.chat.example", Unfollowed::InCircle).pause(), Pause::Long);
        assert_eq!(error("node7.chat.example", Unfollowed::TooFar).pause(), Pause::Long);
        assert_eq!(error("node7.chat.example", Unfollowed::WebSocket).pause(), Pause::Usual);
    }
}
