//! Login on a stream: the mechanism that is chosen, and what is said until the server has shown that it knows us (RFC 6120 section
//! 6, XEP-0388, XEP-0484). Pure.

use bytes::Bytes;
use secrecy::ExposeSecret as _;
use xmpp_parsers::fast::{FastResponse, RequestToken};
use xmpp_parsers::jid::Jid;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::sasl::DefinedCondition;
use xso::exports::rxml::xml_ncname;

use super::memory::{Memory, Token};
use super::offer::Offer;
use super::profile::{Answer, Profile};
use super::talk::Talk;
use super::{Agreed, Hashing, Progress};
use crate::config::Credential;
use crate::xmpp::error::{AccountError, Step};
use crate::xmpp::intake::Word;
use crate::xmpp::sasl::{self, Exchange, HT_SHA_256_NONE};

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
}

/// A login that is under way.
pub(super) struct LogIn {
    who: Who,
    first_request: Bytes,
    token: Option<Token>,
    /// What the server has said that it offers.
    offer: Option<Offer>,
    attempt: Option<Attempt>,
}

/// Our part in SASL.
struct Attempt {
    profile: Profile,
    /// None while a challenge is being answered.
    exchange: Option<Exchange>,
    mechanism: &'static str,
}

impl LogIn {
    /// Says our first word at once, where it is known what the server offers.
    pub(super) fn begin(
        who: Who,
        memory: Memory,
        first_request: Bytes,
        talk: &mut Talk,
    ) -> Result<Self, AccountError> {
        let Memory { offer: known, token, .. } = memory;
        let mut login = Self { who, first_request, token, offer: None, attempt: None };
        if let Some(known) = known {
            login.authenticate(&known, talk)?;
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
        talk.say(&attempt.profile.response(response), Step::Login)?;
        attempt.exchange = Some(exchange);
        self.say_first_request(talk);
        Ok(())
    }

    /// Whatever was said before, the server must offer it now.
    fn on_offer(&mut self, offer: Offer, talk: &mut Talk) -> Result<(), AccountError> {
        match &self.attempt {
            None => self.authenticate(&offer, talk)?,
            Some(attempt) if attempt.is_offered(&offer) => {}
            Some(_) => return Err(self.no_way_in()),
        }
        self.offer = Some(offer);
        Ok(())
    }

    /// Says our first word, by the best way that the server offers and that we accept.
    fn authenticate(&mut self, offer: &Offer, talk: &mut Talk) -> Result<(), AccountError> {
        let Who { jid, credential, .. } = &self.who;
        // Who has no account has nothing that a token could stand for.
        let can_use_token = *credential != Credential::Anonymous && offer.fast.contains(HT_SHA_256_NONE);
        let (profile, exchange) = match &self.token {
            Some(Token(token)) if can_use_token => {
                (Profile::Sasl2, Exchange::with_token(jid, token.expose_secret()))
            }
            _ => {
                let (profile, name) = choose(credential, offer).ok_or_else(|| self.no_way_in())?;
                (profile, Exchange::new(jid, credential, name)?)
            }
        };
        let mut auth = profile.auth(exchange.name(), exchange.first());
        if profile == Profile::Sasl2 {
            auth.append_child(self.user_agent());
            if exchange.name() == HT_SHA_256_NONE {
                // The count guards against replays in early data of TLS (XEP-0484), which we never send.
                auth.append_child(FastResponse { count: 1, invalidate: false }.into());
            } else if can_use_token {
                auth.append_child(RequestToken { mechanism: HT_SHA_256_NONE.to_owned() }.into());
            }
        }
        talk.say(&auth, self.step())?;
        self.attempt = Some(Attempt { profile, mechanism: exchange.name(), exchange: Some(exchange) });
        self.say_first_request(talk);
        Ok(())
    }

    /// The server offers nothing that we accept.
    fn no_way_in(&self) -> AccountError {
        match self.who.credential {
            Credential::Anonymous => AccountError::NotAnonymous,
            Credential::Password(_) | Credential::New | Credential::Component(_) => AccountError::NoMechanism,
        }
    }

    fn user_agent(&self) -> Element {
        Element::builder("user-agent", ns::SASL2)
            .attr(xml_ncname!("id").into(), self.who.agent.as_str())
            .build()
    }

    /// Behind our last word, where the stream goes on behind it: the server reads it when we are logged in.
    fn say_first_request(&mut self, talk: &mut Talk) {
        let Some(Attempt { profile: Profile::Sasl2, exchange: Some(exchange), .. }) = &self.attempt else {
            return;
        };
        if exchange.has_said_all() {
            talk.say_written(&std::mem::take(&mut self.first_request));
        }
    }

    fn on_answer(&mut self, element: &Element, talk: &mut Talk) -> Result<Option<Progress>, AccountError> {
        let nonsense = AccountError::Protocol(Step::Login);
        let Some(Attempt { profile, exchange, .. }) = &mut self.attempt else { return Err(nonsense) };
        let (Some(exchange), Some(answer)) = (exchange.take(), profile.read(element)) else {
            return Err(nonsense);
        };
        match answer {
            Answer::Challenge(challenge) => Ok(Some(Progress::Hash(Hashing { exchange, challenge }))),
            // A token that is refused says nothing about the password, so that this must not be final.
            Answer::Failure(condition)
                if exchange.name() == HT_SHA_256_NONE
                    && condition != DefinedCondition::TemporaryAuthFailure =>
            {
                Err(AccountError::LoginRefused("credentials-expired"))
            }
            Answer::Failure(condition) => Err(AccountError::sasl(&condition)),
            Answer::Success { data, token } => {
                exchange.succeed(&data)?;
                let token = token.or(self.token.take());
                let memory = Memory { offer: self.offer.take(), token, is_doubted: false };
                let framer = talk.hand_over();
                let ongoing = framer.filter(|_| *profile == Profile::Sasl2);
                Ok(Some(Progress::LoggedIn(Box::new(Agreed { ongoing, memory }))))
            }
        }
    }
}

impl Attempt {
    fn is_offered(&self, offer: &Offer) -> bool {
        let offered = match self.profile {
            _ if self.mechanism == HT_SHA_256_NONE => &offer.fast,
            Profile::Sasl => &offer.sasl,
            Profile::Sasl2 => &offer.sasl2,
        };
        offered.contains(self.mechanism)
    }
}

/// The best mechanism, in the profile that takes fewer round trips if it is as good there.
fn choose(credential: &Credential, offer: &Offer) -> Option<(Profile, &'static str)> {
    let sasl = sasl::choose(credential, &offer.sasl).map(|name| (Profile::Sasl, name));
    let sasl2 = sasl::choose(credential, &offer.sasl2).map(|name| (Profile::Sasl2, name));
    sasl2.into_iter().chain(sasl).min_by_key(|(_, name)| sasl::rank(name))
}
