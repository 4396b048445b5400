//! Profile of SASL: the elements that carry it (RFC 6120 section 6.4, or XEP-0388 section 2). Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use secrecy::SecretString;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::sasl::DefinedCondition;
use xso::exports::rxml::xml_ncname;

/// Which elements carry a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// SASL, behind which another stream begins.
    Sasl,
    /// SASL2, behind which the stream goes on.
    Sasl2,
}

/// What a server answers.
#[derive(Debug)]
pub(super) enum Answer {
    /// It wants to know more.
    Challenge(Vec<u8>),
    /// We are logged in.
    Success {
        /// What shows that it is the server.
        data: Vec<u8>,
        /// What we can log in with the next time.
        token: Option<SecretString>,
    },
    /// We are not, for this reason.
    Failure(DefinedCondition),
}

impl Profile {
    /// Our first word, by this mechanism.
    pub(super) fn auth(self, mechanism: &str, data: &[u8]) -> Element {
        match self {
            Self::Sasl => {
                element_with("auth", ns::SASL, data).attr(xml_ncname!("mechanism").into(), mechanism).build()
            }
            Self::Sasl2 => Element::builder("authenticate", ns::SASL2)
                .attr(xml_ncname!("mechanism").into(), mechanism)
                .append(element_with("initial-response", ns::SASL2, data))
                .build(),
        }
    }

    /// Our answer to a challenge.
    pub(super) fn response(self, data: &[u8]) -> Element {
        element_with("response", self.namespace(), data).build()
    }

    /// What an element of the server's says; none if it is none of its answers.
    pub(super) fn read(self, element: &Element) -> Option<Answer> {
        if element.ns() != self.namespace() {
            return None;
        }
        Some(match element.name() {
            "challenge" => Answer::Challenge(data_of(Some(element))?),
            "success" => Answer::Success { data: self.data_of_success(element)?, token: token_of(element) },
            "failure" => {
                let mut conditions = element.children().cloned().map(DefinedCondition::try_from);
                Answer::Failure(conditions.find_map(Result::ok)?)
            }
            _ => return None,
        })
    }

    fn data_of_success(self, success: &Element) -> Option<Vec<u8>> {
        match self {
            Self::Sasl => data_of(Some(success)),
            Self::Sasl2 => data_of(success.get_child("additional-data", ns::SASL2)),
        }
    }

    fn namespace(self) -> &'static str {
        match self {
            Self::Sasl => ns::SASL,
            Self::Sasl2 => ns::SASL2,
        }
    }
}

fn element_with(name: &str, namespace: &str, data: &[u8]) -> xmpp_parsers::minidom::ElementBuilder {
    Element::builder(name, namespace).append(BASE64.encode(data))
}

/// The bytes in an element's base64: no bytes without an element; `None` if it is not base64.
fn data_of(element: Option<&Element>) -> Option<Vec<u8>> {
    let text = element.map(Element::text).unwrap_or_default();
    // A `=` alone stands for data of no length (RFC 6120 section 6.4.2).
    BASE64.decode(text.trim().trim_start_matches('=')).ok()
}

fn token_of(success: &Element) -> Option<SecretString> {
    success.get_child("token", ns::FAST)?.attr("token").map(SecretString::from)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use secrecy::ExposeSecret as _;

    const SASL: &str = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    const SASL2: &str = "xmlns='urn:xmpp:sasl:2'";

    fn read(profile: Profile, xml: &str) -> Option<Answer> {
        profile.read(&xml.parse().unwrap())
    }

    #[test]
    fn what_a_server_answers_is_read_in_both_profiles() {
        for (profile, namespace, success) in [
            (Profile::Sasl, SASL, format!("<success {SASL}>AQI=</success>")),
            (
                Profile::Sasl2,
                SASL2,
                format!("<success {SASL2}><additional-data>AQI=</additional-data><x xmlns='x'/></success>"),
            ),
        ] {
            let challenge = format!("<challenge {namespace}>AQI=</challenge>");
            assert!(matches!(read(profile, &challenge), Some(Answer::Challenge(data)) if data == [1, 2]));
            let success = read(profile, &success);
            assert!(matches!(success, Some(Answer::Success { data, token: None }) if data == [1, 2]));
            let failure = format!("<failure {namespace}><text>no</text><not-authorized {SASL}/></failure>");
            assert!(matches!(
                read(profile, &failure),
                Some(Answer::Failure(DefinedCondition::NotAuthorized))
            ));
        }
    }

    #[test]
    fn what_is_no_answer_or_another_profiles_is_not_read() {
        for other in [
            format!("<success {SASL2}/>"),
            format!("<auth {SASL}/>"),
            format!("<challenge {SASL}>?</challenge>"),
            format!("<failure {SASL}/>"),
            "<success xmlns='x'/>".to_owned(),
        ] {
            assert!(read(Profile::Sasl, &other).is_none(), "{other}");
        }
        assert!(read(Profile::Sasl2, &format!("<success {SASL}/>")).is_none());
    }

    #[test]
    fn a_success_may_say_nothing_and_bring_a_token() {
        for empty in ["", "="] {
            let success = read(Profile::Sasl, &format!("<success {SASL}>{empty}</success>"));
            assert!(matches!(success, Some(Answer::Success { data, .. }) if data.is_empty()));
        }
        let xml =
            format!("<success {SASL2}><token xmlns='urn:xmpp:fast:0' token='secret' expiry=''/></success>");
        let Some(Answer::Success { token: Some(token), .. }) = read(Profile::Sasl2, &xml) else {
            panic!("no token")
        };
        assert_eq!(token.expose_secret(), "secret");
    }
}
