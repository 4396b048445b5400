//! `make bench`: hexchat-pt measured beside what else carries data over chat, all on loopback.
//!
//! [`unlimited`] is about processors and takes turns, as do [`beside`], about cells that meet a transfer, and [`tor`], about its
//! downloads; [`limited`] is about waiting and does everything at once; [`far`] is about lines with a delay, [`lanes`] about files
//! beside stanzas. All leave [`samples`];
//! [`rows`] judges them, [`results`], [`documents`] and [`plot`] show them.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is there to be read")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures are rounded anyway"
)]

mod beside;
mod compare;
mod documents;
mod far;
mod footprint;
mod lanes;
mod limited;
mod meter;
mod only;
mod ours;
mod plan;
mod plot;
mod processes;
mod profile;
mod raw;
mod results;
mod rows;
mod samples;
mod scale;
mod slixmpp;
mod target;
mod tor;
mod unlimited;
mod wire;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hexchat_lab::Kind;

use only::Only;
use plan::Plan;
use results::Results;
use samples::{NOT_MEASURED, Samples};

/// What no single step takes longer than, unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

const USAGE: &str = "usage: bench run|quick PATH-OF-HEXCHAT-PT FOLDER-FOR-RESULTS
       bench profile PATH-OF-HEXCHAT-PT prosody|ejabberd secure|classic bulk|cells|idle ACCOUNTS SECONDS
       bench only NAME[,NAME]… PATH-OF-HEXCHAT-PT
       bench far PATH-OF-HEXCHAT-PT prosody|prosody-modules|ejabberd MILLISECONDS-OF-ROUND-TRIP
       bench lanes PATH-OF-HEXCHAT-PT prosody|ejabberd MILLISECONDS-OF-ROUND-TRIP [files|relay]
       bench processes PATH-OF-HEXCHAT-PT SECONDS
       bench compare PATH-OF-OLD PATH-OF-NEW ROUNDS
       bench plot PATH-OF-RESULTS PATH-OF-PLOT
       bench doc PATH-OF-RESULTS PATH-OF-README PATH-OF-PERFORMANCE";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["run", executable, folder] => run(Path::new(executable), Path::new(folder), false),
        ["quick", executable, folder] => run(Path::new(executable), Path::new(folder), true),
        ["profile", executable, ref words @ ..] => {
            target::start().and_then(|target| profile::run(Path::new(executable), target, words))
        }
        ["only", names, executable] => show_only(&Only::these(names), Path::new(executable)),
        ["far", executable, ref words @ ..] => far::run(Path::new(executable), words),
        ["lanes", executable, ref words @ ..] => lanes::run(Path::new(executable), words),
        ["processes", executable, seconds] => processes::run(Path::new(executable), seconds),
        ["compare", old, new, rounds] => compare::run(Path::new(old), Path::new(new), rounds),
        ["plot", results, plot] => {
            Results::read(Path::new(results)).and_then(|results| plot::draw(&results, Path::new(plot)))
        }
        ["doc", results, readme, performance] => Results::read(Path::new(results))
            .and_then(|results| documents::update(&results, Path::new(readme), Path::new(performance))),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(executable: &Path, folder: &Path, quick: bool) -> Result<()> {
    let plan = if quick { Plan::quick() } else { Plan::full() };
    fs::create_dir_all(folder).context("making the folder for the results")?;
    let results = Results::new(quick, measure(&Only::default(), executable, &plan)?)?;
    results.write(&folder.join("results.json"))?;
    plot::draw(&results, &folder.join("plot.svg"))?;
    println!("{}", results.table());
    println!("{} has all of it, and plot.svg beside it shows it.", folder.join("results.json").display());
    println!("{}", results.count());
    results.check()
}

/// Measures quickly what has these names, and leaves nothing behind.
fn show_only(only: &Only, executable: &Path) -> Result<()> {
    let mut results = Results::new(true, measure(only, executable, &Plan::quick())?)?;
    results.rows.retain(|row| !row.note.ends_with(NOT_MEASURED));
    println!("{}", results.table());
    results.check()
}

fn measure(only: &Only, executable: &Path, plan: &Plan) -> Result<Samples> {
    let target = target::start()?;
    let mut samples = Samples::default();
    for kind in [Kind::Prosody, Kind::Ejabberd] {
        if only.wants_some_of(name_of(kind)) {
            unlimited::measure(only, kind, executable, target, plan, &mut samples);
        }
    }
    for kind in [Kind::Prosody, Kind::Ejabberd] {
        if only.wants(&format!("beside.{}", name_of(kind))) {
            beside::measure(kind, executable, target, plan, &mut samples);
        }
    }
    if only.wants("wire.fast") {
        unlimited::measure_wire(only, executable, target, plan, &mut samples);
    }
    if only.wants_some_of("tor") {
        tor::measure(only, executable, plan, &mut samples);
    }
    limited::measure(only, executable, target, plan, &mut samples);
    far::measure(only, executable, target, plan, &mut samples);
    lanes::measure(only, executable, plan, &mut samples);
    Ok(samples)
}

/// Tells how far it is, and since when.
fn say(text: &str) {
    static STARTED: LazyLock<Instant> = LazyLock::new(Instant::now);
    eprintln!("{:4} s  {text}", STARTED.elapsed().as_secs());
}

/// The server of this name.
fn kind_of(name: &str) -> Result<Kind> {
    match name {
        "prosody" => Ok(Kind::Prosody),
        "prosody-modules" => Ok(Kind::ProsodyModules),
        "ejabberd" => Ok(Kind::Ejabberd),
        _ => bail!("the server is prosody, prosody-modules or ejabberd"),
    }
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Prosody => "prosody",
        Kind::ProsodyModules => "prosody-modules",
        Kind::Ejabberd => "ejabberd",
    }
}
