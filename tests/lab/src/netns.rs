//! Network namespaces: a network of a test's own, in which only that is reachable which the test put there.
//!
//! A namespace has no name. It lives as long as its [`Namespace`] and whatever was started in it, so that nothing is
//! left behind, however the test ends. Making one needs root.

mod capture;

use std::fs::{self, File};
use std::net::IpAddr;
use std::os::fd::AsFd as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tempfile::TempDir;

use crate::process::{Process, Spawn, is_root, start_within};

pub use capture::{Capture, Packet};

const READY: Duration = Duration::from_secs(20);

/// A network namespace with a loopback interface that is up.
#[derive(Debug)]
pub struct Namespace {
    link: File,
    /// `ip` wants a namespace's process, and not its file, to put an interface into it.
    holder: Process,
    /// What it has for `/etc/resolv.conf`, if that is its own.
    resolv_conf: Option<TempDir>,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// When this machine does not permit it, in one line.
    pub fn new() -> Result<Self> {
        Self::made(None)
    }

    /// Makes one in which programs know no DNS server but the one at this address. `run` starts them so.
    ///
    /// # Errors
    ///
    /// The same.
    pub fn asking(dns_server: IpAddr) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("machine-").tempdir().context("making a folder")?;
        fs::write(folder.path().join("resolv.conf"), format!("nameserver {dns_server}\n"))?;
        Self::made(Some(folder))
    }

    fn made(resolv_conf: Option<TempDir>) -> Result<Self> {
        if !is_root() {
            bail!("network namespaces need root: run this test as root");
        }
        let (more, mount) = match &resolv_conf {
            Some(folder) => {
                let path = folder.path().join("resolv.conf");
                ("--mount", format!("mount --bind {} /etc/resolv.conf && ", path.display()))
            }
            None => ("--net", String::new()),
        };
        let script = mount + "ip link set lo up && echo ready && exec sleep infinity";
        let holder = Spawn::new("network namespace", "unshare")
            .args(["--net", more, "--", "sh", "-c", &script])
            .start()?;
        if holder.wait_for_line(|line| line == "ready", READY).is_err() {
            let said = holder.lines().join(" ");
            bail!("this machine permits no network namespace, or lacks Debian's package iproute2: {said}");
        }
        let link = File::open(format!("/proc/{}/ns/net", holder.pid())).context("opening a namespace")?;
        Ok(Self { link, holder, resolv_conf })
    }

    /// Does `work` in this namespace: sockets that it makes and processes and threads that it starts belong to it for good.
    ///
    /// # Panics
    ///
    /// As `work` does, and when the kernel refuses.
    #[allow(clippy::panic, reason = "it passes panics on as it is; a namespace that was made can be entered")]
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        // A thread of its own, which never has to find its way back.
        let thread = move || {
            move_into_link_name_space(self.link.as_fd(), Some(LinkNameSpaceType::Network))?;
            if self.resolv_conf.is_some() {
                start_within(self.holder.pid());
            }
            Ok::<T, rustix::io::Errno>(work())
        };
        match thread::scope(|scope| scope.spawn(thread).join()) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(refused)) => panic!("entering a namespace: {refused}"),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Lays a cable to `other`: an interface of this name at either end, up and without addresses.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn connect(&self, other: &Self, interface: &str) -> Result<()> {
        let pid = other.holder.pid().to_string();
        self.ip(&["link", "add", interface, "type", "veth", "peer", "name", interface, "netns", &pid])?;
        [self, other].iter().try_for_each(|end| end.ip(&["link", "set", interface, "up"]))
    }

    /// Gives an interface one more address; addresses of the same /24 or /64 are its neighbours.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn add_address(&self, interface: &str, address: IpAddr) -> Result<()> {
        match address {
            IpAddr::V4(_) => self.ip(&["address", "add", &format!("{address}/24"), "dev", interface]),
            // Nobody else can have it, so that there is no need to wait until that is clear.
            IpAddr::V6(_) => {
                self.ip(&["address", "add", &format!("{address}/64"), "dev", interface, "nodad"])
            }
        }
    }

    /// Sends what is for nobody here to `gateway`, of the same family.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn add_default_route(&self, gateway: IpAddr) -> Result<()> {
        let family = if gateway.is_ipv4() { "-4" } else { "-6" };
        self.ip(&[family, "route", "add", "default", "via", &gateway.to_string()])
    }

    /// Answers nothing to whatever is for `network`, as an address and a number of bits, and comes by here.
    ///
    /// # Errors
    ///
    /// When `ip` refuses.
    pub fn swallow(&self, network: &str) -> Result<()> {
        self.ip(&["route", "add", "blackhole", network])
    }

    fn ip(&self, args: &[&str]) -> Result<()> {
        let output = self.run(|| Command::new("ip").args(args).output());
        let output = output.context("install Debian's package iproute2")?;
        if !output.status.success() {
            bail!("ip {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}
