//! Login on a stream: the mechanism that is chosen, and what is said until the server has shown that it knows us (RFC 6120 section
//! 6, XEP-0388, XEP-0484). Pure.

use bytes::Bytes;
use secrecy::SecretString;
use xmpp_parsers::fast::{FastResponse, RequestToken};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::sasl::DefinedCondition;
use xso::exports::rxml::xml_ncname;

use super::choice::{self, Choice};
use super::memory::{Memory, Token};
use super::offer::Offer;
use super::profile::{Answer, Profile};
use super::talk::Talk;
use super::{Agreed, Channel, Hashing, Progress};
use crate::config::Credential;
use crate::xmpp::error::{AccountError, Step};
use crate::xmpp::intake::Word;
use crate::xmpp::sasl::{Exchange, Gs2, Mechanism};

/// Who logs in where.
#[derive(Clone)]
pub(in crate::xmpp) struct Who {
    pub(in crate::xmpp) jid: Jid,
    pub(in crate::xmpp) credential: Credential,
    /// The domain as it goes into the header of a stream.
    pub(in crate::xmpp) domain: String,
    /// The `from` of that header, our bare JID, without which some servers do not offer SASL2. None without TLS, where others could
    /// read it.
    pub(in crate::xmpp) from: Option<String>,
    /// The id of our user agent, a UUID, to which the server ties a token. It stays as long as the account.
    pub(in crate::xmpp) agent: String,
    /// Whether another login can follow this one, which a token would be of use to.
    pub(in crate::xmpp) comes_again: bool,
}

/// A login that is under way.
pub(super) struct LogIn {
    who: Who,
    channel: Channel,
    first_request: Bytes,
    token: Option<Token>,
    /// Whether a login of this account was bound to its connection.
    was_bound: bool,
    /// What the server has said that it offers.
    offer: Option<Offer>,
    attempt: Option<Attempt>,
}

/// Our part in SASL.
struct Attempt {
    choice: Choice,
    /// None while a challenge is being answered.
    exchange: Option<Exchange>,
    /// The mechanism of a token that comes of it.
    token_mechanism: Option<&'static str>,
}

impl LogIn {
    /// Says our first word at once, where it is known what the server offers.
    pub(super) fn begin(
        who: Who,
        channel: Channel,
        memory: Memory,
        first_request: Bytes,
        talk: &mut Talk,
    ) -> Result<Self, AccountError> {
        let Memory { offer: known, token, was_bound, .. } = memory;
        let mut login = Self { who, channel, first_request, token, was_bound, offer: None, attempt: None };
        if let Some(known) = known
            && let Ok(choice) = login.choose(&known)
        {
            login.authenticate(choice, &known, talk)?;
        }
        Ok(login)
    }

    pub(super) fn step(&self) -> Step {
        if self.offer.is_some() { Step::Login } else { Step::Stream }
    }

    pub(super) fn on_word(&mut self, word: Word, talk: &mut Talk) -> Result<Option<Progress>, AccountError> {
        match (word, &self.offer) {
            (Word::Features(features), None) => self.on_offer(Offer::read(&features), talk).map(|()| None),
            (Word::Nonza(element), Some(_)) => self.on_answer(&element, talk),
            (Word::Features(_), Some(_)) | (Word::Nonza(_), None) | (Word::Answer(_), _) => {
                Err(AccountError::Protocol(self.step()))
            }
        }
    }

    /// The response to a challenge is there.
    pub(super) fn respond(
        &mut self,
        exchange: Exchange,
        response: &[u8],
        talk: &mut Talk,
    ) -> Result<(), AccountError> {
        let Some(attempt) = &mut self.attempt else { return Err(AccountError::Protocol(Step::Login)) };
        talk.say(&attempt.choice.profile.response(response), Step::Login)?;
        attempt.exchange = Some(exchange);
        self.say_first_request(talk);
        Ok(())
    }

    /// Whatever was said before must be what we would say now.
    fn on_offer(&mut self, offer: Offer, talk: &mut Talk) -> Result<(), AccountError> {
        let choice = self.choose(&offer)?;
        match &self.attempt {
            None => self.authenticate(choice, &offer, talk)?,
            Some(attempt) if attempt.choice == choice => {}
            Some(_) => return Err(AccountError::NoMechanism),
        }
        self.offer = Some(offer);
        Ok(())
    }

    /// The best way that the server offers and that we accept.
    fn choose(&self, offer: &Offer) -> Result<Choice, AccountError> {
        if let (Some(token), Some(mechanism)) = (&self.token, self.best_token(offer))
            && token.mechanism == mechanism.name()
        {
            return Ok(Choice { profile: Profile::Sasl2, mechanism, needs_hash: false });
        }
        let mut choice = choice::choose(&self.who.credential, offer, &self.channel.bindings)?;
        // Over a WebSocket there is nothing to bind, whatever the server offers.
        let could_bind = !self.channel.bindings.is_empty();
        choice.needs_hash |= self.was_bound && could_bind && !choice.mechanism.is_bound();
        Ok(choice)
    }

    /// The mechanism of the best token that there can be. Who has no account has nothing that a token could stand for, and who logs in once
    /// would leave one behind at the server that nobody ever uses.
    fn best_token(&self, offer: &Offer) -> Option<Mechanism> {
        let is_of_use = self.who.comes_again && self.who.credential != Credential::Anonymous;
        choice::best_token(&offer.fast, &self.channel.bindings).filter(|_| is_of_use)
    }

    /// Says our first word.
    fn authenticate(&mut self, choice: Choice, offer: &Offer, talk: &mut Talk) -> Result<(), AccountError> {
        let Choice { profile, mechanism, .. } = &choice;
        let user = self.who.jid.node().map(|node| node.as_str()).unwrap_or_default();
        let exchange =
            Exchange::new(mechanism.clone(), user, self.secret_for(mechanism), &self.channel.nonce);
        let token_mechanism = self.best_token(offer).map(|mechanism| mechanism.name());
        let mut auth = profile.auth(mechanism.name(), &exchange.first());
        if *profile == Profile::Sasl2 {
            auth.append_child(self.user_agent());
            if let Mechanism::Token(_) = mechanism {
                // The count guards against replays in early data of TLS (XEP-0484), which we never send.
                auth.append_child(FastResponse { count: 1, invalidate: false }.into());
            } else if let Some(mechanism) = token_mechanism {
                auth.append_child(RequestToken { mechanism: mechanism.to_owned() }.into());
            }
        }
        talk.say(&auth, self.step())?;
        self.attempt = Some(Attempt { choice, exchange: Some(exchange), token_mechanism });
        self.say_first_request(talk);
        Ok(())
    }

    /// What a mechanism logs in with.
    fn secret_for(&self, mechanism: &Mechanism) -> SecretString {
        match (mechanism, &self.token, &self.who.credential) {
            (Mechanism::Token(_), Some(token), _) => token.secret.clone(),
            (Mechanism::Scram(..), _, Credential::Password(password)) => password.clone(),
            _ => SecretString::default(),
        }
    }

    fn user_agent(&self) -> Element {
        Element::builder("user-agent", ns::SASL2)
            .attr(xml_ncname!("id").into(), self.who.agent.as_str())
            .build()
    }

    /// Behind our last word, where the stream goes on behind it: the server reads it when we are logged in.
    fn say_first_request(&mut self, talk: &mut Talk) {
        let Some(Attempt { choice, exchange: Some(exchange), .. }) = &self.attempt else { return };
        if choice.profile == Profile::Sasl2 && exchange.has_said_all() {
            talk.say_written(&std::mem::take(&mut self.first_request));
        }
    }

    fn on_answer(&mut self, element: &Element, talk: &mut Talk) -> Result<Option<Progress>, AccountError> {
        let nonsense = AccountError::Protocol(Step::Login);
        let Some(Attempt { choice, exchange, token_mechanism }) = &mut self.attempt else {
            return Err(nonsense);
        };
        let (Some(exchange), Some(answer)) = (exchange.take(), choice.profile.read(element)) else {
            return Err(nonsense);
        };
        match answer {
            Answer::Challenge(challenge) => {
                let offered = self.offer.as_ref().map(|offer| offer.of(choice.profile)).ok_or(nonsense)?;
                exchange.check_offer(&challenge, &offered, choice.needs_hash)?;
                Ok(Some(Progress::Hash(Hashing { exchange, challenge })))
            }
            Answer::Failure(condition) => Err(refusal(&condition, &choice.mechanism)),
            Answer::Success { data, token } => {
                exchange.succeed(&data)?;
                let new = token.zip(*token_mechanism).map(|(secret, mechanism)| Token { mechanism, secret });
                let memory = Memory {
                    offer: self.offer.take(),
                    token: new.or(self.token.take()),
                    is_doubted: false,
                    was_bound: self.was_bound || choice.mechanism.is_bound(),
                };
                let framer = talk.hand_over();
                let ongoing = framer.filter(|_| choice.profile == Profile::Sasl2);
                Ok(Some(Progress::LoggedIn(Box::new(Agreed { ongoing, memory }))))
            }
        }
    }
}

/// What it means that the server does not let us in.
fn refusal(condition: &DefinedCondition, mechanism: &Mechanism) -> AccountError {
    match (condition, mechanism) {
        (DefinedCondition::TemporaryAuthFailure, _) => AccountError::sasl(condition),
        // A token that is refused says nothing about the password, so that this must not be final.
        (_, Mechanism::Token(_)) => AccountError::LoginRefused("credentials-expired"),
        // There is no password that could be wrong, and an account that could be.
        (condition, Mechanism::Anonymous) if is_judgement(condition) => AccountError::NotAnonymous,
        // What Prosody says where a login is bound to another connection, and where we say that it offers no binding, and it does.
        (DefinedCondition::MalformedRequest, _) if mechanism.is_bound() => AccountError::NotBound,
        (DefinedCondition::MalformedRequest, Mechanism::Scram(_, Gs2::NotOffered)) => {
            AccountError::Downgraded
        }
        _ => AccountError::sasl(condition),
    }
}

/// Whether a server says so of who wants in, or of the way, and not of a fault.
fn is_judgement(condition: &DefinedCondition) -> bool {
    match condition {
        DefinedCondition::NotAuthorized
        | DefinedCondition::AccountDisabled
        | DefinedCondition::CredentialsExpired
        | DefinedCondition::InvalidAuthzid
        | DefinedCondition::InvalidMechanism
        | DefinedCondition::MechanismTooWeak => true,
        DefinedCondition::Aborted
        | DefinedCondition::EncryptionRequired
        | DefinedCondition::IncorrectEncoding
        | DefinedCondition::MalformedRequest
        | DefinedCondition::TemporaryAuthFailure => false,
    }
}
