//! The page hexchat-pt.toml(5), from the example's comments.

use crate::example::{Example, Key};
use crate::roff::{entry, heading, line, text};

/// What stands before the sections.
const START: &str = include_str!("configuration_start.roff");

/// What stands behind them.
const END: &str = include_str!("configuration_end.roff");

/// The page, as roff.
pub(crate) fn page(example: &Example) -> String {
    let mut page = START.replace("@VERSION@", env!("CARGO_PKG_VERSION"));
    page += &format!(".PP\n{}\n", text(&example.head));
    for section in &example.sections {
        page += &heading("SH", &section.name);
        page += &format!("{}\n", text(&section.comment));
        for key in &section.keys {
            page += &entry(&key.name, &key.comment);
            page += &line(&value(key));
        }
    }
    page + END
}

fn value(key: &Key) -> String {
    format!("{}: {} = {}", if key.is_default { "Without it" } else { "Example" }, key.name, key.value)
}
