//! Writes the bindings out of the library that was built: `bindings LIBRARY FOLDER LANGUAGE...`, of kotlin, swift, python.

use std::env;

use anyhow::{Context as _, Result, bail};
use uniffi::{GenerateOptions, TargetLanguage, generate};

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut next = || arguments.next().context("expected: bindings LIBRARY FOLDER LANGUAGE...");
    let (library, folder) = (next()?, next()?);
    let languages = arguments.map(|name| language(&name)).collect::<Result<Vec<_>>>()?;
    let (source, out_dir) = (library.into(), folder.into());
    generate(GenerateOptions { languages, source, out_dir, ..Default::default() })
}

fn language(name: &str) -> Result<TargetLanguage> {
    Ok(match name {
        "kotlin" => TargetLanguage::Kotlin,
        "swift" => TargetLanguage::Swift,
        "python" => TargetLanguage::Python,
        _ => bail!("there are bindings for kotlin, swift and python"),
    })
}
