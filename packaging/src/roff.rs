//! Text as roff: escapes, headings, entries of a list.

/// One paragraph of running text: nothing in it is taken for a request or an escape.
pub(crate) fn text(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

/// The heading of a section, or with `SS` of a part of one.
pub(crate) fn heading(request: &str, title: &str) -> String {
    format!(".{request} \"{}\"\n", text(title).replace('"', "\\(dq"))
}

/// An entry of a list: what it is about, in bold, and the text below it.
pub(crate) fn entry(about: &str, below: &str) -> String {
    format!(".TP\n\\fB{}\\fR\n{}\n", text(about), text(below))
}

/// A line of its own, behind whatever stands before it.
pub(crate) fn line(plain: &str) -> String {
    format!(".br\n{}\n", text(plain))
}

/// Examples as `--help` shows them: what is indented by four is a command, as it is typed, and what is indented less says what it does.
pub(crate) fn examples(plain: &str) -> String {
    let paragraph = |line: &str| match line.strip_prefix("    ") {
        Some(command) => format!(".RS 4\n.nf\n{}\n.fi\n.RE\n", text(command)),
        None if line.is_empty() => String::new(),
        None => format!(".PP\n{}\n", text(line.trim_start())),
    };
    plain.lines().map(paragraph).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_request_or_an_escape() {
        assert_eq!(text(".TH"), "\\&.TH");
        assert_eq!(text("'so"), "\\&'so");
        assert_eq!(text("a\\fB --b"), "a\\efB \\-\\-b");
    }

    #[test]
    fn a_heading_is_one_word_for_roff() {
        assert_eq!(heading("SH", "[limits] \"x\""), ".SH \"[limits] \\(dqx\\(dq\"\n");
    }

    #[test]
    fn the_commands_of_examples_are_as_they_are_typed() {
        let plain = "Examples:\n  What it does:\n    hexchat-pt --x\n\nMore.";
        let roff =
            ".PP\nExamples:\n.PP\nWhat it does:\n.RS 4\n.nf\nhexchat\\-pt \\-\\-x\n.fi\n.RE\n.PP\nMore.\n";
        assert_eq!(examples(plain), roff);
    }
}
