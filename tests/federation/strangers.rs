//! Strangers who write to each other between the servers, beside bulk of ours.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::Federation;
use hexchat_lab::federation::{Site, Terms};
use hexchat_lab::server::ONE_LOGIN;

use crate::harness::{Half, PATIENCE, Target, random_bytes};
use crate::pair::Bridge;
use crate::prober::Prober;

/// Logins of the account that sends the bulk.
const LOGINS: usize = 4;

/// How many messages the strangers write.
const MESSAGES: usize = 8;

/// Between two of them.
const PAUSE: Duration = Duration::from_millis(600);

/// What is to be carried meanwhile of the 30,000 bytes a second that the Prosody reads from another server, of which 0.69 are ours where
/// blocks have 2 KiB: more than two thirds.
const CARRIED: f64 = 0.68 * 0.69 * 30_000.0;

/// Bulk without end from the target to the application, and how many bytes of it have come.
fn bulk(target: &Target, forward: &Half) -> (TcpStream, Arc<AtomicUsize>) {
    let (mut application, mut server) = target.connect_through(forward.entrance());
    let handle = application.try_clone().unwrap();
    thread::spawn(move || while server.write_all(&random_bytes(16 * 1024)).is_ok() {});
    let received = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&received);
    thread::spawn(move || -> io::Result<()> {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            counter.fetch_add(application.read(&mut buffer)?, Ordering::Relaxed);
        }
    });
    (handle, received)
}

/// Somebody with an account that nobody here uses.
async fn stranger(site: &Site) -> Prober {
    let mut stranger =
        Box::pin(Prober::log_in_at(site.for_clients(), site.ca_file(), "carol", &site.domain(), "")).await;
    stranger.come_online().await;
    stranger
}

/// How long a message takes from one to the other.
async fn message(from: &mut Prober, to: &mut Prober) -> Duration {
    let (id, since) = (from.new_id(), Instant::now());
    let address = &to.jid;
    from.send(&format!(
        "<message to='{address}' type='chat' id='{id}'><body>Where are you?</body></message>"
    ))
    .await;
    to.until(|stanza| stanza.name() == "message" && stanza.attr("id") == Some(&id)).await;
    since.elapsed()
}

fn wait_for_all_logins(half: &Half) {
    let deadline = Instant::now() + PATIENCE;
    while half.count("one login more") < LOGINS - 1 {
        assert!(Instant::now() < deadline, "{} further logins", half.count("one login more"));
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_message_of_strangers_beside_bulk_by_four_logins_takes_less_than_a_second_longer_and_most_of_the_rate_is_used()
 {
    let limited = Terms { has_limits: true, ..Terms::default() };
    let Federation { prosody, ejabberd, home, dns } = Federation::start(limited, Terms::default()).unwrap();
    home.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (mut here, mut there) =
            runtime.block_on(async { (stranger(&ejabberd).await, stranger(&prosody).await) });
        let target = Target::start();
        let logins = format!("sessions = {LOGINS}\n");
        let config = ejabberd.account_section("bob").replacen(ONE_LOGIN, &logins, 1);
        let bridge = Bridge::configured(config, target.address());
        let forward = bridge.forward_configured(&prosody.account_section("alice"));
        // The servers know each other by then.
        runtime.block_on(message(&mut here, &mut there));
        let idle = runtime.block_on(message(&mut here, &mut there));
        let (application, received) = bulk(&target, &forward);
        wait_for_all_logins(&bridge.half);
        let (since, before) = (Instant::now(), received.load(Ordering::Relaxed));
        let mut times = Vec::new();
        for _ in 0..MESSAGES {
            thread::sleep(PAUSE);
            times.push(runtime.block_on(message(&mut here, &mut there)));
        }
        let carried = (received.load(Ordering::Relaxed) - before) as f64 / since.elapsed().as_secs_f64();
        println!("idle {idle:?}, beside bulk {times:?}, {carried} B/s");
        let bearable = 2 * idle + Duration::from_secs(1);
        assert!(times.iter().all(|time| *time <= bearable), "idle {idle:?}, beside bulk {times:?}");
        assert!(carried >= CARRIED, "{carried} B/s");
        application.shutdown(Shutdown::Both).unwrap();
    });
    drop(dns);
}
