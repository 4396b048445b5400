//! Bulk goes by files, whichever way it goes, and nothing else does.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hexchat_lab::Kind;
use hexchat_lab::server::UPLOAD;

use crate::harness::{called, on_both_servers, random_bytes, trace_of, transfer};
use crate::with_files::{Lanes, WithFiles};

/// 2 MB: by stanzas 200 seconds at a stock Prosody, and eleven minutes at a stock ejabberd.
const BULK: usize = 2_000_000;

/// A tenth of what stanzas would take at the faster of the two.
const SOON: Duration = Duration::from_secs(20);

on_both_servers! {
    fn two_megabytes_down_arrive_intact_in_seconds(kind) {
        let halves = WithFiles::start(kind);
        let (application, server) = halves.stream_with_service();
        let start = Instant::now();
        transfer(server, application, &random_bytes(BULK));
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
        for names in [&halves.of_client, &halves.of_bridge] {
            let asked: BTreeSet<_> = names.asked().into_iter().collect();
            assert_eq!(asked, [UPLOAD.to_owned()].into(), "no other host is called by its name");
        }
    }

    fn two_megabytes_up_arrive_intact_in_seconds(kind) {
        let halves = WithFiles::start(kind);
        let (application, server) = halves.stream_with_service();
        let start = Instant::now();
        transfer(application, server, &random_bytes(BULK));
        assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    }
}

#[test]
fn where_either_half_wants_no_files_nothing_is_put_anywhere() {
    for lanes in
        [Lanes { client: "upload = false", bridge: "" }, Lanes { client: "", bridge: "upload = false" }]
    {
        let upload = hexchat_lab::server::Upload { max_file: 1 << 20, daily: 10 << 20 };
        let halves = WithFiles::with(Kind::Prosody, upload, lanes);
        let (application, server) = halves.stream();
        transfer(server, application, &random_bytes(60_000));
        assert_eq!((halves.of_client.asked().len(), halves.of_bridge.asked().len()), (0, 0));
        let is_looked_for = halves.forward.count("takes files") > 0;
        assert!(!is_looked_for || lanes.client.is_empty());
    }
}

#[test]
fn a_bridge_that_does_not_know_by_which_way_says_so_once_and_takes_no_part() {
    let lab = crate::harness::Lab::start(Kind::Prosody);
    let config = lab.config(&["bob"], &crate::harness::Route::StartTls);
    let bridge = crate::pair::Bridge::configured(config, "127.0.0.1:9".parse().unwrap());
    assert_eq!(bridge.half.count("files are not used: [lanes] proxy"), 1);
}

#[test]
fn a_trace_says_that_bulk_goes_by_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace");
    let lanes: &'static str = format!("[trace]\nfile = \"{}\"", path.display()).leak();
    let upload = hexchat_lab::server::Upload { max_file: 10 << 20, daily: 100 << 20 };
    let mut halves = WithFiles::with(Kind::Prosody, upload, Lanes { client: "", bridge: lanes });
    let (application, server) = halves.stream_with_service();
    transfer(server, application, &random_bytes(BULK));
    let trace = trace_of(&mut halves.bridge.half, &path);
    let lanes: Vec<_> = called(&trace, "lane_chosen").iter().map(|line| line["lane"].clone()).collect();
    assert_eq!(lanes[..2], ["chat", "files"]);
    assert!(called(&trace, "file_made").iter().any(|line| line["waiting"].as_u64() > Some(0)), "{trace:#?}");
}
