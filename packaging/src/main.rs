//! Man pages and shell completions, written into the folder that is the only argument.

use std::path::PathBuf;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).context("which folder are the documents to be written into?")?;
    hexchat_packaging::write_documents(&PathBuf::from(folder))
}
