//! Two hosts and a cable, in network namespaces: nothing else can be reached from there.

use std::net::IpAddr;
use std::path::Path;

use hexchat_lab::netns::Namespace;

const CABLE: &str = "cable";

/// The addresses of the near host. The first of each family is where its packets come from by themselves.
pub(crate) const NEAR: [&str; 4] = ["10.77.0.2", "2001:db8:77::2", "10.77.0.3", "2001:db8:77::3"];
/// The addresses of the far host.
pub(crate) const FAR: [&str; 2] = ["10.77.0.1", "2001:db8:77::1"];

/// The two hosts.
pub(crate) struct Hosts {
    pub(crate) near: Namespace,
    pub(crate) far: Namespace,
}

impl Hosts {
    /// The near host sends everything through the cable, whatever it is for: what goes anywhere but to the far host
    /// gets no answer, but it can be seen.
    ///
    /// # Panics
    ///
    /// With one clear line where namespaces are not permitted.
    pub(crate) fn new() -> Self {
        let [near, far] = [(); 2].map(|()| Namespace::new().unwrap_or_else(|error| panic!("{error:#}")));
        near.connect(&far, CABLE).unwrap();
        for (end, addresses) in [(&near, &NEAR[..]), (&far, &FAR[..])] {
            for address in addresses {
                end.add_address(CABLE, ip(address)).unwrap();
            }
        }
        for gateway in FAR {
            near.add_default_route(ip(gateway)).unwrap();
        }
        Self { near, far }
    }
}

/// A command that starts what follows it where `/etc/hosts` is this file, and nowhere else.
pub(crate) fn knowing(file: &Path) -> Vec<String> {
    seeing(file, "/etc/hosts")
}

/// A command that starts what follows it where names are asked for as this file says, and nowhere else.
pub(crate) fn resolving(file: &Path) -> Vec<String> {
    seeing(file, "/etc/resolv.conf")
}

fn seeing(file: &Path, at: &str) -> Vec<String> {
    let script = format!("mount --bind \"$0\" {at} && exec \"$@\"");
    ["unshare", "--mount", "--", "sh", "-c", &script, &file.display().to_string()].map(str::to_owned).into()
}

/// An address of this file.
pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}
