//! Target that `serve` connects to, in the hands of the test.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use super::PATIENCE;

/// A listener whose connections the test takes one by one.
pub(crate) struct Target {
    address: SocketAddr,
    connections: mpsc::Receiver<TcpStream>,
}

impl Target {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, connections) = mpsc::channel();
        thread::spawn(move || {
            // Until nobody takes connections any more.
            listener
                .incoming()
                .flatten()
                .take_while(|tcp| sender.send(tcp.try_clone().unwrap()).is_ok())
                .count()
        });
        Self { address, connections }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next connection.
    pub(crate) fn accept(&self) -> TcpStream {
        patient(self.connections.recv_timeout(PATIENCE).expect("a connection to the target"))
    }

    /// Whether nobody has connected.
    pub(crate) fn is_untouched(&self) -> bool {
        self.connections.try_recv().is_err()
    }

    /// Sends back whatever comes through further connections.
    pub(crate) fn echo_from_now_on(self) {
        thread::spawn(move || {
            for tcp in self.connections {
                // A connection that breaks is the other end's business.
                thread::spawn(move || io::copy(&mut &tcp, &mut &tcp));
            }
        });
    }

    /// An application's connection through `entrance`, and what became of it here.
    pub(crate) fn connect_through(&self, entrance: SocketAddr) -> (TcpStream, TcpStream) {
        let application = connect(entrance);
        (application, self.accept())
    }
}

/// An application's connection.
pub(crate) fn connect(entrance: SocketAddr) -> TcpStream {
    patient(TcpStream::connect(entrance).unwrap())
}

fn patient(tcp: TcpStream) -> TcpStream {
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    tcp.set_write_timeout(Some(PATIENCE)).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}
