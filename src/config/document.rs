//! TOML with positions: the reader that knows on which line everything stands.
//!
//! It walks the parsed document rather than deserialising it into structs, because the error texts of serde and of the
//! TOML parser repeat values and source lines, and these are passwords here.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Location, Problem, shown_key};
use super::limits::Limits;
use super::similar::hint;

/// A value and where it was written.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Given<T> {
    pub(super) value: T,
    pub(super) location: Location,
}

/// A file's text, to tell where in it something stands.
pub(super) struct Document<'t> {
    pub(super) path: Arc<Path>,
    pub(super) text: &'t str,
}

/// One table of the document, all of whose keys are known.
pub(super) struct Section<'d> {
    document: &'d Document<'d>,
    name: &'static str,
    table: &'d DeTable<'d>,
    location: Location,
}

impl<'d> Document<'d> {
    /// Parses the text.
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'d>>, ConfigError> {
        DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(self.text.len(), |span| span.start);
            ConfigError::new(self.location(at), self.key_near(at), syntax_problem(error.message()))
        })
    }

    /// Opens the document itself as a section.
    pub(super) fn root(
        &'d self,
        table: &'d Spanned<DeTable<'d>>,
        known: &[&'static str],
    ) -> Result<Section<'d>, ConfigError> {
        Section::new(self, "", table.get_ref(), self.location(0), known)
    }

    /// Line and column of a byte.
    pub(super) fn location(&self, at: usize) -> Location {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..).map_or(0, |line| line.chars().count()) + 1;
        Location::File { path: Arc::clone(&self.path), line, column }
    }

    /// The key that stands at the beginning of the line with that byte, if it is one of ours: what else stands there
    /// may be the middle of a password.
    fn key_near(&self, at: usize) -> String {
        let start =
            self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1);
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let word = line.trim_start().split(|c| !is_name(c)).next().unwrap_or_default();
        if is_contract_key(word) { word.to_owned() } else { String::new() }
    }
}

impl<'d> Section<'d> {
    fn new(
        document: &'d Document<'d>,
        name: &'static str,
        table: &'d DeTable<'d>,
        location: Location,
        known: &[&'static str],
    ) -> Result<Self, ConfigError> {
        let section = Self { document, name, table, location };
        match table.keys().find(|key| !known.contains(&key.get_ref().as_ref())) {
            None => Ok(section),
            Some(key) => {
                let location = document.location(key.span().start);
                let problem = Problem::UnknownKey(hint(name, key.get_ref(), known));
                Err(ConfigError::new(location, section.key(&shown_key(key.get_ref())), problem))
            }
        }
    }

    /// A key with its section, as errors name it.
    fn key(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{} {key}", self.name) }
    }

    /// An error about a key that stands at `location`.
    pub(super) fn error(&self, location: Location, key: &str, problem: Problem) -> ConfigError {
        ConfigError::new(location, self.key(key), problem)
    }

    /// An error about a key that is not there.
    pub(super) fn missing(&self, key: &str, advice: &'static str) -> ConfigError {
        self.error(self.location.clone(), key, Problem::Missing(advice))
    }

    /// The keys that are there.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'d str> {
        self.table.keys().map(|key| key.get_ref().as_ref())
    }

    /// A value that `parse` accepts.
    pub(super) fn parsed<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Result<Option<Given<T>>, ConfigError> {
        let text = |value: &'d DeValue<'d>| value.as_str().ok_or(Problem::WrongType("text in quotes"));
        self.read(key, |value| text(value).and_then(parse))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, key: &str) -> Result<Option<Given<bool>>, ConfigError> {
        self.read(key, |value| value.as_bool().ok_or(Problem::WrongType("true or false")))
    }

    /// Text in quotes, which `parse` gets as `Ok`, or `true` or `false`, as `Err`.
    pub(super) fn word_or_flag<T>(
        &self,
        key: &str,
        parse: impl FnOnce(Result<&str, bool>) -> Result<T, Problem>,
    ) -> Result<Option<Given<T>>, ConfigError> {
        let given = |value: &'d DeValue<'d>| value.as_str().map(Ok).or(value.as_bool().map(Err));
        self.read(key, |value| {
            given(value).ok_or(Problem::WrongType("text in quotes, or false")).and_then(parse)
        })
    }

    /// A list of texts, at most so many, each of which `parse` accepts; `expected` says what they must be.
    pub(super) fn list<T>(
        &self,
        key: &str,
        (max, expected): (usize, &'static str),
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let list = self.read(key, |value| {
            let items = value.as_array().ok_or(Problem::WrongType("a list in brackets"))?;
            if items.len() > max {
                return Err(Problem::TooMany { max });
            }
            let item = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                let parsed = item.get_ref().as_str().and_then(&parse);
                parsed.ok_or(Problem::InvalidItem { item: index + 1, expected })
            };
            items.iter().enumerate().map(item).collect::<Result<Vec<_>, _>>()
        })?;
        Ok(list.map(|given| given.value))
    }

    /// A whole number that is not negative.
    pub(super) fn number(&self, key: &str) -> Result<Option<Given<u64>>, ConfigError> {
        self.read(key, |value| {
            let number =
                value.as_integer().map(|number| u64::from_str_radix(number.as_str(), number.radix()));
            number.and_then(Result::ok).ok_or(Problem::WrongType("a whole number without quotes"))
        })
    }

    fn read<T>(
        &self,
        key: &str,
        read: impl FnOnce(&'d DeValue<'d>) -> Result<T, Problem>,
    ) -> Result<Option<Given<T>>, ConfigError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let location = self.document.location(value.span().start);
        match read(value.get_ref()) {
            Ok(value) => Ok(Some(Given { value, location })),
            Err(problem) => Err(self.error(location, key, problem)),
        }
    }

    /// `[key]`, called `name` in errors.
    pub(super) fn table(
        &self,
        key: &str,
        name: &'static str,
        known: &[&'static str],
    ) -> Result<Option<Section<'d>>, ConfigError> {
        let Some(value) = self.table.get(key) else { return Ok(None) };
        let location = self.document.location(value.span().start);
        match value.get_ref() {
            DeValue::Table(table) => Section::new(self.document, name, table, location, known).map(Some),
            _ => Err(self.error(location, key, Problem::WrongType("a section in single brackets"))),
        }
    }

    /// Every `[[key]]`.
    pub(super) fn tables(
        &self,
        key: &str,
        name: &'static str,
        known: &[&'static str],
    ) -> Result<Vec<Section<'d>>, ConfigError> {
        const EXPECTED: Problem = Problem::WrongType("sections in double brackets");
        let Some(value) = self.table.get(key) else { return Ok(Vec::new()) };
        let location = self.document.location(value.span().start);
        let DeValue::Array(items) = value.get_ref() else { return Err(self.error(location, key, EXPECTED)) };
        let section = |item: &'d Spanned<DeValue<'d>>| match item.get_ref() {
            DeValue::Table(table) => {
                Section::new(self.document, name, table, self.document.location(item.span().start), known)
            }
            _ => Err(self.error(location.clone(), key, EXPECTED)),
        };
        items.iter().map(section).collect()
    }
}

/// The parser's complaint in our own words, because its own can repeat what it read.
fn syntax_problem(message: &str) -> Problem {
    // What the parser would have liked instead follows after a comma.
    match message.split(',').next().unwrap_or_default() {
        "duplicate key" => Problem::Repeated,
        "string values must be quoted" => Problem::Syntax("text must be in quotes"),
        "missing assignment between key-value pairs" | "key with no value" => {
            Problem::Syntax("a setting is written key = value")
        }
        "missing value for key" | "missing value" => Problem::Syntax("there is no value"),
        "unexpected key or value" => Problem::Syntax("something follows the value"),
        "unclosed table" | "unclosed array table" => Problem::Syntax("a bracket is not closed"),
        _ => Problem::Syntax("this line cannot be read"),
    }
}

/// Whether this is a key or section of the contract.
fn is_contract_key(word: &str) -> bool {
    let named = super::keys::SECTIONS.iter().any(|(section, keys)| *section == word || keys.contains(&word));
    named || Limits::BOUNDS.iter().any(|bound| bound.name == word)
}
