//! The page hexchat-pt(1), from what `--help` says.

use clap::Command;
use clap_mangen::Man;

use crate::roff::{examples, heading};

/// What `--help` does not say.
const END: &str = include_str!("command_end.roff");

/// The page, as roff: all commands on one.
pub(crate) fn page(command: &Command) -> String {
    let man = Man::new(command.clone()).manual("hexchat-pt");
    let mut page = rendered(|into| man.render_title(into));
    page += &rendered(|into| man.render_name_section(into));
    page += &rendered(|into| man.render_synopsis_section(into));
    page += &rendered(|into| man.render_description_section(into));
    page += &rendered(|into| man.render_options_section(into));
    page += &heading("SH", "COMMANDS");
    page += "All of them take the options above, too.\n";
    page.extend(command.get_subcommands().map(part));
    page + END
}

/// The part of a command; a section's heading would be the same for each.
fn part(command: &Command) -> String {
    let name = format!("hexchat-pt {}", command.get_name());
    let man = Man::new(command.clone().bin_name(&name).disable_help_flag(true));
    let mut part = heading("SS", &name);
    part += &below_heading(&rendered(|into| man.render_synopsis_section(into)));
    part += ".PP\n";
    part += &below_heading(&rendered(|into| man.render_description_section(into)));
    part += &below_heading(&rendered(|into| man.render_options_section(into)));
    part + &command.get_after_help().map(|help| examples(&help.to_string())).unwrap_or_default()
}

fn rendered(render: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut bytes = Vec::new();
    // Memory takes everything.
    let _ = render(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn below_heading(section: &str) -> String {
    let lines = section.lines().filter(|line| !line.starts_with(".SH "));
    lines.flat_map(|line| [line, "\n"]).collect()
}
