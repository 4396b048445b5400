//! Form of a registration: what a server wants to know, and what we answer (XEP-0077, XEP-0004, XEP-0158, XEP-0066). Pure.

use secrecy::ExposeSecret as _;
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns::{DATA_FORMS, OOB, REGISTER};
use xso::exports::rxml::xml_ncname;

use crate::xmpp::registration::{NewAccount, Refusal, WebPage};

/// The fields of a CAPTCHA (XEP-0158 section 4), and those that come with one.
const OF_CAPTCHA: [&str; 13] = [
    "ocr",
    "qa",
    "SHA-256",
    "audio_recog",
    "speech_q",
    "speech_recog",
    "picture_q",
    "picture_recog",
    "video_q",
    "video_recog",
    "challenge",
    "captchahidden",
    "captcha-fallback-url",
];

/// The form of a CAPTCHA.
const CAPTCHA: &str = "urn:xmpp:captcha";

/// The fields that we have something for.
const OURS: [&str; 2] = ["username", "password"];

/// How the name and the password are to be given.
pub(super) enum Wanted {
    /// Each in an element of its own.
    Elements,
    /// In a form, whose hidden fields go back as they came.
    Form { hidden: Vec<(String, Vec<String>)> },
}

/// The question what is wanted.
pub(super) fn question() -> Element {
    Element::bare("query", REGISTER)
}

/// What the server wants to know, if that is a name and a password.
pub(super) fn read(query: &Element) -> Result<Wanted, Refusal> {
    let form = query.get_child("x", DATA_FORMS);
    let fields: Vec<&Element> =
        form.into_iter().flat_map(Element::children).filter(|child| child.name() == "field").collect();
    if fields.iter().any(|field| is_captcha(field)) {
        return Err(Refusal::Captcha);
    }
    if query.has_child("registered", REGISTER) {
        return Err(Refusal::Registered);
    }
    let is_for_us = OURS.iter().all(|name| fields.iter().any(|field| var(field) == *name && is_open(field)));
    let wanted = if is_for_us { Ok(filled_in(&fields)) } else { read_elements(query) };
    let asks_for_more = fields.iter().any(|field| is_required(field) && !OURS.contains(&var(field)));
    if asks_for_more { wanted.and(Err(Refusal::Form)) } else { wanted }
}

/// The form, of which nothing but the name and the password is answered, and what it hides.
fn filled_in(fields: &[&Element]) -> Wanted {
    let hidden = fields.iter().filter(|field| is_hidden(field));
    Wanted::Form { hidden: hidden.map(|field| (var(field).to_owned(), values(field))).collect() }
}

/// All that is named there is asked for.
fn read_elements(query: &Element) -> Result<Wanted, Refusal> {
    let asked: Vec<&str> = query
        .children()
        .filter(|child| child.ns() == REGISTER && child.name() != "instructions")
        .map(Element::name)
        .collect();
    let has = |name| asked.contains(&name);
    match has("username") && has("password") {
        true if asked.len() == 2 => Ok(Wanted::Elements),
        false if query.has_child("x", OOB) => Err(Refusal::Web),
        _ => Err(Refusal::Form),
    }
}

/// The web page that is named in place of what is wanted (XEP-0077, redirection).
pub(super) fn page(query: &Element) -> Option<WebPage> {
    let url = query.get_child("x", OOB)?.get_child("url", OOB)?;
    WebPage::new(&url.text())
}

impl Wanted {
    /// The answer.
    pub(super) fn answer(&self, account: &NewAccount) -> Element {
        let given = [("username", account.user.as_str()), ("password", account.password.expose_secret())];
        match self {
            Self::Elements => {
                let elements =
                    given.map(|(name, text)| Element::builder(name, REGISTER).append(text).build());
                Element::builder("query", REGISTER).append_all(elements).build()
            }
            Self::Form { hidden } => {
                let hidden = hidden.iter().map(|(var, values)| field(var, values.iter().map(String::as_str)));
                let given = given.map(|(var, text)| field(var, [text]));
                let form = Element::builder("x", DATA_FORMS)
                    .attr(xml_ncname!("type").into(), "submit")
                    .append_all(hidden)
                    .append_all(given);
                Element::builder("query", REGISTER).append(form).build()
            }
        }
    }
}

fn field<'a>(var: &str, values: impl IntoIterator<Item = &'a str>) -> Element {
    let values = values.into_iter().map(|text| Element::builder("value", DATA_FORMS).append(text).build());
    Element::builder("field", DATA_FORMS).attr(xml_ncname!("var").into(), var).append_all(values).build()
}

fn var(field: &Element) -> &str {
    field.attr("var").unwrap_or_default()
}

fn values(field: &Element) -> Vec<String> {
    field.children().filter(|child| child.name() == "value").map(Element::text).collect()
}

fn is_captcha(field: &Element) -> bool {
    OF_CAPTCHA.contains(&var(field))
        || var(field) == "FORM_TYPE" && values(field).iter().any(|value| value == CAPTCHA)
}

fn is_hidden(field: &Element) -> bool {
    field.attr("type") == Some("hidden")
}

/// Whether it is for whoever answers to fill in.
fn is_open(field: &Element) -> bool {
    !matches!(field.attr("type"), Some("hidden" | "fixed"))
}

fn is_required(field: &Element) -> bool {
    field.has_child("required", DATA_FORMS) && !is_hidden(field)
}
