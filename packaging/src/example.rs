//! The example of the configuration, taken apart: sections, keys, and the comments above them.

/// All of the file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Example {
    /// The comment at the start, which belongs to no section.
    pub(crate) head: String,
    pub(crate) sections: Vec<Section>,
}

/// `[limits]` or `[[account]]`, whether in force or behind a `#`.
#[derive(Debug, PartialEq)]
pub(crate) struct Section {
    /// With its brackets.
    pub(crate) name: String,
    pub(crate) comment: String,
    pub(crate) keys: Vec<Key>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// As TOML has it.
    pub(crate) value: String,
    /// Whether the value holds without the line; otherwise it is an example.
    pub(crate) is_default: bool,
    pub(crate) comment: String,
}

/// What a line of the file is.
enum Line<'a> {
    Nothing,
    Comment(&'a str),
    Section(&'a str),
    Key { name: &'a str, value: &'a str, is_default: bool },
}

impl Example {
    /// A section that comes twice, as an array's does, has the keys of both.
    pub(crate) fn parse(file: &str) -> Self {
        let mut example = Self::default();
        let mut comment = String::new();
        for line in file.lines() {
            match Line::of(line) {
                Line::Nothing if example.sections.is_empty() && example.head.is_empty() => {
                    example.head = std::mem::take(&mut comment);
                }
                Line::Nothing => comment.clear(),
                Line::Comment(text) => append(&mut comment, text),
                Line::Section(name) => example.open(name, std::mem::take(&mut comment)),
                Line::Key { name, value, is_default } => {
                    let (name, value) = (name.to_owned(), value.to_owned());
                    example.add(Key { name, value, is_default, comment: std::mem::take(&mut comment) });
                }
            }
        }
        example
    }

    fn open(&mut self, name: &str, comment: String) {
        if let Some(at) = self.sections.iter().position(|section| section.name == name) {
            // What follows belongs to the last one.
            let mut section = self.sections.remove(at);
            append(&mut section.comment, &comment);
            self.sections.push(section);
        } else {
            self.sections.push(Section { name: name.to_owned(), comment, keys: Vec::new() });
        }
    }

    fn add(&mut self, key: Key) {
        let Some(section) = self.sections.last_mut() else { return };
        if section.keys.iter().all(|known| known.name != key.name) {
            section.keys.push(key);
        }
    }
}

impl<'a> Line<'a> {
    /// A `#` without a blank behind it turns a setting off.
    fn of(line: &'a str) -> Self {
        let is_default = !line.starts_with('#');
        let bare = line.strip_prefix('#').unwrap_or(line);
        if bare.is_empty() {
            Self::Nothing
        } else if !is_default && bare.starts_with(' ') {
            Self::Comment(bare.trim())
        } else if bare.starts_with('[') {
            Self::Section(bare)
        } else {
            let (name, value) = bare.split_once('=').unwrap_or((bare, ""));
            Self::Key { name: name.trim(), value: value.trim(), is_default }
        }
    }
}

/// Lines of one paragraph.
fn append(paragraph: &mut String, line: &str) {
    if !paragraph.is_empty() && !line.is_empty() {
        paragraph.push(' ');
    }
    paragraph.push_str(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, value: &str, is_default: bool, comment: &str) -> Key {
        Key { name: name.to_owned(), value: value.to_owned(), is_default, comment: comment.to_owned() }
    }

    #[test]
    fn comments_belong_to_what_stands_below_them() {
        let file = "# The\n# head.\n\n# A section.\n[a]\n# One.\nb = 1\n# Off.\n#c = \"x=y\"\n";
        let section = Section {
            name: "[a]".to_owned(),
            comment: "A section.".to_owned(),
            keys: vec![key("b", "1", true, "One."), key("c", "\"x=y\"", false, "Off.")],
        };
        assert_eq!(Example::parse(file), Example { head: "The head.".to_owned(), sections: vec![section] });
    }

    #[test]
    fn a_section_that_comes_twice_has_the_keys_of_both() {
        let file = "# Head.\n\n# First.\n#[[a]]\n# One.\n#b = 1\n\n# Second.\n#[[a]]\n# As above.\n#b = 1\n# Two.\n#c = 2\n";
        let [section] = &Example::parse(file).sections[..] else { panic!("one section") };
        assert_eq!(section.comment, "First. Second.");
        assert_eq!(section.keys, [key("b", "1", false, "One."), key("c", "2", false, "Two.")]);
    }
}
