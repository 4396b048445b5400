//! First connection: what the log says of it, for whoever waits.

use std::io::{Read as _, Write as _};

use hexchat_lab::on_both_servers;

use crate::harness::PATIENCE;
use crate::with_files::WithFiles;

/// What a user sees, in this order.
const LINES: [&str; 5] = [
    "account 1: the chat server is found",
    "account 1 is online as [scrubbed]",
    "account 1: the bridge is found",
    "account 1: the session with the bridge is up",
    "account 1: its server takes files",
];

on_both_servers! {
    fn each_step_of_a_first_connection_is_said_once_and_in_order(kind) {
        let with_files = WithFiles::start(kind);
        for _ in 0..2 {
            let (mut application, mut server) = with_files.stream_with_service();
            application.write_all(b"hello").unwrap();
            let mut heard = [0; 5];
            server.read_exact(&mut heard).unwrap();
        }
        let log = with_files.forward.log();
        let places = LINES.map(|words| {
            with_files.forward.says(words, PATIENCE);
            let places: Vec<_> = (0..log.len()).filter(|place| log[*place].contains(words)).collect();
            assert_eq!(places.len(), 1, "{words:?} in {log:#?}");
            places[0]
        });
        assert!(places.is_sorted(), "{log:#?}");
    }
}
