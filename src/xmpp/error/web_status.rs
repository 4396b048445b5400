//! Status of a web server (RFC 9110 section 15): what can help where it is not the one that was hoped for.

/// Whether it means that the web server has had too much of us (RFC 6585 section 4).
pub(super) fn is_too_much(status: u16) -> bool {
    status == 429
}

/// What can help where a WebSocket was asked for.
pub(super) fn advice_on_upgrade(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "that is a redirection, which is not followed: ask whoever runs the server for the URL to put into `server`; trying again"
        }
        400 | 426 | 501 | 505 => {
            "it may not pass WebSockets on, or want a certificate of ours: check the URL that `server`, or the domain's host-meta, names, or ask \
             whoever runs the server; trying again"
        }
        401 | 403 => {
            "it lets nobody in there, or nobody from this network: check the URL that `server`, or the domain's host-meta, names, use another \
             network, or ask whoever runs the server; trying again"
        }
        429 => "let it rest, or use an account at another server; trying again within 3 hours",
        500..=599 => {
            "the chat server behind it may be down: if it stays, ask whoever runs the server, or use an account at another; trying again"
        }
        _ => "check the path of the URL that `server`, or the domain's host-meta, names; trying again",
    }
}

/// What can help where the domain's host-meta was asked for.
pub(super) fn advice_on_host_meta(status: u16) -> &'static str {
    match status {
        300..=399 => {
            "it sends us to where no host-meta is to be had over HTTPS: put the URL of the WebSocket into `server` (server = \"wss://…\"), or ask whoever runs \
             the domain's web server; trying again"
        }
        401 | 403 => {
            "it lets nobody read the host-meta, or nobody from this network: put the URL of the WebSocket into `server` (server = \"wss://…\"), use another \
             network, or ask whoever runs the domain's web server; trying again"
        }
        429 => {
            "let it rest, or put the URL of the WebSocket into `server` (server = \"wss://…\"); trying again within 3 hours"
        }
        500..=599 => {
            "it may be down: if it stays, put the URL of the WebSocket into `server` (server = \"wss://…\"), or ask whoever runs the domain's web server; \
             trying again"
        }
        _ => {
            "put the URL of the WebSocket into `server` (server = \"wss://…\"), or ask whoever runs the domain's web server; trying again"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_advice_and_says_once_when_there_is_another_attempt() {
        for (status, on_upgrade, on_host_meta) in [
            (200, "check the path of the URL", "put the URL of the WebSocket into `server`"),
            (301, "a redirection, which is not followed", "over HTTPS"),
            (302, "a redirection, which is not followed", "over HTTPS"),
            (400, "may not pass WebSockets on", "put the URL of the WebSocket into `server`"),
            (401, "lets nobody in there", "lets nobody read"),
            (403, "lets nobody in there", "lets nobody read"),
            (404, "check the path of the URL", "put the URL of the WebSocket into `server`"),
            (429, "let it rest", "let it rest"),
            (502, "behind it may be down", "it may be down"),
            (503, "behind it may be down", "it may be down"),
            (504, "behind it may be down", "it may be down"),
        ] {
            for (advice, help) in
                [(advice_on_upgrade(status), on_upgrade), (advice_on_host_meta(status), on_host_meta)]
            {
                assert!(advice.contains(help), "{status}: {advice}");
                assert_eq!(advice.matches("trying again").count(), 1, "{status}: {advice}");
            }
        }
    }
}
