//! Pair of halves that speak the secure protocol.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hexchat_lab::Kind;
use tempfile::TempDir;

use crate::harness::{Half, Lab, PATIENCE, Route};

/// A bridge's half that can be started again, and how a client reaches it.
pub(crate) struct Bridge {
    pub(crate) half: Half,
    state: TempDir,
    config: String,
    target: SocketAddr,
}

impl Bridge {
    /// `serve --secure` with these accounts.
    pub(crate) fn start(lab: &Lab, users: &[&str], route: &Route, target: SocketAddr) -> Self {
        Self::configured(lab.config(users, route), target)
    }

    /// The same with a configuration.
    pub(crate) fn configured(config: String, target: SocketAddr) -> Self {
        let state = tempfile::Builder::new().prefix("hexchat-bridge-").tempdir().unwrap();
        let half = serve(&state, &config, target);
        Self { half, state, config, target }
    }

    /// Kills it and starts it again, with all that it keeps.
    pub(crate) fn restart(&mut self) {
        self.half.process().kill();
        self.half = serve(&self.state, &self.config, self.target);
    }

    /// What it hands out.
    pub(crate) fn line_file(&self) -> PathBuf {
        self.state.path().join("hexchat_bridgeline.txt")
    }

    /// `forward` by its bridge line.
    pub(crate) fn forward(&self, lab: &Lab, users: &[&str], route: &Route) -> Half {
        self.forward_configured(&lab.config(users, route))
    }

    /// The same with a configuration.
    pub(crate) fn forward_configured(&self, config: &str) -> Half {
        self.forward_with(|args| Half::start("forward", config, args))
    }

    /// The same, with a state directory that outlives it.
    pub(crate) fn forward_at(&self, state: &Path, config: &str) -> Half {
        self.forward_with(|args| Half::start_at(state, "forward", config, args))
    }

    /// The same, with a proxy by which all its connections go.
    pub(crate) fn forward_through(&self, proxy: &str, config: &str) -> Half {
        self.forward_with(|args| Half::start_through(proxy, "forward", config, args))
    }

    /// The same, after a script that has mounted something there.
    pub(crate) fn forward_after(&self, script: &str, state: &Path, config: &str) -> Half {
        self.forward_with(|args| Half::start_after(script, state, "forward", config, args))
    }

    fn forward_with(&self, start: impl FnOnce(&[&str]) -> Half) -> Half {
        let (line, target) = (self.line_file(), self.target.to_string());
        start(&["--listen", "127.0.0.1:0", "--bridge-line-file", line.to_str().unwrap(), "--target", &target])
    }
}

fn serve(state: &TempDir, config: &str, target: SocketAddr) -> Half {
    let target = target.to_string();
    let half = Half::start_at(state.path(), "serve", config, &["--secure", "--allow", &target]);
    half.says("READY ", PATIENCE);
    half
}

/// Both halves, one account each, over a server that slows nobody down.
pub(crate) fn one_account_each(kind: Kind, target: SocketAddr) -> (Lab, Bridge, Half) {
    let lab = Lab::start(kind);
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target);
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    (lab, bridge, forward)
}
