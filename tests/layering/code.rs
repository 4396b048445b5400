//! Code of a source file: without what is no code, and the modules that it names.

use std::collections::BTreeSet;

/// The text without comments, string literals and the tests at its end. Where the tests have a file of their own, only the line
/// that names it is left out.
pub(crate) fn code_of(text: &str) -> String {
    let mut parts = text.split("#[cfg(test)]\nmod ");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('\n') {
            Some((first, rest)) if first.ends_with(';') => text.push_str(rest),
            _ => break,
        }
    }
    let text = text.as_str();
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("'\"'") {
            3
        } else if next == '"' {
            literal_length(rest)
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[skipped..];
    }
    code
}

/// How long the string literal is with which `text` begins.
fn literal_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, next) in text.char_indices().skip(1) {
        match next {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}

/// The modules below any of `roots`, or reached by `super`, that the code of `module` names.
pub(crate) fn used_modules(module: &[String], roots: &[&str], code: &str) -> BTreeSet<String> {
    let up = "super::".repeat(module.len());
    let mut used = BTreeSet::new();
    for root in roots.iter().copied().chain([up.as_str()]) {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|before| before.is_alphanumeric() || "_$:".contains(before)) {
                used.extend(heads(&code[at + root.len()..]));
            }
        }
    }
    used
}

/// The first names of a path, which may be a group: `{a::b, c}` has `a` and `c`.
pub(crate) fn heads(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|next| next.is_alphanumeric() || *next == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 0;
    let mut heads = vec![name(group)];
    for (at, next) in group.char_indices() {
        match next {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(name(&group[at + 1..])),
            _ => {}
        }
    }
    heads
}
