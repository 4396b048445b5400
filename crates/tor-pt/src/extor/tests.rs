#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use tokio::io::duplex;
use tokio::net::TcpListener;

use super::*;

const SECRET: [u8; 32] = *b"0123456789abcdef0123456789abcdef";
const NONCE: [u8; 32] = [7; 32];
const SERVER_NONCE: [u8; 32] = [9; 32];

/// What a server does with a client that knows the secret or not.
struct Server {
    auth_types: &'static [u8],
    secret: [u8; 32],
    status: u8,
    /// What it says after `DONE`.
    replies: &'static [u8],
}

const GOOD: Server = Server { auth_types: &[1, 0], secret: SECRET, status: 1, replies: b"\x10\0\0\0after" };

/// HMAC-SHA256 as RFC 2104 defines it, so that the test does not check `ring` against itself.
fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> Vec<u8> {
    let sha256 = |parts: &[&[u8]]| ring::digest::digest(&ring::digest::SHA256, &parts.concat());
    let mut padded = [0; 64];
    padded[..32].copy_from_slice(key);
    let inner = sha256(&[&padded.map(|byte| byte ^ 0x36), message]);
    sha256(&[&padded.map(|byte| byte ^ 0x5c), inner.as_ref()]).as_ref().to_vec()
}

impl Server {
    /// Serves one client; returns all that it read, the client's nonce left out.
    async fn serve<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) -> io::Result<Vec<u8>> {
        stream.write_all(self.auth_types).await?;
        let mut seen = vec![stream.read_u8().await?];
        let mut nonce = [0; 32];
        if stream.read_exact(&mut nonce).await.is_err() {
            return Ok(seen);
        }
        let proof = |direction: &str| {
            let label = format!("ExtORPort authentication {direction} hash");
            hmac_sha256(&self.secret, &[label.as_bytes(), &nonce, &SERVER_NONCE].concat())
        };
        stream.write_all(&proof("server-to-client")).await?;
        stream.write_all(&SERVER_NONCE).await?;
        let mut client_hash = [0; 32];
        if stream.read_exact(&mut client_hash).await.is_err() {
            return Ok(seen);
        }
        assert_eq!(client_hash.to_vec(), proof("client-to-server"));
        stream.write_all(&[self.status]).await?;
        let mut commands = [0; 15];
        if stream.read_exact(&mut commands).await.is_err() {
            return Ok(seen);
        }
        seen.extend(commands);
        stream.write_all(self.replies).await?;
        Ok(seen)
    }

    /// The client's result, what the server read, and what is left in the stream.
    async fn run(self) -> (Result<(), ExtOrError>, Vec<u8>, Vec<u8>) {
        let (mut ours, theirs) = duplex(200_000);
        let server = tokio::spawn(self.serve(theirs));
        let result = handshake(&mut ours, &Cookie(SECRET), &hexchat(), NONCE).await;
        ours.shutdown().await.unwrap();
        let mut left = Vec::new();
        ours.read_to_end(&mut left).await.unwrap();
        (result, server.await.unwrap().unwrap(), left)
    }
}

/// What is sent for a transport that knows no address of its client.
fn hexchat() -> Vec<u8> {
    announcement(&"hexchat".parse().unwrap(), None).unwrap()
}

async fn connect(addr: SocketAddr, cookie_file: &Path, limit: Duration) -> Result<TcpStream, ExtOrError> {
    let port = Destination::ExtOrPort { addr, cookie_file: cookie_file.to_owned() };
    port.connect(&"hexchat".parse().unwrap(), None, limit).await
}

fn cookie_file() -> Vec<u8> {
    [COOKIE_HEADER.as_slice(), &SECRET].concat()
}

#[tokio::test]
async fn the_transport_is_announced_without_an_address_and_nothing_more_is_read() {
    let (result, seen, left) = GOOD.run().await;
    result.unwrap();
    assert_eq!(seen, b"\x01\0\x02\0\x07hexchat\0\0\0\0");
    assert_eq!(left, b"after");
}

#[test]
fn a_clients_address_is_announced_in_numbers() {
    let transport = "hexchat".parse().unwrap();
    for (client, written) in [
        ("192.0.2.7:1", &b"\0\x01\0\x0b192.0.2.7:1"[..]),
        ("[2001:db8::1]:65535", b"\0\x01\0\x13[2001:db8::1]:65535"),
        ("[::ffff:192.0.2.7]:1", b"\0\x01\0\x0b192.0.2.7:1"),
        ("[fe80::1%3]:1", b"\0\x01\0\x0b[fe80::1]:1"),
    ] {
        let announced = announcement(&transport, Some(client.parse().unwrap())).unwrap();
        assert_eq!(announced, [written, b"\0\x02\0\x07hexchat\0\0\0\0"].concat(), "{client}");
    }
}

#[tokio::test]
async fn safe_cookie_is_found_among_other_types() {
    Server { auth_types: &[7, 1, 2, 0], ..GOOD }.run().await.0.unwrap();
}

#[tokio::test]
async fn without_a_known_type_we_say_0() {
    for auth_types in [&[0][..], &[2, 3, 0]] {
        let (result, seen, _) = Server { auth_types, ..GOOD }.run().await;
        assert!(matches!(result, Err(ExtOrError::NoAuth)), "{result:?}");
        assert_eq!(seen, [0]);
    }
}

#[tokio::test]
async fn endless_types_are_an_error() {
    let (mut ours, mut theirs) = duplex(4096);
    theirs.write_all(&[2; 4096]).await.unwrap();
    let result = handshake(&mut ours, &Cookie(SECRET), &hexchat(), NONCE).await;
    assert!(matches!(result, Err(ExtOrError::Protocol)), "{result:?}");
}

#[tokio::test]
async fn an_impostor_gets_no_proof_from_us() {
    let (result, seen, _) = Server { secret: [0; 32], ..GOOD }.run().await;
    assert!(matches!(result, Err(ExtOrError::WrongServer)), "{result:?}");
    assert_eq!(seen, [1], "the server saw no more than the choice and the nonce");
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let (result, ..) = Server { status: 0, ..GOOD }.run().await;
    assert!(matches!(result, Err(ExtOrError::AuthRefused)), "{result:?}");
    let (result, ..) = Server { replies: b"\x10\x01\0\0", ..GOOD }.run().await;
    assert!(matches!(result, Err(ExtOrError::Denied)), "{result:?}");
    let (result, ..) = Server { replies: b"\x10", ..GOOD }.run().await;
    assert!(matches!(result, Err(ExtOrError::Io(_))), "{result:?}");
}

#[tokio::test]
async fn unknown_commands_are_ignored_up_to_a_limit() {
    let (result, _, left) =
        Server { replies: b"\x10\x02\0\x03abc\xff\xff\0\0\x10\0\0\x01xrest", ..GOOD }.run().await;
    result.unwrap();
    assert_eq!(left, b"rest");
    let (result, ..) = Server { replies: &[0x20; 70_000 * 2], ..GOOD }.run().await;
    assert!(result.is_err());
    let (result, ..) = Server { replies: &[0; 4 * (MAX_UNKNOWN + 1)], ..GOOD }.run().await;
    assert!(matches!(result, Err(ExtOrError::Protocol)), "{result:?}");
}

#[test]
fn only_a_cookie_file_is_one() {
    let good = cookie_file();
    assert_eq!(Cookie::parse(&good).map(|cookie| cookie.0).unwrap(), SECRET);
    let mut bad_header = good.clone();
    bad_header[0] = b'?';
    for bad in [&b""[..], &good[..32], &good[..63], &[&good[..], b"\n"].concat(), &bad_header] {
        assert!(matches!(Cookie::parse(bad), Err(ExtOrError::BadCookie)), "{}", bad.len());
    }
}

#[tokio::test]
async fn the_cookie_is_read_anew_for_each_connection() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookie");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let limit = Duration::from_secs(20);
    let missing = connect(addr, &path, limit).await;
    assert!(matches!(missing, Err(ExtOrError::CookieFile(_))), "{missing:?}");
    std::fs::write(&path, [cookie_file(), vec![0]].concat()).unwrap();
    let long = connect(addr, &path, limit).await;
    assert!(matches!(long, Err(ExtOrError::BadCookie)), "{long:?}");
    for secret in [SECRET, [3; 32]] {
        std::fs::write(&path, [COOKIE_HEADER.as_slice(), &secret].concat()).unwrap();
        let serve = async { Server { secret, ..GOOD }.serve(listener.accept().await.unwrap().0).await };
        let (stream, seen) = tokio::join!(connect(addr, &path, limit), serve);
        assert_eq!(seen.unwrap().len(), 16);
        let mut left = Vec::new();
        stream.unwrap().read_to_end(&mut left).await.unwrap();
        assert_eq!(left, b"after");
    }
}

#[tokio::test]
async fn a_port_that_says_nothing_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cookie");
    std::fs::write(&path, cookie_file()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let result = connect(addr, &path, Duration::from_millis(50)).await;
    assert!(matches!(result, Err(ExtOrError::Timeout)), "{result:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = duplex(4096);
            theirs.write_all(&bytes).await.unwrap();
            theirs.shutdown().await.unwrap();
            let result = handshake(&mut ours, &Cookie(SECRET), &hexchat(), NONCE).await;
            prop_assert!(result.is_err());
            Ok(())
        })?;
    }
}
