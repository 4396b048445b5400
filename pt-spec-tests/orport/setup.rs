//! A bridge's half and a client's, and Tor's cookie file.

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::thread;

use hexchat_lab::ChatServer;
use tempfile::TempDir;

use super::server::{Connection, Secret, Tor};
use crate::child::{Child, Launch};
use crate::halves::{arguments, bridge_launch, chat_server, client_launch, request, start_online};

/// What the client's half answers when the bridge's has no connection to Tor.
pub(crate) const REFUSED: u8 = 5;

/// What stands before the secret in the cookie file, 32 bytes.
pub(crate) const HEADER: &[u8; 32] = b"! Extended ORPort Auth Cookie !\n";

pub(crate) struct Setup {
    client: Child,
    pub(crate) bridge: Child,
    chat: ChatServer,
    folder: TempDir,
}

impl Setup {
    /// A bridge that is launched with these variables.
    pub(crate) fn start(complete: impl FnOnce(Launch) -> Launch) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), 60, complete)
    }

    /// A bridge with this extended ORPort, and the cookie file in which there is `[1; 32]`.
    pub(crate) fn extended_at(address: &str, complete: impl FnOnce(Launch) -> Launch) -> Self {
        Self::extended_for(60, address, complete)
    }

    /// As [`extended`](Self::extended), with so many seconds for Tor to take a connection.
    pub(crate) fn impatient(tor: &Tor, seconds: u32) -> Self {
        Self::extended_for(seconds, &tor.address(), |launch| launch)
    }

    fn extended_for(seconds: u32, address: &str, complete: impl FnOnce(Launch) -> Launch) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cookie");
        fs::write(&file, cookie(&[1; 32])).unwrap();
        Self::start_in(folder, seconds, |launch| {
            let launch = launch.set("TOR_PT_AUTH_COOKIE_FILE", file.display().to_string());
            complete(launch.set("TOR_PT_EXTENDED_SERVER_PORT", address))
        })
    }

    /// As [`extended_at`](Self::extended_at) this Tor.
    pub(crate) fn extended(tor: &Tor) -> Self {
        Self::extended_at(&tor.address(), |launch| launch)
    }

    fn start_in(folder: TempDir, seconds: u32, complete: impl FnOnce(Launch) -> Launch) -> Self {
        let chat = chat_server();
        let bridge = start_online(complete(bridge_launch(&chat, seconds)));
        let client = client_launch(&chat, 60).start();
        Self { client, bridge, chat, folder }
    }

    pub(crate) fn cookie_file(&self) -> PathBuf {
        self.folder.path().join("cookie")
    }

    /// Asks for a connection through both halves; the code of the reply when it is refused.
    pub(crate) fn request(&self) -> Result<TcpStream, u8> {
        let arguments = format!("{};server={}", arguments(&self.chat), self.chat.address());
        request(self.client.socks(), &arguments)
    }

    /// Asks for a connection while `serve` speaks for Tor; what both came to.
    pub(crate) fn request_while<T>(
        &self,
        tor: &Tor,
        serve: impl FnOnce(&mut Connection) -> T,
    ) -> (Result<TcpStream, u8>, T, Connection) {
        thread::scope(|scope| {
            let requested = scope.spawn(|| self.request());
            let mut connection = tor.accept();
            let served = serve(&mut connection);
            (requested.join().unwrap(), served, connection)
        })
    }
}

/// The content of a cookie file.
pub(crate) fn cookie(secret: &Secret) -> Vec<u8> {
    [HEADER.as_slice(), secret].concat()
}
