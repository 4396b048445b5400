//! Man pages and shell completions, from what `--help` and the example of the configuration say. A crate of its own, so that
//! nothing of it gets into the executable.

mod command_page;
mod configuration_page;
mod example;
mod roff;

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use example::Example;

/// The configuration file that shows every key.
const EXAMPLE: &str = include_str!("../../doc/hexchat.example.toml");

/// The shells whose completions Debian has a folder for.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes `hexchat-pt.1`, `hexchat-pt.toml.5`, and a file of completions for each of bash, zsh and fish, named as the shell finds it.
///
/// # Errors
///
/// If the folder cannot be made or a file in it not written.
pub fn write_documents(folder: &Path) -> anyhow::Result<()> {
    let doing = || format!("cannot write into {}", folder.display());
    fs::create_dir_all(folder).with_context(doing)?;
    fs::write(folder.join("hexchat-pt.1"), command_page::page(&command())).with_context(doing)?;
    let page = configuration_page::page(&Example::parse(EXAMPLE));
    fs::write(folder.join("hexchat-pt.toml.5"), page).with_context(doing)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut command(), "hexchat-pt", folder).with_context(doing)?;
    }
    Ok(())
}

/// The command line as `--help` knows it.
fn command() -> Command {
    hexchat_pt::cli::Cli::command()
}

#[cfg(test)]
mod tests;
