//! Target of streams: a listener that treats each connection as its first byte says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;

/// Sends back what comes.
pub(crate) const ECHO: u8 = b'E';
/// Sends without end.
pub(crate) const DOWNLOAD: u8 = b'D';
/// Reads nothing until [`Target::read_uploads`], then everything, and says how many bytes that were.
pub(crate) const UPLOAD: u8 = b'U';

/// How much is sent at a time, in bytes.
const PIECE: usize = 64 * 1024;

/// How much the kernel keeps of what is not read, in bytes: little, so that the rest is with the bridge.
const RECEIVED: u32 = 32 * 1024;

/// See the [module](self). Who sends no first byte is kept waiting.
pub(crate) struct Target {
    address: SocketAddr,
    reads_uploads: watch::Sender<bool>,
    connections: Arc<Connections>,
}

/// How many connections there are, ...
#[derive(Default)]
struct Connections {
    now: AtomicUsize,
    /// ... and the most that there ever were.
    most: AtomicUsize,
}

impl Target {
    /// Starts one, in tasks of the present runtime.
    pub(crate) async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(RECEIVED).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1024).unwrap();
        let address = listener.local_addr().unwrap();
        let (reads_uploads, may_read) = watch::channel(false);
        let connections = Arc::<Connections>::default();
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (counted, may_read) = (Arc::clone(&counted), may_read.clone());
                tokio::spawn(async move {
                    let now = counted.now.fetch_add(1, Ordering::Relaxed) + 1;
                    counted.most.fetch_max(now, Ordering::Relaxed);
                    serve(tcp, may_read).await;
                    counted.now.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { address, reads_uploads, connections }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The most connections that there ever were at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.connections.most.load(Ordering::Relaxed)
    }

    /// From now on uploads are read.
    pub(crate) fn read_uploads(&self) {
        self.reads_uploads.send_replace(true);
    }
}

/// A connection that breaks is the other end's business.
async fn serve(mut tcp: TcpStream, mut may_read: watch::Receiver<bool>) -> Option<()> {
    tcp.set_nodelay(true).ok()?;
    let mut buffer = vec![0; PIECE];
    match tcp.read_u8().await.ok()? {
        ECHO => loop {
            let length = tcp.read(&mut buffer).await.ok().filter(|length| *length > 0)?;
            tcp.write_all(&buffer[..length]).await.ok()?;
        },
        DOWNLOAD => loop {
            tcp.write_all(&buffer).await.ok()?;
        },
        UPLOAD => {
            may_read.wait_for(|may| *may).await.ok()?;
            let mut total = 0;
            while let length @ 1.. = tcp.read(&mut buffer).await.ok()? {
                total += length as u64;
            }
            tcp.write_u64(total).await.ok()
        }
        _ => None,
    }
}
