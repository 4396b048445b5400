//! `hexchat-pt doctor`: what works on the way from a configuration to a bridge, what does not, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::setup::{complain, proxy_of_person, run_to_end, runtime, state_dir};
use super::{Doctor, EXIT_FAULT, EXIT_OK, EXIT_USAGE, Options};
use crate::config::{
    BridgeArgs, BridgeConfig, Config, Credential, Warning, exposed_bridge_line, parse_bridge_line,
    read_bridge_line,
};
use crate::dialer::core_dialer;
use crate::doctor::{Finding, Form, Report, Setting, Stage, Subject, examine};
use crate::lanes;
use crate::logging::{self, Severity};
use crate::protocol::Address;
use crate::state::{BRIDGE_LINE_FILE, StateDir, StateError};

/// What a bridge is asked to connect to where nobody names it. One that Tor runs leads to its own relay, whatever it is asked for.
const PLACEHOLDER: (&str, &str) = ("127.0.0.1", "1");

pub(super) fn run(options: &Options, command: &Doctor) -> u8 {
    let form = if command.json { Form::Json } else { Form::Lines };
    let mut report = Report::new(form, io::stdout());
    match go_through(options, command, &mut report) {
        Ok(status) => status,
        Err(error) if error.is::<io::Error>() => {
            complain(&error.context("writing to standard output"), EXIT_FAULT)
        }
        Err(error) => complain(&error, EXIT_FAULT),
    }
}

/// Its exit status.
fn go_through(options: &Options, command: &Doctor, report: &mut Report) -> anyhow::Result<u8> {
    // The report has what the log would say.
    let level = if options.log_level == Severity::Notice { Severity::Error } else { options.log_level };
    logging::init(logging::Options { level, ..options.logging(logging::Sink::Stderr) })?;
    let begun = Instant::now();
    let (setting, subject, warnings) = match prepare(options, command) {
        Ok(prepared) => prepared,
        Err(error) => {
            report.add(Finding::cross(Stage::Configuration, begun.elapsed(), format!("{error:#}")))?;
            let stages = Stage::OF_ACCOUNT.iter().chain(&Stage::OF_BRIDGE).copied().collect::<Vec<_>>();
            report.add_untried(&stages, Stage::Configuration)?;
            report.finish()?;
            return Ok(EXIT_USAGE);
        }
    };
    configuration(begun.elapsed(), &warnings).into_iter().try_for_each(|finding| report.add(finding))?;
    run_to_end(runtime()?, examine(&setting, subject, report))?;
    report.finish()?;
    Ok(if report.is_sound() { EXIT_OK } else { EXIT_FAULT })
}

fn configuration(took: Duration, warnings: &[Warning]) -> Vec<Finding> {
    if warnings.is_empty() {
        return vec![Finding::tick(
            Stage::Configuration,
            took,
            "what was written can be used, and no secret in it is for all to read",
        )];
    }
    let finding = |warning: &Warning| match warning {
        Warning::Exposed(_) => Finding::cross(Stage::Configuration, took, warning.to_string()),
        warning => Finding::neither(Stage::Configuration, took, warning.to_string()),
    };
    warnings.iter().map(finding).collect()
}

fn prepare(options: &Options, command: &Doctor) -> anyhow::Result<(Setting, Subject, Vec<Warning>)> {
    let mut config = options.config.as_deref().map(Config::load).transpose()?.unwrap_or_default();
    super::setup::fit_to_descriptors(&mut config.limits);
    let line = command.bridge_line_file.as_deref().map(arguments).transpose()?;
    let exposed = command.bridge_line_file.as_deref().zip(line.as_ref());
    let exposed = exposed.and_then(|(path, line)| exposed_bridge_line(path, line));
    let state = state_dir(command.state.state.clone());
    let is_client = line.is_some() || config.client.names_a_bridge() || config.accounts.is_empty();
    let mut warnings = config.warnings.clone();
    warnings.extend(exposed);
    let subject = if is_client {
        let (bridge, more) = BridgeConfig::resolve(line.unwrap_or_default().iter(), &config)?;
        warnings.extend(more);
        Subject::Client(Box::new(bridge))
    } else {
        Subject::Bridge(what_to_hand_out(state.as_deref()))
    };
    let proxy = proxy_of_person()?;
    let goes_by_proxy = proxy.is_some();
    let dialer = core_dialer(tor_pt::Dialer::through(proxy));
    let lanes::InUse { files, relays } = lanes::of_client(&config.lanes, dialer.clone());
    let (target, is_target_given) = match &command.target {
        Some(target) => (target.to_address(), true),
        None => (Address::new(PLACEHOLDER.0, PLACEHOLDER.1), false),
    };
    let target = target.ok_or_else(|| anyhow::anyhow!("the target's name cannot be asked for"))?;
    let state = Arc::new(state_for(state, &config, &subject));
    let setting = Setting { config, dialer, goes_by_proxy, state, files, relays, target, is_target_given };
    Ok((setting, subject, warnings))
}

fn arguments(path: &Path) -> anyhow::Result<BridgeArgs> {
    Ok(parse_bridge_line(&read_bridge_line(path)?)?)
}

/// The state directory, where there is one, or something has to be kept in it.
fn state_for(path: Option<PathBuf>, config: &Config, subject: &Subject) -> StateDir {
    let accounts = match subject {
        Subject::Client(bridge) => &bridge.accounts,
        Subject::Bridge(_) => &config.accounts,
    };
    let is_needed = accounts.iter().any(|account| account.credential == Credential::New);
    match path {
        Some(path) if is_needed || path.exists() => StateDir::open_or_ephemeral(Some(&path)),
        _ => StateDir::ephemeral(StateError::Nowhere),
    }
}

/// What is said of a bridge's line to its operator.
fn what_to_hand_out(state: Option<&Path>) -> String {
    let is_there = state.is_some_and(|state| state.join(BRIDGE_LINE_FILE).exists());
    let at_a_bridge = if is_there {
        "`hexchat-pt bridge-line` prints it"
    } else {
        "the bridge writes it when it starts, and `hexchat-pt bridge-line --state DIR` prints it (under Tor, DIR is pt_state in the DataDirectory)"
    };
    format!(
        "none was given, so the accounts alone were examined; at a bridge its line is what to hand out: {at_a_bridge}; at a client, \
         `--bridge-line-file` examines the bridge that the line leads to"
    )
}
