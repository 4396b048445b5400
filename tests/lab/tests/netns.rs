//! Namespaces of our own, and what is seen in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test a panic is how a fault is reported")]

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use hexchat_lab::netns::{Capture, Namespace};

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Two namespaces and the cable between them.
fn pair() -> (Namespace, Namespace) {
    let (near, far) = (Namespace::new().unwrap(), Namespace::new().unwrap());
    near.connect(&far, "cable").unwrap();
    for (end, v4, v6) in [(&near, "10.77.0.2", "2001:db8:77::2"), (&far, "10.77.0.1", "2001:db8:77::1")] {
        end.add_address("cable", address(v4)).unwrap();
        end.add_address("cable", address(v6)).unwrap();
    }
    (near, far)
}

/// The one connects to the other over both families.
fn meet(near: &Namespace, far: &Namespace) {
    for ip in ["10.77.0.1", "2001:db8:77::1"].map(address) {
        let listener = far.run(|| TcpListener::bind(SocketAddr::new(ip, 0)).unwrap());
        let to = listener.local_addr().unwrap();
        let stream = near.run(|| TcpStream::connect(to).unwrap());
        assert_eq!(stream.local_addr().unwrap(), listener.accept().unwrap().1);
    }
}

#[test]
fn two_namespaces_reach_each_other_and_nobody_else() {
    let (near, far) = pair();
    meet(&near, &far);
    let here = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(near.run(|| TcpStream::connect(here)).is_err(), "the machine's own loopback is out of reach");
    assert!(near.run(|| UdpSocket::bind("0.0.0.0:0").unwrap().send_to(b"x", "192.0.2.1:53")).is_err());
}

#[test]
fn a_capture_sees_what_goes_to_nobody_and_what_stays_on_loopback() {
    let (near, far) = pair();
    near.add_default_route(address("10.77.0.1")).unwrap();
    near.add_default_route(address("2001:db8:77::1")).unwrap();
    // From then on the gateway's hardware address is known, and nothing waits for it.
    meet(&near, &far);
    let capture = Capture::start(&near).unwrap();
    let strangers: [SocketAddr; 3] =
        ["192.0.2.1:53", "[2001:db8::53]:53", "127.0.0.1:53"].map(|text| text.parse().unwrap());
    near.run(|| {
        for stranger in strangers {
            let any = if stranger.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            UdpSocket::bind(any).unwrap().send_to(b"x", stranger).unwrap();
        }
    });
    let packets = capture.finish().unwrap();
    for stranger in strangers {
        assert!(packets.iter().any(|packet| packet.to == stranger && packet.protocol == 17), "{packets:?}");
    }
    drop(far);
}
