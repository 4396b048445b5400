//! Negotiation of a stream up to the login, as a pure core: bytes in, bytes out, and in the end what was agreed on (RFC 6120 sections
//! 4 to 6).
//!
//! It asks for TLS or registers an account, each on a stream of its own, or logs in. Whoever has a socket drives it: write what
//! [`take_output`](Negotiation::take_output) gives, do what [`poll`](Negotiation::poll) asks for, hand in what comes.
//!
//! A login says in one write whatever needs no answer. Where the last login has taught what the server offers, our header and our
//! first word of SASL go together; with SASL2 (XEP-0388), behind which the stream goes on, the first request of the session follows
//! our last word; and with a token that the server gave us (XEP-0484) all of that is one write. Round trips that are waited for:
//!
//! ```text
//!   until              a first login     known, SASL     known, SASL2     a token
//!   features                 1                0               0              0
//!   challenge                1                1               1              0
//!   success                  1                1               1              1
//!   session                  1                1               0              0
//! ```
//!
//! The request for a resource is the same in all of them. Who presumes what the server answers does not wait for the session either
//! ([`connection`](super::connection)); nothing but that request goes before success, since up to there the server has not shown that it
//! knows the password. What a login is bound to is known before its first word, so that binding takes no round trip. Bind 2 (XEP-0386) is
//! not used: there the server makes up the resource, and ours stands in bridge lines; and what goes in the same write takes no round trip
//! more.

mod choice;
mod log_in;
mod memory;
mod offer;
mod profile;
mod register;
mod start_tls;
mod talk;
#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use self::log_in::LogIn;
pub(super) use self::log_in::Who;
pub(super) use self::memory::Memory;
pub(super) use self::register::Applicant;
use self::register::Register;
use self::start_tls::StartTls;
use self::talk::Talk;
use super::channel_binding::ChannelBindings;
use super::error::{AccountError, Step};
use super::framer::Framer;
use super::registration::NewAccount;
use super::sasl::Exchange;

/// What a login needs of the connection that it goes over.
pub(super) struct Channel {
    bindings: ChannelBindings,
    /// What makes our part unlike that of any other login.
    nonce: String,
}

impl Channel {
    /// With what names the connection; the bytes are random.
    pub(super) fn new(bindings: ChannelBindings, random: [u8; 32]) -> Self {
        Self { bindings, nonce: BASE64.encode(random) }
    }
}

/// A stream before it is logged in.
pub(super) struct Negotiation {
    talk: Talk,
    goal: Goal,
}

enum Goal {
    Tls(StartTls),
    Login(Box<LogIn>),
    Registration(Box<Register>),
}

/// What is to be done next.
pub(super) enum Progress {
    /// More has to come from the server.
    Waiting,
    /// The password is to be hashed, which takes a while. The result goes into [`Negotiation::handle_response`].
    Hash(Hashing),
    /// TLS begins.
    Tls,
    /// We are logged in.
    LoggedIn(Box<Agreed>),
    /// This account is to be kept where it cannot be lost. Then [`Negotiation::handle_kept`] asks for it.
    Keep(NewAccount),
    /// The server has registered it.
    Registered(NewAccount),
}

/// A challenge and what is to answer it.
pub(super) struct Hashing {
    exchange: Exchange,
    challenge: Vec<u8>,
}

/// How a login has ended.
pub(super) struct Agreed {
    /// What the stream goes on with, where none begins anew. The first request of the session has been written then.
    pub(super) ongoing: Option<Framer>,
    /// For the next login.
    pub(super) memory: Memory,
}

impl Negotiation {
    /// Asks the server of this domain for TLS. Of elements of more than `max_stanza` bytes nothing is read.
    pub(super) fn start_tls(domain: &str, max_stanza: usize) -> Self {
        Self { talk: Talk::begin(domain, None, max_stanza), goal: Goal::Tls(StartTls::default()) }
    }

    /// Logs in. Where the stream goes on behind the login, `first_request` follows our last word.
    ///
    /// # Errors
    ///
    /// What is known of the server is of no use.
    pub(super) fn log_in(
        who: Who,
        channel: Channel,
        memory: Memory,
        first_request: Bytes,
        max_stanza: usize,
    ) -> Result<Self, AccountError> {
        let mut talk = Talk::begin(&who.domain, who.from.as_deref(), max_stanza);
        let login = LogIn::begin(who, channel, memory, first_request, &mut talk)?;
        Ok(Self { talk, goal: Goal::Login(Box::new(login)) })
    }

    /// Registers an account.
    pub(super) fn register(applicant: Applicant, max_stanza: usize) -> Self {
        let talk = Talk::begin(&applicant.domain, None, max_stanza);
        Self { talk, goal: Goal::Registration(Box::new(Register::new(applicant))) }
    }

    /// Which step a fault would belong to.
    pub(super) fn step(&self) -> Step {
        match &self.goal {
            Goal::Tls(_) => Step::StartTls,
            Goal::Login(login) => login.step(),
            Goal::Registration(_) => Step::Register,
        }
    }

    /// What is to be written, in one go.
    pub(super) fn take_output(&mut self) -> Bytes {
        self.talk.take_output()
    }

    /// Takes in what has come.
    ///
    /// # Errors
    ///
    /// It is more than a server has to say, or no XML.
    pub(super) fn handle_read(&mut self, bytes: &[u8]) -> Result<(), AccountError> {
        let step = self.step();
        self.talk.hear(bytes, step)
    }

    /// The response to a challenge is there.
    pub(super) fn handle_response(
        &mut self,
        exchange: Exchange,
        response: &[u8],
    ) -> Result<(), AccountError> {
        match &mut self.goal {
            Goal::Tls(_) | Goal::Registration(_) => Ok(()),
            Goal::Login(login) => login.respond(exchange, response, &mut self.talk),
        }
    }

    /// The account is kept that was to be.
    ///
    /// # Errors
    ///
    /// None was.
    pub(super) fn handle_kept(&mut self) -> Result<(), AccountError> {
        match &mut self.goal {
            Goal::Registration(register) => register.on_kept(&mut self.talk),
            Goal::Tls(_) | Goal::Login(_) => Ok(()),
        }
    }

    /// What is to be done next. While the server's answer is waited for, what there is to write is to be written.
    ///
    /// # Errors
    ///
    /// The server refuses, does not show that it knows the password, or makes no sense.
    pub(super) fn poll(&mut self) -> Result<Progress, AccountError> {
        // What the server says before it can have read our last word is no answer to it.
        while self.talk.has_said_all()
            && let Some(word) = self.talk.next(self.step())?
        {
            let progress = match &mut self.goal {
                Goal::Tls(start_tls) => start_tls.on_word(word, &mut self.talk)?,
                Goal::Login(login) => login.on_word(word, &mut self.talk)?,
                Goal::Registration(register) => register.on_word(word, &mut self.talk)?,
            };
            if let Some(progress) = progress {
                return Ok(progress);
            }
        }
        Ok(Progress::Waiting)
    }
}

impl Hashing {
    /// Computes the response.
    ///
    /// # Errors
    ///
    /// The challenge is none that we answer.
    pub(super) fn run(self) -> Result<(Exchange, Vec<u8>), AccountError> {
        self.exchange.respond(&self.challenge)
    }
}
