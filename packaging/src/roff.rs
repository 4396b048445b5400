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
}
