//! Real proxies, from Debian's packages. Only they can resolve the domain of the accounts.

use std::fs;
use std::net::{SocketAddr, TcpStream};

use hexchat_lab::process::{Process, Spawn};
use hexchat_lab::server::DOMAIN;
use tempfile::TempDir;

use super::world::World;
use crate::halves::eventually;
use crate::hosts::knowing;

/// Which kind, and whether it wants to know who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// tinyproxy.
    Http,
    /// tinyproxy, with Basic credentials.
    HttpWithPassword,
    /// Twisted's; it takes any user name.
    Socks4a,
    /// microsocks.
    Socks5,
    /// microsocks, with a user name and a password that ends in a `%`, which tor does not escape.
    Socks5WithPassword,
}

pub(crate) const USER: &str = "planteduser";
pub(crate) const PASSWORD: &str = "sesame100";

/// A proxy on the far host.
pub(crate) struct RealProxy<'a> {
    kind: Kind,
    world: &'a World,
    folder: TempDir,
    process: Option<Process>,
}

impl<'a> RealProxy<'a> {
    pub(crate) fn start(kind: Kind, world: &'a World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hosts"), format!("127.0.0.1 localhost {DOMAIN}\n")).unwrap();
        let mut proxy = Self { kind, world, folder, process: None };
        proxy.restart();
        proxy
    }

    /// As tor would give it.
    pub(crate) fn uri(&self) -> String {
        let address = self.world.proxy_address();
        match self.kind {
            Kind::Http => format!("http://{address}"),
            Kind::HttpWithPassword => format!("http://{USER}:{PASSWORD}@{address}"),
            Kind::Socks4a => format!("socks4a://{USER}@{address}"),
            Kind::Socks5 => format!("socks5://{address}"),
            Kind::Socks5WithPassword => format!("socks5://{USER}:{PASSWORD}%@{address}"),
        }
    }

    /// Kills it, with all connections through it.
    pub(crate) fn kill(&mut self) {
        self.process.as_mut().unwrap().kill();
    }

    /// Starts it, for the first time or again.
    pub(crate) fn restart(&mut self) {
        let address = self.world.proxy_address();
        let command = self.command(address);
        let known = knowing(&self.folder.path().join("hosts"));
        self.process = Some(
            self.world
                .hosts
                .far
                .run(|| Spawn::new("proxy", &known[0]).args(&known[1..]).args(&command).start().unwrap()),
        );
        let listens = || self.world.hosts.far.run(|| TcpStream::connect(address).is_ok());
        eventually("the proxy does not listen", listens);
    }

    fn command(&self, address: SocketAddr) -> Vec<String> {
        let (ip, port) = (address.ip(), address.port());
        let words = match self.kind {
            Kind::Http => self.tinyproxy(address, ""),
            Kind::HttpWithPassword => self.tinyproxy(address, &format!("BasicAuth {USER} {PASSWORD}\n")),
            Kind::Socks4a => format!("twistd3 --nodaemon --pidfile= socks --port {port} --interface {ip}"),
            Kind::Socks5 => format!("microsocks -i {ip} -p {port}"),
            Kind::Socks5WithPassword => format!("microsocks -i {ip} -p {port} -u {USER} -P {PASSWORD}%"),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    fn tinyproxy(&self, address: SocketAddr, more: &str) -> String {
        let path = self.folder.path().join("tinyproxy.conf");
        let (ip, port) = (address.ip(), address.port());
        fs::write(&path, format!("Listen {ip}\nPort {port}\nTimeout 600\nMaxClients 20\n{more}")).unwrap();
        format!("tinyproxy -d -c {}", path.display())
    }
}
