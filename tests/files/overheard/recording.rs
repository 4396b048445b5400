//! Recording of a session with files: a client at a stock Prosody that is overheard, alone on its machine; a bridge at an ejabberd, on that
//! one's.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, TcpStream};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hexchat_lab::Federation;
use hexchat_lab::federation::Terms;
use hexchat_lab::netns::{Capture, Packet};
use hexchat_lab::overheard::{Channel, Heard};
use hexchat_lab::server::Upload;

use super::heads::{self, Request, SlotRequest};
use super::text::Readable;
use crate::harness::{Half, PATIENCE, Target, connect, transfer};
use crate::pair::Bridge;

/// A server that takes files of 10 MB, as a stock Prosody does, and ten of them in a day.
const TAKES: Upload = Upload { max_file: 10 << 20, daily: 100 << 20 };

/// The servers: one at stock limits that takes files and is overheard, and one with nothing unusual about it.
pub(super) fn federation() -> Federation {
    let terms = Terms { has_limits: true, upload: Some(TAKES), is_overheard: true, ..Terms::default() };
    Federation::start(terms, Terms::default()).unwrap()
}

/// Both halves.
pub(super) struct World {
    // Before the servers, so that they have ended when those do.
    forward: Half,
    bridge: Bridge,
    target: Target,
    capture: Capture,
    federation: Federation,
}

/// What only the halves know.
pub(super) struct Secrets {
    /// The bridge's public key.
    pub(super) key: Vec<u8>,
    /// The same in its bridge line.
    pub(super) written_key: String,
    /// Where the bridge connects to.
    pub(super) target: String,
}

/// All that the client's server has seen.
pub(super) struct Log {
    heard: Vec<Heard>,
    pub(super) files: Vec<Vec<u8>>,
    /// What passed on the client's machine.
    packets: BTreeSet<Packet>,
    /// The addresses of that machine.
    home: [IpAddr; 2],
    /// Where the client's server is, and its upload service.
    pub(super) own_places: BTreeSet<SocketAddr>,
    /// Names of the client's server, and of its upload service, also with its port.
    pub(super) domain: String,
    pub(super) upload_domain: String,
    pub(super) upload_authority: String,
    /// The domain of the bridge's account.
    pub(super) bridges_domain: String,
}

impl World {
    pub(super) fn start() -> Self {
        let federation = federation();
        let (target, bridge) = federation.ejabberd.machine().run(|| {
            let target = Target::start();
            // Its client's server is at no public address here.
            let host = federation.prosody.upload_domain();
            let lanes = format!("[lanes]\nproxy = \"none\"\nhosts = [\"{host}\"]\n");
            let bridge =
                Bridge::configured(federation.ejabberd.account_section("bob") + &lanes, target.address());
            (target, bridge)
        });
        let capture = Capture::start(&federation.home).unwrap();
        // The same: its own server may be in a private network.
        let config = federation.prosody.account_section("alice") + "mine = true\n";
        let forward = federation.home.run(|| bridge.forward_configured(&config));
        Self { forward, bridge, target, capture, federation }
    }

    /// From the target to the application.
    pub(super) fn download(&self, data: &[u8]) {
        let (application, server) = self.stream();
        transfer(server, application, data);
    }

    /// From the application to the target.
    pub(super) fn upload(&self, data: &[u8]) {
        let (application, server) = self.stream();
        transfer(application, server, data);
    }

    fn stream(&self) -> (TcpStream, TcpStream) {
        let entrance = self.forward.entrance();
        let application = self.federation.home.run(|| connect(entrance));
        let stream = (application, self.target.accept());
        self.forward.says("its server takes files", PATIENCE);
        stream
    }

    /// Ends it.
    pub(super) fn end(self) -> (Log, Secrets) {
        let line = std::fs::read_to_string(self.bridge.line_file()).unwrap();
        let written_key = line.split("key=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let key = URL_SAFE_NO_PAD.decode(&written_key).unwrap();
        let secrets = Secrets { key, written_key, target: self.target.address().to_string() };
        drop((self.forward, self.bridge));
        (Log::of(&self.federation, self.capture.finish().unwrap()), secrets)
    }
}

impl Log {
    pub(super) fn of(federation: &Federation, packets: BTreeSet<Packet>) -> Self {
        let Federation { prosody, ejabberd, .. } = federation;
        Self {
            heard: prosody.heard().unwrap(),
            files: prosody.uploads().unwrap_or_default(),
            packets,
            home: federation.home_addresses().map(IpAddr::V4),
            own_places: [prosody.for_clients(), prosody.for_files()].into(),
            domain: prosody.domain(),
            upload_domain: prosody.upload_domain(),
            upload_authority: prosody.upload_authority(),
            bridges_domain: ejabberd.domain(),
        }
    }

    fn over(&self, channel: Channel) -> impl Iterator<Item = &Heard> {
        self.heard.iter().filter(move |heard| heard.channel == channel)
    }

    /// What was said on each connection, either way, as it passed and decoded; and each file.
    pub(super) fn everything(&self) -> Vec<Vec<u8>> {
        let mut all = self.web();
        all.extend(as_it_passed_and_decoded(self.stanzas()));
        all.extend(self.files.iter().cloned());
        all
    }

    /// What was said by HTTP, as it passed and decoded.
    pub(super) fn web(&self) -> Vec<Vec<u8>> {
        as_it_passed_and_decoded(self.over(Channel::Web).map(|heard| heard.said.as_slice()))
    }

    /// What was said in stanzas on each connection, either way.
    fn stanzas(&self) -> Vec<&[u8]> {
        let connections = self.heard.iter().filter(|heard| heard.channel != Channel::Web);
        connections.flat_map(|heard| [heard.said.as_slice(), &heard.answered]).collect()
    }

    /// All text: elements, and heads of requests.
    pub(super) fn text(&self) -> String {
        let stanzas: String = self.stanzas().iter().map(|bytes| Readable::of(bytes).text + "\n").collect();
        let heads: String = self
            .requests()
            .iter()
            .flat_map(|request| {
                let fields = request.fields.iter().map(|(name, value)| format!("{name}: {value}\n"));
                [format!("{} {}\n", request.method, request.path)].into_iter().chain(fields)
            })
            .collect();
        stanzas + &Readable::of(heads.as_bytes()).text
    }

    /// What the two servers have said to each other.
    pub(super) fn text_of_servers(&self) -> String {
        let said = self.over(Channel::Server).flat_map(|heard| [&heard.said, &heard.answered]);
        said.map(|bytes| Readable::of(bytes).text).collect()
    }

    /// All requests by HTTP, connection by connection.
    pub(super) fn connections(&self) -> Vec<Vec<Request>> {
        let client = self.over(Channel::Client).next().expect("a login of the client").peer;
        self.over(Channel::Web).map(|heard| Request::all_of(&heard.said, heard.peer == client)).collect()
    }

    /// All requests by HTTP.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.connections().into_iter().flatten().collect()
    }

    /// What the client has asked the upload service for.
    pub(super) fn slot_requests(&self) -> Vec<SlotRequest> {
        let said = self.over(Channel::Client).map(|heard| Readable::of(&heard.said).text);
        said.flat_map(|text| heads::slot_requests(&text)).collect()
    }

    /// Where packets from the client's machine went, or came from.
    pub(super) fn reached_by_client(&self) -> BTreeSet<SocketAddr> {
        let ends = self.packets.iter().flat_map(|packet| [packet.from, packet.to]);
        ends.filter(|end| !end.ip().is_loopback() && !self.home.contains(&end.ip())).collect()
    }
}

fn as_it_passed_and_decoded<'a>(said: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    said.into_iter().flat_map(|bytes| [bytes.to_vec(), Readable::of(bytes).decoded]).collect()
}
