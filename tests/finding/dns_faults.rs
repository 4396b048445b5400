//! Faults of DNS servers that answer: one sentence each, and another than where nobody answers.

use hexchat_lab::dns::Record;
use hexchat_lab::ports::random_loopback;

use super::{DIRECT, START_TLS};
use crate::faults::fault;

/// Codes of answers (RFC 1035 section 4.1.1).
const SERVFAIL: Record = Record::Fault(2);
const REFUSED: Record = Record::Fault(5);

#[test]
fn a_dns_server_that_answers_with_a_fault_is_said_to() {
    for (answer, sentence) in [
        (
            SERVFAIL,
            "dialling the chat server: the DNS server could not find out (SERVFAIL); if it stays, the DNS of that name",
        ),
        (
            REFUSED,
            "dialling the chat server: the DNS server refuses to answer (REFUSED); it may not be for this network",
        ),
    ] {
        let names = [DIRECT, START_TLS, "chat.example", "host.example"];
        let records = names.map(|name| (name, answer.clone()));
        fault(&records, "", sentence);
        fault(&records, "server = \"host.example:5222\"\n", sentence);
    }
}

const UNKNOWN: &str = "(the SRV records of the domain could not be asked for: the DNS server could not find out (SERVFAIL)); the chat server \
                       may be on another machine or port, which those would name: give it as `server`";

#[test]
fn where_srv_records_could_not_be_asked_for_the_domain_is_tried_and_its_fault_says_so() {
    let nobody = Record::A(random_loopback());
    let records = [(DIRECT, SERVFAIL), (START_TLS, SERVFAIL), ("chat.example", nobody)];
    fault(&records, "", &format!("dialling the chat server: connection refused {UNKNOWN}"));
    fault(
        &records[..2],
        "",
        &format!("dialling the chat server: the domain of the account has no address {UNKNOWN}"),
    );
}

#[test]
fn where_one_service_is_known_the_fault_of_its_machine_is_all_that_is_said() {
    let records =
        [(DIRECT, SERVFAIL), (START_TLS, Record::srv(0, 1, "host.example")), ("host.example", super::HERE)];
    fault(&records, "", "dialling the chat server: connection refused; check that the chat server runs");
}
