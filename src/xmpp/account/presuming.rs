//! Presuming a resource: whether an account that asks for one by name counts on getting it.
//!
//! It saves a round trip at each login, and it is only a guess. An account whose server gives it another resource, or none, never
//! presumes again; nor does one whose connection ends twice in a row before the server has answered, since what came behind the request
//! may be the reason. Later accounts with the same bare JID do not either (`distrusted`).

use xmpp_parsers::jid::BareJid;

use super::distrusted::Distrusted;
use crate::xmpp::api::Binding;

/// Whether the next login of an account presumes its resource.
pub(super) struct Presuming {
    trust: Trust,
    account: BareJid,
    distrusted: Distrusted,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Trusting,
    /// It still presumes, but its last connection ended before the server had answered.
    Warned,
    Never,
}

impl Presuming {
    /// That of an account that begins, and may be known as one that is `distrusted`.
    pub(super) fn new(binding: Binding, account: BareJid, distrusted: Distrusted) -> Self {
        let trust = match binding {
            Binding::Presumed if !distrusted.contains(&account) => Trust::Trusting,
            Binding::Presumed | Binding::Awaited => Trust::Never,
        };
        Self { trust, account, distrusted }
    }

    pub(super) fn may_presume(&self) -> bool {
        self.trust != Trust::Never
    }

    /// The server has bound what was presumed.
    pub(super) fn on_confirmed(&mut self) {
        if self.may_presume() {
            self.trust = Trust::Trusting;
        }
    }

    /// The server has said something else.
    pub(super) fn on_refuted(&mut self) {
        self.trust = Trust::Never;
        self.distrusted.insert(&self.account);
    }

    /// The connection is over, and the server has not answered.
    pub(super) fn on_unanswered(&mut self) {
        match self.trust {
            Trust::Trusting => self.trust = Trust::Warned,
            Trust::Warned => self.on_refuted(),
            Trust::Never => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn begin(account: &str, distrusted: &Distrusted) -> Presuming {
        Presuming::new(Binding::Presumed, account.parse().unwrap(), distrusted.clone())
    }

    #[test]
    fn one_connection_that_ends_too_soon_says_little_and_two_in_a_row_are_enough() {
        let mut presuming = begin("alice@chat.example", &Distrusted::default());
        for _ in 0..3 {
            presuming.on_unanswered();
            assert!(presuming.may_presume());
            presuming.on_confirmed();
        }
        (0..2).for_each(|_| presuming.on_unanswered());
        assert!(!presuming.may_presume());
    }

    #[test]
    fn who_was_wrong_once_never_presumes_again_and_neither_does_its_next_account() {
        for is_refuted in [true, false] {
            let distrusted = Distrusted::default();
            let mut presuming = begin("alice@chat.example", &distrusted);
            if is_refuted {
                presuming.on_refuted();
            }
            (0..2).for_each(|_| presuming.on_unanswered());
            presuming.on_confirmed();
            assert!(!presuming.may_presume());
            assert!(!begin("alice@chat.example", &distrusted).may_presume());
            assert!(begin("bob@chat.example", &distrusted).may_presume());
        }
    }

    #[test]
    fn who_is_to_wait_for_its_resource_says_nothing_of_the_server() {
        let distrusted = Distrusted::default();
        let account = "alice@chat.example";
        let mut waiting = Presuming::new(Binding::Awaited, account.parse().unwrap(), distrusted.clone());
        assert!(!waiting.may_presume());
        waiting.on_unanswered();
        assert!(begin(account, &distrusted).may_presume());
    }
}
