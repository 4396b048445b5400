//! Session opening, on a stream that is logged in: resumption, or else a resource. Pure.
//!
//! The first request is written before the server has said what it offers, which saves a round trip: with the header of the stream,
//! or, where the stream goes on behind the login, with our last word of that. Every server binds resources, and one that let us
//! resume its session offers that again.
//!
//! ```text
//!   Resuming ──resumed──▶ open        (XEP-0198 section 5)
//!      │ failed
//!      ▼
//!   Binding ──bound──▶ open           (RFC 6120 section 7)
//! ```
//!
//! A server handles what comes on a stream in order (RFC 6120 section 10.1). So where it is presumed that we get the resource that we
//! ask for, stanzas go right behind that request, which saves another round trip (`presumption`). An error before the answer to that
//! request shows that it is not so.
//!
//! Where both ends are to count in a new session, that is asked for when it is open (`enabling`).

use bytes::{Bytes, BytesMut};
use xmpp_parsers::bind::{BindQuery, BindResponse};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::FullJid;
use xmpp_parsers::message::MessageType;
use xmpp_parsers::presence;
use xmpp_parsers::sm::Resume;
use xmpp_parsers::stanza::Stanza;
use xmpp_parsers::stream_features::StreamFeatures;

use super::presumption::Presumption;
use super::sm::{Nonza, Session};
use crate::xmpp::error::{self, AccountError};
use crate::xmpp::writer::{Unwritable, Writer};

/// Whether both ends count the stanzas of a new session (XEP-0198).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::xmpp) enum Counting {
    /// Not wanted.
    #[default]
    No,
    /// For as long as the connection lasts.
    OneConnection,
    /// So that the session can be resumed on another connection.
    Resumable,
}

/// What a session begins with.
#[derive(Default)]
pub(in crate::xmpp) struct Start {
    /// The domain that the stream is to.
    pub(in crate::xmpp) domain: String,
    /// The resource to ask for; none leaves it to the server.
    pub(in crate::xmpp) resource: Option<String>,
    /// The id of the request for a resource.
    pub(in crate::xmpp) id: String,
    /// Whether to count, where the server does.
    pub(in crate::xmpp) counting: Counting,
    /// As whom the server is presumed to know us once it has read the request for a resource; none waits for its answer.
    pub(in crate::xmpp) presumed: Option<FullJid>,
}

impl Start {
    /// What is asked for first, as it is written: for who can send it before there is a connection.
    pub(in crate::xmpp) fn first_request(&self, earlier: Option<&Session>) -> Bytes {
        let bind = || bind(self.resource.clone(), self.id.clone());
        let first = self.resume(earlier).map_or_else(bind, Request::Resume);
        first.write(&mut Writer::new()).map(BytesMut::freeze).unwrap_or_default()
    }

    /// The request to resume this session, if that is wanted and possible.
    pub(super) fn resume(&self, earlier: Option<&Session>) -> Option<Resume> {
        earlier.and_then(Session::resume).filter(|_| self.counting != Counting::No)
    }
}

/// What is said to the server.
pub(super) enum Request {
    Resume(Resume),
    Bind(Box<Iq>),
}

impl Request {
    pub(super) fn write(&self, writer: &mut Writer) -> Result<BytesMut, Unwritable> {
        match self {
            Self::Resume(resume) => writer.write(resume),
            Self::Bind(iq) => writer.write(&**iq),
        }
    }
}

fn bind(resource: Option<String>, id: String) -> Request {
    let payload = BindQuery::new(resource).into();
    Request::Bind(Box::new(Iq::Set { from: None, to: None, id, payload }))
}

/// What follows from an element of the server's.
pub(super) enum Outcome {
    /// Nothing: its answer is still to come.
    Waiting,
    /// The earlier session goes on, in which the server has handled so many of our stanzas.
    Resumed { h: u32 },
    /// The earlier session is over, and the server had handled so many, where it knows. This is to be said.
    NotResumed { h: Option<u32>, then: Request },
    /// A new session has begun, in which the server can count.
    Begun { jid: FullJid, server_counts: bool },
    /// A resource was presumed, and the server refuses it, has given us another one, or refuses a stanza before it has said which.
    Misbound(AccountError),
    /// The server gives us no resource, and we had presumed none.
    Refused(AccountError),
    /// That is no answer.
    Nonsense,
}

/// A session that is being opened.
pub(super) struct Opening {
    step: Step,
    resource: Option<String>,
    id: String,
    /// Whether the server counts stanzas, once it has said what it offers.
    server_counts: Option<bool>,
    presumption: Option<Presumption>,
}

enum Step {
    Resuming,
    Binding,
}

impl Opening {
    /// Begins behind the first request, which `resumes` an earlier session or not. A resource that is asked for can be `presumed`.
    pub(super) fn new(
        resource: Option<String>,
        id: String,
        resumes: bool,
        presumed: Option<FullJid>,
    ) -> Self {
        let step = if resumes { Step::Resuming } else { Step::Binding };
        Self { step, resource, id, server_counts: None, presumption: presumed.map(Presumption::new) }
    }

    /// Whether stanzas can be sent already.
    pub(super) fn is_presumed(&self) -> bool {
        self.presumption.is_some()
    }

    /// The stanzas with these tags are written.
    pub(super) fn on_written(&mut self, tags: impl Iterator<Item = u64>) {
        if let Some(presumption) = &mut self.presumption {
            presumption.on_written(tags);
        }
    }

    /// It is known now, or nothing will ever be.
    pub(super) fn take_presumption(&mut self) -> Option<Presumption> {
        self.presumption.take()
    }

    fn bind(&self) -> Request {
        bind(self.resource.clone(), self.id.clone())
    }

    /// Whether the server has said what it offers: then it has taken up the stream.
    pub(super) fn has_features(&self) -> bool {
        self.server_counts.is_some()
    }

    /// Whether stanzas that come now may be for us. While a resource is being bound, none can be.
    pub(super) fn may_get_stanzas(&self) -> bool {
        !matches!(self.step, Step::Binding)
    }

    /// The server says what it offers.
    pub(super) fn on_features(&mut self, features: &StreamFeatures) -> Outcome {
        let counts = features.stream_management.is_some();
        self.server_counts = Some(counts);
        match self.step {
            _ if !features.can_bind() => Outcome::Nonsense,
            Step::Resuming if !counts => {
                self.step = Step::Binding;
                Outcome::NotResumed { h: None, then: self.bind() }
            }
            Step::Resuming | Step::Binding => Outcome::Waiting,
        }
    }

    /// An element has come that is no stanza; none if it is unknown.
    pub(super) fn on_nonza(&mut self, nonza: Option<Nonza>) -> Outcome {
        match (&self.step, nonza) {
            (Step::Resuming, Some(Nonza::Resumed { h })) => Outcome::Resumed { h },
            (Step::Resuming, Some(Nonza::Failed { h })) => {
                self.step = Step::Binding;
                Outcome::NotResumed { h, then: self.bind() }
            }
            _ => Outcome::Nonsense,
        }
    }

    /// A stanza has come while there is no resource. An error can only be about a stanza that was sent behind the request: the server has
    /// read that in nobody's name.
    pub(super) fn on_stanza(&mut self, stanza: Stanza) -> Outcome {
        let is_about_presumed = self.is_presumed() && is_error(&stanza);
        match stanza {
            Stanza::Iq(iq) if iq.id() == self.id => self.on_answer(iq),
            _ if is_about_presumed => Outcome::Misbound(AccountError::Protocol(error::Step::Bind)),
            Stanza::Iq(_) | Stanza::Message(_) | Stanza::Presence(_) => Outcome::Waiting,
        }
    }

    fn on_answer(&self, answer: Iq) -> Outcome {
        if let Iq::Error { error, .. } = answer {
            let reason = AccountError::bind(error);
            return if self.is_presumed() { Outcome::Misbound(reason) } else { Outcome::Refused(reason) };
        }
        match (bound_as(answer), self.server_counts) {
            (Some(jid), Some(server_counts)) if self.is_as_presumed(&jid) => {
                Outcome::Begun { jid, server_counts }
            }
            (Some(_), Some(_)) => Outcome::Misbound(AccountError::OtherResource),
            _ if self.is_presumed() => Outcome::Misbound(AccountError::Protocol(error::Step::Bind)),
            _ => Outcome::Nonsense,
        }
    }

    fn is_as_presumed(&self, jid: &FullJid) -> bool {
        self.presumption.as_ref().is_none_or(|presumption| presumption.jid() == jid)
    }
}

fn is_error(stanza: &Stanza) -> bool {
    match stanza {
        Stanza::Iq(iq) => matches!(iq, Iq::Error { .. }),
        Stanza::Message(message) => message.type_ == MessageType::Error,
        Stanza::Presence(presence) => presence.type_ == presence::Type::Error,
    }
}

fn bound_as(answer: Iq) -> Option<FullJid> {
    match answer {
        Iq::Result { payload: Some(payload), .. } => Some(BindResponse::try_from(payload).ok()?.jid),
        _ => None,
    }
}
