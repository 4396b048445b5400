//! Lanes beside stanzas, as `[lanes]` has them.

use std::collections::BTreeSet;

use anyhow::Context as _;

use super::dialer::core_dialer;
use crate::config::{Config, FileProxy, Lanes};
use crate::tunnel::FileLane;
use crate::xmpp::Dialer;

/// What a bridge says that does not know how to reach upload services.
const NO_PROXY: &str = "files are not used: [lanes] proxy does not say how to reach the upload services of clients, which see from where they are \
                        called; name a SOCKS5 proxy, such as that of this machine's tor, or \"none\"";

/// How a client uses files, if it does: it reaches its server's upload service as it reaches its server.
pub(super) fn of_client(lanes: &Lanes, dialer: Dialer) -> Option<FileLane> {
    lanes.upload.then(|| FileLane::of_client(dialer, lanes.hosts.clone()))
}

/// How a bridge uses files, if it does. What Tor demands of outgoing connections goes before what the file says.
///
/// # Errors
///
/// When the proxy cannot be used; trying again cannot help.
pub(super) fn of_bridge(config: &Config, dialer: tor_pt::Dialer) -> anyhow::Result<Option<FileLane>> {
    let Lanes { upload, proxy, hosts } = &config.lanes;
    if !upload {
        return Ok(None);
    }
    let dialer = match proxy {
        _ if dialer.has_proxy() => dialer,
        Some(FileProxy::None) => dialer,
        Some(FileProxy::At(uri)) => {
            tor_pt::Dialer::through(Some(tor_pt::Proxy::parse(uri).context("[lanes] proxy")?))
        }
        None => {
            tracing::info!("{NO_PROXY}");
            return Ok(None);
        }
    };
    // Whom its accounts trust: a network with authorities of its own has those of its clients' servers from them, too.
    let ca_files: BTreeSet<_> =
        config.accounts.iter().filter_map(|account| account.ca_file.clone()).collect();
    let ca_files = ca_files.into_iter().collect();
    Ok(Some(FileLane::of_bridge(core_dialer(dialer), hosts.clone(), ca_files)))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn of_bridge_with(lanes: &str, dialer: tor_pt::Dialer) -> Option<FileLane> {
        let config = Config::parse(&format!("[lanes]\n{lanes}"), Path::new("hexchat.toml")).unwrap();
        of_bridge(&config, dialer).unwrap()
    }

    fn takes_names(lane: Option<FileLane>) -> bool {
        format!("{:?}", lane.unwrap()).contains("takes_names: true")
    }

    #[test]
    fn a_bridge_uses_files_if_it_is_said_by_which_way() {
        let direct = tor_pt::Dialer::default;
        assert!(of_bridge_with("", direct()).is_none());
        assert!(of_bridge_with("upload = false\nproxy = \"none\"", direct()).is_none());
        assert!(!takes_names(of_bridge_with("proxy = \"none\"", direct())));
        assert!(takes_names(of_bridge_with("proxy = \"socks5://127.0.0.1:9050\"", direct())));
    }

    #[test]
    fn what_tor_demands_goes_before_what_the_file_says() {
        let demanded = || tor_pt::Dialer::through(tor_pt::Proxy::parse("socks5://127.0.0.1:1").ok());
        for lanes in ["", "proxy = \"none\""] {
            assert!(takes_names(of_bridge_with(lanes, demanded())), "{lanes}");
        }
    }

    #[test]
    fn a_client_uses_files_unless_it_is_told_not_to() {
        let of = |upload| of_client(&Lanes { upload, ..Lanes::default() }, Dialer::direct());
        assert!(of(true).is_some() && of(false).is_none());
    }
}
