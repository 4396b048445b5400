//! Lanes beside stanzas, as `[lanes]` has them.

use std::collections::BTreeSet;

use anyhow::Context as _;

use crate::config::{Config, LaneProxy, Lanes};
use crate::dialer::core_dialer;
use crate::tunnel::{FileLane, RelayLane};
use crate::xmpp::Dialer;

/// What the log of a bridge says behind the names of its lanes where nobody has told it how to reach its clients' servers.
const NO_PROXY: &str = "not used: [lanes] proxy does not say how to reach the upload services and proxies of clients' servers, which see \
                        from where they are called; name a SOCKS5 proxy, such as that of this machine's tor, or \"none\"";

/// The lanes that are used.
#[derive(Debug, Default)]
pub(crate) struct InUse {
    pub(crate) files: Option<FileLane>,
    pub(crate) relays: Option<RelayLane>,
}

/// Those of a client: it reaches its server's upload service and its proxy as it reaches its server.
pub(crate) fn of_client(lanes: &Lanes, dialer: Dialer) -> InUse {
    let relays = lanes.relay.then(|| RelayLane::of_client(dialer.clone(), lanes.hosts.clone()));
    let files = lanes.upload.then(|| FileLane::of_client(dialer, lanes.hosts.clone()));
    InUse { files, relays }
}

/// Those of a bridge. What Tor demands of outgoing connections goes before what the file says.
///
/// # Errors
///
/// When the proxy cannot be used; trying again cannot help.
pub(crate) fn of_bridge(config: &Config, dialer: tor_pt::Dialer) -> anyhow::Result<InUse> {
    let Lanes { upload, relay, proxy, hosts } = &config.lanes;
    let wanted = match (upload, relay) {
        (true, true) => "files and relays",
        (true, false) => "files",
        (false, true) => "relays",
        (false, false) => return Ok(InUse::default()),
    };
    let dialer = match proxy {
        _ if dialer.has_proxy() => dialer,
        Some(LaneProxy::None) => dialer,
        Some(LaneProxy::At(uri)) => {
            tor_pt::Dialer::through(Some(tor_pt::Proxy::parse(uri).context("[lanes] proxy")?))
        }
        None => {
            tracing::info!("{wanted} are {NO_PROXY}");
            return Ok(InUse::default());
        }
    };
    // Whom its accounts trust: a network with authorities of its own has those of its clients' servers from them, too.
    let ca_files: BTreeSet<_> =
        config.accounts.iter().filter_map(|account| account.ca_file.clone()).collect();
    let ca_files = ca_files.into_iter().collect();
    let dialer = core_dialer(dialer);
    let relays = relay.then(|| RelayLane::of_bridge(dialer.clone(), hosts.clone()));
    let files = upload.then(|| FileLane::of_bridge(dialer, hosts.clone(), ca_files));
    Ok(InUse { files, relays })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of_bridge_with(lanes: &str, dialer: tor_pt::Dialer) -> InUse {
        let config = Config::parse(&format!("[lanes]\n{lanes}"), Path::new("hexchat.toml")).unwrap();
        of_bridge(&config, dialer).unwrap()
    }

    /// Whether a proxy finds the names of all lanes.
    fn takes_names(InUse { files, relays }: &InUse) -> bool {
        let files = files.iter().map(|lane| format!("{lane:?}"));
        let lanes: Vec<_> = files.chain(relays.iter().map(|lane| format!("{lane:?}"))).collect();
        assert!(!lanes.is_empty());
        lanes.iter().all(|lane| lane.contains("takes_names: true"))
    }

    fn is_nothing(lanes: &InUse) -> bool {
        lanes.files.is_none() && lanes.relays.is_none()
    }

    #[test]
    fn a_bridge_uses_files_if_it_is_said_by_which_way() {
        let direct = tor_pt::Dialer::default;
        assert!(is_nothing(&of_bridge_with("", direct())));
        assert!(is_nothing(&of_bridge_with("upload = false\nproxy = \"none\"", direct())));
        assert!(!takes_names(&of_bridge_with("proxy = \"none\"", direct())));
        assert!(takes_names(&of_bridge_with("proxy = \"socks5://127.0.0.1:9050\"", direct())));
    }

    #[test]
    fn a_bridge_uses_relays_if_it_is_told_to_and_by_which_way() {
        let direct = tor_pt::Dialer::default;
        assert!(is_nothing(&of_bridge_with("relay = true", direct())));
        assert!(of_bridge_with("proxy = \"none\"", direct()).relays.is_none());
        let both = of_bridge_with("relay = true\nproxy = \"socks5://127.0.0.1:9050\"", direct());
        assert!(both.files.is_some() && both.relays.is_some() && takes_names(&both));
        let alone = of_bridge_with("upload = false\nrelay = true\nproxy = \"none\"", direct());
        assert!(alone.files.is_none() && !takes_names(&alone));
    }

    #[test]
    fn what_tor_demands_goes_before_what_the_file_says() {
        let demanded = || tor_pt::Dialer::through(tor_pt::Proxy::parse("socks5://127.0.0.1:1").ok());
        for lanes in ["", "proxy = \"none\""] {
            assert!(takes_names(&of_bridge_with(lanes, demanded())), "{lanes}");
        }
    }

    #[test]
    fn a_client_uses_files_unless_it_is_told_not_to_and_relays_if_it_is_told_to() {
        let of = |upload, relay| of_client(&Lanes { upload, relay, ..Lanes::default() }, Dialer::direct());
        let used = |lanes: InUse| (lanes.files.is_some(), lanes.relays.is_some());
        for wanted in [(true, true), (true, false), (false, true), (false, false)] {
            assert_eq!(used(of(wanted.0, wanted.1)), wanted);
        }
        assert_eq!(used(of_client(&Lanes::default(), Dialer::direct())), (true, false));
    }
}
