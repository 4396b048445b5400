//! Questions without end: a stranger who asks without end, at a server with the limit that servers have.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hexchat_lab::Kind;

use crate::harness::{Lab, Route, Target, connect};
use crate::pair::Bridge;
use crate::prober::Prober;

/// How long it asks.
const SIEGE: Duration = Duration::from_secs(20);
/// How often: 40 refusals a second are 14 kB, and the server takes 10.
const PACE: Duration = Duration::from_millis(25);

/// The longest of several echoes within this time.
fn longest_echo(tcp: &mut TcpStream, within: Duration) -> Duration {
    let (start, mut longest) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < within {
        let sent = Instant::now();
        tcp.write_all(b"hello").unwrap();
        tcp.read_exact(&mut [0; 5]).unwrap();
        longest = longest.max(sent.elapsed());
        thread::sleep(Duration::from_millis(200));
    }
    longest
}

/// Asks until told to stop; how many answers there were, of how many.
async fn ask_without_end(eve: &mut Prober, to: &str, stop: &AtomicBool) -> (usize, usize) {
    let (mut asked, mut answered) = (0, 0);
    let mut pace = tokio::time::interval(PACE);
    while !stop.load(Ordering::Relaxed) {
        tokio::select! {
            _ = pace.tick() => {
                asked += 1;
                eve.send(&format!("<iq type='get' id='{asked}' to='{to}'><x xmlns='y'/></iq>")).await;
            }
            _ = eve.next() => answered += 1,
        }
    }
    (asked, answered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_who_asks_without_end_keeps_nobody_waiting() {
    let (lab, target) = (Lab::stock(Kind::Prosody), Target::start());
    let bridge = Bridge::start(&lab, &["bob"], &Route::StartTls, target.address());
    let bob = std::fs::read_to_string(bridge.line_file()).unwrap();
    let bob = bob.split("jid=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let forward = bridge.forward(&lab, &["alice"], &Route::StartTls);
    target.echo_from_now_on();
    let mut tcp = connect(forward.entrance());
    longest_echo(&mut tcp, Duration::from_secs(2));
    let idle = longest_echo(&mut tcp, Duration::from_secs(5));

    let mut eve = Prober::log_in(&lab.server, "alice2").await;
    let stop = Arc::new(AtomicBool::new(false));
    let measuring = thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let longest = longest_echo(&mut tcp, SIEGE);
            stop.store(true, Ordering::Relaxed);
            longest
        }
    });
    let (asked, answered) = ask_without_end(&mut eve, &bob, &stop).await;
    let longest = measuring.join().unwrap();
    println!("echo {idle:?} idle, {longest:?} besieged; {answered} of {asked} questions answered");
    assert!(longest <= 3 * idle + Duration::from_secs(1), "{longest:?} instead of {idle:?}");
    assert!(asked > 500, "only {asked} questions");
    assert!(answered * 4 > asked, "only {answered} of {asked} questions were answered");
}
