//! Choice of a mechanism: the best that a server offers, bound to the connection where both ends can (XEP-0440 section 3, XEP-0474
//! section 5). Pure.
//!
//! A login that is bound has the server refuse whoever stands in between. So they would take from the offer what binds. Where an offer
//! contradicts itself that has happened, and there is no login. Where it does not, we say that we could have bound, and a server that has
//! offered it refuses. And if it may have happened and need not, the server is to say in its challenge what it has offered, unless there are
//! servers that offer such and cannot say so.

use std::collections::BTreeSet;

use super::offer::{Offer, is_binding};
use super::profile::Profile;
use crate::config::Credential;
use crate::xmpp::channel_binding::{BindingType, ChannelBindings};
use crate::xmpp::error::AccountError;
use crate::xmpp::sasl::{ANONYMOUS, Gs2, HASHES, Hash, Mechanism, token_mechanism};

/// How to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) profile: Profile,
    pub(super) mechanism: Mechanism,
    /// Whether the server has to say what it has offered before it gets an answer.
    pub(super) needs_hash: bool,
}

/// The best choice, in the profile that takes fewer round trips if it is as good there.
///
/// # Errors
///
/// Nothing is offered that we accept, or the offer was changed on its way.
pub(super) fn choose(
    credential: &Credential,
    offer: &Offer,
    bindings: &ChannelBindings,
) -> Result<Choice, AccountError> {
    let choices = [(Profile::Sasl2, &offer.sasl2), (Profile::Sasl, &offer.sasl)].map(|(profile, names)| {
        let (mechanism, needs_hash) = match credential {
            Credential::Anonymous if names.contains(ANONYMOUS) => (Mechanism::Anonymous, false),
            Credential::Anonymous => return Err(AccountError::NotAnonymous),
            Credential::Password(_) => scram(profile, names, offer, bindings)?,
            // Nobody logs in so: an account that is new has a password by then, and a component does not log in by SASL.
            Credential::New | Credential::Component(_) => return Err(AccountError::NoMechanism),
        };
        Ok(Choice { profile, mechanism, needs_hash })
    });
    let best = choices.iter().flatten().min_by_key(|choice| rank(&choice.mechanism)).cloned();
    let is_downgraded = choices.contains(&Err(AccountError::Downgraded));
    best.ok_or(match credential {
        _ if is_downgraded => AccountError::Downgraded,
        Credential::Anonymous => AccountError::NotAnonymous,
        Credential::Password(_) | Credential::New | Credential::Component(_) => AccountError::NoMechanism,
    })
}

/// The best that a token can be for, if it can be for anything.
pub(super) fn best_token(fast: &BTreeSet<String>, bindings: &ChannelBindings) -> Option<Mechanism> {
    let is_offered = |of: Option<BindingType>| fast.contains(token_mechanism(of));
    let binding = bindings.strongest(|of| is_offered(Some(of)));
    (binding.is_some() || is_offered(None)).then_some(Mechanism::Token(binding))
}

/// How good a mechanism is: the less, the better. What binds is better than what hashes better: HMAC with SHA-1 is not broken.
fn rank(mechanism: &Mechanism) -> (bool, Option<Hash>) {
    match mechanism {
        Mechanism::Scram(hash, _) => (!mechanism.is_bound(), Some(*hash)),
        Mechanism::Token(_) | Mechanism::Anonymous => (!mechanism.is_bound(), None),
    }
}

/// The best way to log in with a password, and whether the server has to say what it has offered.
fn scram(
    profile: Profile,
    names: &BTreeSet<String>,
    offer: &Offer,
    bindings: &ChannelBindings,
) -> Result<(Mechanism, bool), AccountError> {
    let bound = HASHES.into_iter().find(|hash| names.contains(hash.bound_mechanism()));
    let unbound = HASHES.into_iter().find(|hash| names.contains(hash.mechanism()));
    let without = |gs2, needs_hash| {
        let hash = unbound.ok_or(AccountError::NoMechanism)?;
        Ok((Mechanism::Scram(hash, gs2), needs_hash))
    };
    if bindings.is_empty() || bound.or(unbound).is_none() {
        return without(Gs2::Unsupported, false);
    }
    match &offer.binding_types {
        Some(types) if names.iter().any(|name| is_binding(name)) => {
            match (bound, bindings.strongest(|of| types.contains(of.name()))) {
                (Some(hash), Some(binding)) => Ok((Mechanism::Scram(hash, Gs2::Bound(binding)), false)),
                // Servers bind over TLS 1.2 to nothing but `tls-unique`, or have a certificate that names no hash. Who puts such a list in
                // the place of another gets no more than by taking it away, and SASL2 with it.
                (_, None) => without(Gs2::Unsupported, false),
                (None, Some(_)) => without(Gs2::Unsupported, true),
            }
        }
        None if !offer.can_bind() => without(Gs2::NotOffered, false),
        // Old servers mean `tls-unique`, which is not for TLS 1.3. They have no SASL2.
        None if profile == Profile::Sasl => without(Gs2::Unsupported, false),
        Some(_) | None => Err(AccountError::Downgraded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xmpp::channel_binding::ChannelBinding;

    const SHA_1: &str = "SCRAM-SHA-1";
    const SHA_256: &str = "SCRAM-SHA-256";
    const SHA_1_PLUS: &str = "SCRAM-SHA-1-PLUS";
    const SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
    const EXPORTER: &str = "tls-exporter";
    const END_POINT: &str = "tls-server-end-point";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(ToString::to_string).collect()
    }

    fn sasl(names: &[&str], types: Option<&[&str]>) -> Offer {
        Offer { sasl: set(names), binding_types: types.map(set), ..Offer::default() }
    }

    fn sasl2(names: &[&str], types: Option<&[&str]>) -> Offer {
        Offer { sasl2: set(names), binding_types: types.map(set), ..Offer::default() }
    }

    fn over_tls() -> ChannelBindings {
        ChannelBindings {
            exporter: Some(b"exporter".to_vec()),
            server_end_point: Some(b"end point".to_vec()),
        }
    }

    fn password() -> Credential {
        Credential::Password("secret".into())
    }

    /// What is chosen over TLS: the mechanism, and what our header says.
    fn chosen(offer: &Offer) -> Result<(&'static str, String), AccountError> {
        let choice = choose(&password(), offer, &over_tls())?;
        Ok((choice.mechanism.name(), said(&choice)))
    }

    fn said(choice: &Choice) -> String {
        let needs_hash = if choice.needs_hash { " with a hash" } else { "" };
        match &choice.mechanism {
            Mechanism::Scram(_, Gs2::Bound(binding)) => format!("{binding:?}{needs_hash}"),
            Mechanism::Scram(_, Gs2::NotOffered) => format!("y{needs_hash}"),
            Mechanism::Scram(_, Gs2::Unsupported) => format!("n{needs_hash}"),
            other => format!("{other:?}"),
        }
    }

    fn is(name: &'static str, said: &str) -> Result<(&'static str, String), AccountError> {
        Ok((name, said.to_owned()))
    }

    #[test]
    fn plain_is_never_accepted() {
        assert_eq!(chosen(&sasl(&["PLAIN"], None)), Err(AccountError::NoMechanism));
        assert_eq!(chosen(&sasl(&["PLAIN", SHA_1], None)), is(SHA_1, "y"));
        assert_eq!(chosen(&sasl(&["PLAIN"], Some(&[EXPORTER]))), Err(AccountError::NoMechanism));
    }

    #[test]
    fn the_strongest_binding_that_both_have_is_used_with_the_better_hash() {
        for offer in [sasl, sasl2] {
            let all = [SHA_1, SHA_256, SHA_1_PLUS, SHA_256_PLUS];
            assert_eq!(chosen(&offer(&all, Some(&[END_POINT, EXPORTER]))), is(SHA_256_PLUS, EXPORTER));
            assert_eq!(chosen(&offer(&all, Some(&[END_POINT, "tls-unique"]))), is(SHA_256_PLUS, END_POINT));
            let old = [SHA_1, SHA_1_PLUS, SHA_256];
            assert_eq!(chosen(&offer(&old, Some(&[EXPORTER]))), is(SHA_1_PLUS, EXPORTER));
            assert_eq!(chosen(&offer(&[SHA_1_PLUS], Some(&[EXPORTER]))), is(SHA_1_PLUS, EXPORTER));
        }
    }

    #[test]
    fn a_server_that_offers_no_binding_is_told_that_we_could() {
        for offer in [sasl, sasl2] {
            assert_eq!(chosen(&offer(&[SHA_1, SHA_256], None)), is(SHA_256, "y"));
        }
        let by_sasl_alone = Offer { sasl: set(&[SHA_1, SHA_1_PLUS]), ..sasl2(&[SHA_1], None) };
        assert_eq!(chosen(&by_sasl_alone), is(SHA_1, "n"), "it has some, and we have read that");
    }

    #[test]
    fn who_cannot_bind_says_so_and_chooses_nothing_that_binds() {
        let plain = ChannelBindings::default();
        for types in [None, Some(&[EXPORTER, END_POINT][..])] {
            let choice = choose(&password(), &sasl(&[SHA_1, SHA_1_PLUS], types), &plain);
            assert_eq!(choice.map(|choice| (choice.mechanism.name(), said(&choice))), is(SHA_1, "n"));
            let only_bound = choose(&password(), &sasl(&[SHA_1_PLUS], types), &plain);
            assert_eq!(only_bound, Err(AccountError::NoMechanism));
        }
    }

    /// XEP-0440 section 3, rules 4 and 5. The first is undefined for SASL, where ejabberd 23.01 does it.
    #[test]
    fn an_offer_that_contradicts_itself_was_changed_on_its_way() {
        let without_types = [SHA_1, SHA_1_PLUS];
        assert_eq!(chosen(&sasl2(&without_types, None)), Err(AccountError::Downgraded));
        assert_eq!(chosen(&sasl(&without_types, None)), is(SHA_1, "n"));
        for offer in [sasl, sasl2] {
            assert_eq!(chosen(&offer(&[SHA_1], Some(&[EXPORTER]))), Err(AccountError::Downgraded));
        }
        let one_is_right = Offer { sasl: set(&without_types), ..sasl2(&without_types, None) };
        assert_eq!(chosen(&one_is_right), is(SHA_1, "n"), "by SASL");
    }

    /// XEP-0440 section 3, rule 6, as XEP-0474 section 5 has it.
    #[test]
    fn a_mechanism_that_we_do_not_know_is_to_be_vouched_for() {
        for offer in [sasl, sasl2] {
            let unknown_hash = offer(&[SHA_1, "SCRAM-SHA-512-PLUS"], Some(&[EXPORTER]));
            assert_eq!(chosen(&unknown_hash), is(SHA_1, "n with a hash"));
        }
    }

    #[test]
    fn a_server_that_binds_to_nothing_that_we_have_lets_us_in_unbound() {
        for offer in [sasl, sasl2] {
            for types in [&["tls-unique"][..], &[]] {
                assert_eq!(chosen(&offer(&[SHA_1, SHA_1_PLUS], Some(types))), is(SHA_1, "n"), "{types:?}");
            }
            let no_end_point = ChannelBindings { server_end_point: None, ..over_tls() };
            let choice = choose(&password(), &offer(&[SHA_1, SHA_1_PLUS], Some(&[END_POINT])), &no_end_point);
            assert_eq!(choice.map(|choice| (choice.mechanism.name(), said(&choice))), is(SHA_1, "n"));
            let only_bound = chosen(&offer(&[SHA_1_PLUS], Some(&["tls-unique"])));
            assert_eq!(only_bound, Err(AccountError::NoMechanism));
        }
    }

    #[test]
    fn sasl2_is_for_where_it_is_as_good() {
        let both = |sasl2: &[&str], sasl: &[&str]| Offer {
            sasl2: set(sasl2),
            sasl: set(sasl),
            binding_types: Some(set(&[EXPORTER])),
            ..Offer::default()
        };
        for (sasl2, sasl, profile) in [
            (&[SHA_1_PLUS][..], &[SHA_1_PLUS][..], Profile::Sasl2),
            (&[SHA_256_PLUS], &[SHA_1_PLUS], Profile::Sasl2),
            (&[SHA_1_PLUS], &[SHA_256_PLUS], Profile::Sasl),
            (&[SHA_256], &[SHA_1_PLUS], Profile::Sasl),
        ] {
            let choice = choose(&password(), &both(sasl2, sasl), &over_tls());
            assert_eq!(choice.map(|choice| choice.profile), Ok(profile), "{sasl2:?} {sasl:?}");
        }
    }

    #[test]
    fn anonymous_only_when_asked_for() {
        let anonymous = |names: &[&str]| choose(&Credential::Anonymous, &sasl(names, None), &over_tls());
        assert_eq!(chosen(&sasl(&[ANONYMOUS], None)), Err(AccountError::NoMechanism));
        let choice = anonymous(&[ANONYMOUS, SHA_1]).map(|choice| choice.mechanism);
        assert_eq!(choice, Ok(Mechanism::Anonymous));
        assert_eq!(anonymous(&[SHA_1]), Err(AccountError::NotAnonymous));
        let with_types = choose(&Credential::Anonymous, &sasl(&[ANONYMOUS], Some(&[EXPORTER])), &over_tls());
        assert!(with_types.is_ok(), "there is nothing to bind");
    }

    #[test]
    fn a_token_is_for_the_strongest_binding_that_both_have() {
        let for_what = |offered: &[&str], bindings: &ChannelBindings| {
            best_token(&set(offered), bindings).map(|mechanism| mechanism.name())
        };
        let [expr, endp, none, uniq] =
            ["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE", "HT-SHA-256-UNIQ"];
        assert_eq!(for_what(&[none, endp, expr, uniq], &over_tls()), Some(expr));
        assert_eq!(for_what(&[none, endp], &over_tls()), Some(endp));
        assert_eq!(for_what(&[none, uniq], &over_tls()), Some(none));
        assert_eq!(for_what(&[uniq], &over_tls()), None);
        assert_eq!(for_what(&[none, endp, expr], &ChannelBindings::default()), Some(none));
        assert_eq!(for_what(&[expr], &ChannelBindings::default()), None);
        let bound_to_the_certificate =
            ChannelBinding { of: BindingType::ServerEndPoint, data: b"end point".to_vec() };
        assert_eq!(
            best_token(&set(&[endp]), &over_tls()),
            Some(Mechanism::Token(Some(bound_to_the_certificate)))
        );
    }
}
