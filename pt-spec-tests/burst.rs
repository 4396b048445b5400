//! Row 32: Arti keeps 64 lines of standard output and drops what comes after them.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::child::{Launch, protocol};
use crate::socks::{SUCCEEDED, ask};

/// What Arti keeps.
const BUFFER: usize = 64;

/// As many requests as fail within a second or two.
const FAULTS: usize = 4000;

#[test]
fn row_32_a_launch_with_much_to_say_fits_into_the_buffer_with_its_protocol_lines() {
    let launch = Launch::client();
    let mut config = String::new();
    for number in 0..64 {
        // A warning each: everybody can read the password.
        let path = launch.file(format!("password{number}"), "x\n");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        config +=
            &format!("[[account]]\njid = \"a{number}@chat.example\"\npassword_file = \"password{number}\"\n");
    }
    let child = launch.config(&config).start();
    child.greeting();
    let lines = child.stdout();
    let done = lines.iter().position(|line| line == "CMETHODS DONE").unwrap();
    assert!(lines[..done].iter().any(|line| line.starts_with("LOG ")), "nothing was said: {lines:?}");
    assert!(done < BUFFER, "{done} lines before it");
    assert_eq!(protocol(&lines).len(), 3, "{lines:?}");
}

#[test]
fn row_32_thousands_of_faults_a_second_do_not_flood_tor() {
    // At this level every request has its line, also the hundredth about the same fault.
    let child = Launch::client().args(&["--log-level", "debug"]).start();
    let socks = child.socks();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..FAULTS / 4).for_each(|_| assert_ne!(ask(socks, b"malformed"), SUCCEEDED)));
        }
    });
    // The next line after a pause says how many there were no lines about.
    while !child.process.lines().iter().any(|line| line.contains("messages were left out here")) {
        ask(socks, b"malformed");
        assert!(started.elapsed() < Duration::from_secs(60), "it does not say that it left something out");
    }
    let lines = child.stdout().iter().filter(|line| line.starts_with("LOG ")).count();
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 1;
    assert!(lines < BUFFER + 20 * seconds, "{lines} lines about {FAULTS} faults in {seconds} s");
}
