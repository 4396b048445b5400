//! Normal form of stanzas: everything is taken out that differs from one account and one moment to the next.

use std::collections::BTreeMap;

use xmpp_parsers::minidom::{Element, Node};

use crate::prober::Prober;
use crate::subject::Subject;

/// How ids begin that are the same for all who are compared, and matter to the last letter.
pub(crate) const KEPT: &str = "kept-";

/// So deep it goes; servers return what they could not deliver, however deep it is.
const DEPTH: usize = 50;

/// Puts words in the place of names.
pub(crate) struct Plainly {
    names: Vec<(String, &'static str)>,
    /// The ids of stanzas that were not asked for, in the order in which they came, if that matters.
    ids: Option<Vec<String>>,
}

impl Plainly {
    pub(crate) fn new(subject: &Subject, prober: &Prober) -> Self {
        let names = [
            (subject.jid.as_str(), "SUBJECT/RESOURCE"),
            (subject.bare(), "SUBJECT"),
            (prober.jid.as_str(), "PROBER/RESOURCE"),
            (prober.bare(), "PROBER"),
        ];
        Self { names: names.map(|(name, word)| (name.to_owned(), word)).into(), ids: Some(Vec::new()) }
    }

    /// For stanzas that come in no order.
    pub(crate) fn unordered(subject: &Subject, prober: &Prober) -> Self {
        Self { ids: None, ..Self::new(subject, prober) }
    }

    /// As text: attributes in order, ids only as what they are, digits of times as zeros.
    pub(crate) fn write(&mut self, stanza: &Element, asked: &str) -> String {
        let mut text = String::new();
        self.element(stanza, asked, "", DEPTH, &mut text);
        text
    }

    fn element(&mut self, element: &Element, asked: &str, parent_ns: &str, depth: usize, text: &mut String) {
        if depth == 0 {
            return text.push('…');
        }
        text.push_str(&format!("<{}", element.name()));
        if element.ns() != parent_ns {
            text.push_str(&format!(" xmlns='{}'", element.ns()));
        }
        let attributes: BTreeMap<String, String> = element
            .attrs()
            .iter()
            .map(|((ns, name), value)| (format!("{ns}{name}"), value.to_owned()))
            .collect();
        for (name, value) in attributes {
            text.push_str(&format!(" {name}='{}'", self.value(&name, &value, asked)));
        }
        text.push('>');
        for node in element.nodes() {
            match node {
                Node::Element(child) => self.element(child, asked, &element.ns(), depth - 1, text),
                Node::Text(words) if element.name() == "utc" || element.name() == "x" => {
                    text.push_str(&without_digits(words));
                }
                Node::Text(words) => text.push_str(words),
            }
        }
        text.push_str(&format!("</{}>", element.name()));
    }

    fn value(&mut self, name: &str, value: &str, asked: &str) -> String {
        if name == "id" && value == asked {
            return "the id of the request".into();
        }
        if name == "id" && value.starts_with(KEPT) {
            return value.to_owned();
        }
        if name == "stamp" {
            return without_digits(value);
        }
        if name == "id" {
            return self.new_id(value);
        }
        self.names.iter().fold(value.to_owned(), |value, (name, word)| value.replace(name, word))
    }

    /// Which new id it is, and what it looks like.
    fn new_id(&mut self, id: &str) -> String {
        let Some(ids) = &mut self.ids else { return format!("like {}", shape(id)) };
        let place = ids.iter().position(|known| known == id).unwrap_or_else(|| {
            ids.push(id.to_owned());
            ids.len() - 1
        });
        format!("number {place} like {}", shape(id))
    }
}

fn without_digits(text: &str) -> String {
    text.chars().map(|next| if next.is_ascii_digit() { '0' } else { next }).collect()
}

/// What an id is made of: `0` for a hexadecimal digit, except for those that tell a UUID.
fn shape(id: &str) -> String {
    let shape = |(place, next): (usize, char)| match next {
        '4' if place == 12 => '4',
        '0'..='9' | 'a'..='f' => '0',
        other => other,
    };
    id.chars().enumerate().map(shape).collect()
}
