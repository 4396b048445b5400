//! Presuming a resource: whether an account that asks for one by name counts on getting it. Pure.
//!
//! It saves a round trip at each login, and it is only ever a guess: a server that gives another resource, or none, is not trusted in
//! this again, and neither is one whose connections end twice in a row before it has answered, which may be due to what came behind the
//! request.

/// Whether the next login presumes its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presuming {
    Trusting,
    /// It does, though the connection of the last one ended before the server had answered.
    Doubting,
    Never,
}

impl Presuming {
    pub(super) fn may_presume(self) -> bool {
        self != Self::Never
    }

    /// The server has bound what was presumed.
    pub(super) fn on_confirmed(&mut self) {
        if self.may_presume() {
            *self = Self::Trusting;
        }
    }

    /// The server has said something else.
    pub(super) fn on_refuted(&mut self) {
        *self = Self::Never;
    }

    /// The connection is over, and the server has not answered.
    pub(super) fn on_unanswered(&mut self) {
        *self = match self {
            Self::Trusting => Self::Doubting,
            Self::Doubting | Self::Never => Self::Never,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_that_ends_too_soon_says_little_and_two_in_a_row_are_enough() {
        let mut presuming = Presuming::Trusting;
        for _ in 0..3 {
            presuming.on_unanswered();
            assert!(presuming.may_presume());
            presuming.on_confirmed();
        }
        (0..2).for_each(|_| presuming.on_unanswered());
        assert!(!presuming.may_presume());
    }

    #[test]
    fn who_was_wrong_once_never_presumes_again() {
        let mut presuming = Presuming::Trusting;
        presuming.on_refuted();
        presuming.on_unanswered();
        presuming.on_confirmed();
        assert!(!presuming.may_presume());
    }
}
