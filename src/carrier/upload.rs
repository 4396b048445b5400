//! Upload service of an account's server (XEP-0363), and slots of it. Pure.
//!
//! What is asked for is what slixmpp's plugins for XEP-0363 and XEP-0454 ask for. Requests are made of the library's types. Answers
//! are read by hand: servers put forms and headers of their own into them, which are nothing to us, and by which the types would lose the whole.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`service`] | how a service says that it is one |
//! | [`slot`] | permission to put one file there: the request, and the answer |
//! | [`refusal`] | why there is none, and when to ask again |

pub mod refusal;
pub mod service;
pub mod slot;
