//! Outcomes: what faults of slots and transfers mean to the core, and to whoever reads the log. Pure.

use std::time::Duration;

use crate::carrier::services::Failure;
use crate::carrier::upload::refusal::{Refusal, Rest};
use crate::carrier::upload::slot;
use crate::secure::files::{NoSlot, Slot};
use crate::secure::wire::file_frame::{FileEndReason, FileUrl, HeaderKind, SlotHeader};
use crate::xmpp::transfer::fault::{Consequence, Fault};

/// A slot in the words of the core; none if it cannot be passed on to the other end.
pub(super) fn slot(given: &slot::Slot) -> Option<Slot> {
    let header = |header: &slot::Header| SlotHeader::new(kind(header.name), &header.value);
    let mut headers: Vec<_> = given.headers.iter().map(header).collect::<Option<_>>()?;
    headers.sort_by_key(SlotHeader::kind);
    Some(Slot { put: FileUrl::new(&given.put)?, headers, get: FileUrl::new(&given.get)? })
}

fn kind(name: slot::HeaderName) -> HeaderKind {
    match name {
        slot::HeaderName::Authorization => HeaderKind::Authorization,
        slot::HeaderName::Cookie => HeaderKind::Cookie,
        slot::HeaderName::Expires => HeaderKind::Expires,
    }
}

/// How a header is written.
pub(super) fn field(header: &SlotHeader) -> (&'static str, String) {
    let name = match header.kind() {
        HeaderKind::Authorization => slot::HeaderName::Authorization,
        HeaderKind::Cookie => slot::HeaderName::Cookie,
        HeaderKind::Expires => slot::HeaderName::Expires,
    };
    (name.as_str(), header.value().to_owned())
}

/// What it means that there is no slot, at this time in seconds since 1970.
pub(super) fn no_slot(failure: &Failure, now: u64) -> NoSlot {
    match failure {
        Failure::Refused(refusal) => refused(refusal, now),
        Failure::Silent | Failure::LoggedOut => NoSlot::MayPass,
        Failure::NoService => NoSlot::Useless,
    }
}

fn refused(refusal: &Refusal, now: u64) -> NoSlot {
    match refusal.rest(now) {
        Rest::Smaller(limit) => NoSlot::TooLarge(limit),
        Rest::For(rest) => NoSlot::Enough(rest),
        Rest::BackOff => NoSlot::MayPass,
        Rest::UntilLogin => NoSlot::Useless,
    }
}

/// What follows from that, as the log says it.
pub(super) fn what_follows(no_slot: NoSlot) -> String {
    match no_slot {
        NoSlot::MayPass => "trying again later".to_owned(),
        NoSlot::Enough(rest) => format!("trying again within {}", hours(rest)),
        NoSlot::TooLarge(_) => "trying smaller ones".to_owned(),
        NoSlot::Useless => "there are none until it logs in anew".to_owned(),
    }
}

fn hours(time: Duration) -> String {
    match time.as_secs().div_ceil(60 * 60) {
        ..=1 => "an hour".to_owned(),
        hours => format!("{hours} hours"),
    }
}

/// What the other end is told of a transfer that failed.
pub(super) fn reason(fault: Fault) -> FileEndReason {
    match fault {
        Fault::TimedOut => FileEndReason::TooSlow,
        Fault::Missing(_) | Fault::BadRequest => FileEndReason::Missing,
        Fault::NoAddress | Fault::Redirected(_) => FileEndReason::BadUrl,
        Fault::Refused(_) | Fault::Length => FileEndReason::Refused,
        Fault::TooMuch(_) => FileEndReason::TooMuch,
        _ => FileEndReason::Unreachable,
    }
}

/// Whether it says something of the service, and not of one file alone.
pub(super) fn is_of_service(fault: Fault) -> bool {
    fault.consequence() != Consequence::FileLost
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_slot_is_passed_on_with_its_headers_in_their_order() {
        let header = |name, value: &str| slot::Header { name, value: value.to_owned() };
        let given = slot::Slot {
            put: "https://upload.chat.example/a.jpg?x".to_owned(),
            headers: vec![
                header(slot::HeaderName::Cookie, "a=b"),
                header(slot::HeaderName::Authorization, "Bearer x"),
            ],
            get: "https://upload.chat.example/a.jpg".to_owned(),
        };
        let passed_on = slot(&given).unwrap();
        let fields: Vec<_> = passed_on.headers.iter().map(field).collect();
        let expected = [("Authorization", "Bearer x"), ("Cookie", "a=b")];
        assert_eq!(fields, expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!((passed_on.put.as_str(), passed_on.get.as_str()), (&given.put[..], &given.get[..]));
        let spaced = slot::Slot { get: "https://upload.chat.example/a b".to_owned(), ..given };
        assert_eq!(slot(&spaced), None);
    }

    #[test]
    fn each_refusal_means_the_same_to_the_core() {
        let day = Duration::from_secs(24 * 3600);
        for (failure, expected) in [
            (Failure::Silent, NoSlot::MayPass),
            (Failure::NoService, NoSlot::Useless),
            (Refusal::Quota { retry: None }.into(), NoSlot::Enough(day)),
            (Refusal::TooLarge { limit: Some(7) }.into(), NoSlot::TooLarge(Some(7))),
            (Refusal::NotAllowed("forbidden").into(), NoSlot::Useless),
            (Refusal::Nonsense.into(), NoSlot::MayPass),
        ] {
            assert_eq!(no_slot(&failure, 0), expected, "{failure}");
        }
        assert_eq!(what_follows(NoSlot::Enough(day)), "trying again within 24 hours");
        assert_eq!(what_follows(NoSlot::Enough(Duration::from_secs(3601))), "trying again within 2 hours");
        assert_eq!(what_follows(NoSlot::Enough(Duration::from_secs(3600))), "trying again within an hour");
    }

    #[test]
    fn each_fault_of_a_transfer_has_a_reason_with_the_same_consequence() {
        for (fault, expected) in [
            (Fault::TimedOut, FileEndReason::TooSlow),
            (Fault::Missing(404), FileEndReason::Missing),
            (Fault::Redirected(302), FileEndReason::BadUrl),
            (Fault::NoAddress, FileEndReason::BadUrl),
            (Fault::Refused(413), FileEndReason::Refused),
            (Fault::Length, FileEndReason::Refused),
            (Fault::TooMuch(507), FileEndReason::TooMuch),
            (Fault::Failing(502), FileEndReason::Unreachable),
            (Fault::Tls, FileEndReason::Unreachable),
        ] {
            assert_eq!(reason(fault), expected, "{fault}");
        }
        assert!(is_of_service(Fault::Tls) && !is_of_service(Fault::Missing(404)));
    }
}
