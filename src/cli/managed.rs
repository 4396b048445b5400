//! Managed proxy, as the pluggable transport specification has it: launched by Tor.

mod client;
mod idle;
mod server;

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::bail;
use tor_pt::{Launch, LaunchError, Message, Phase, Shutdown, Status, Stdout, TransportName};

use super::setup::{run_to_end, runtime};
use super::{EXIT_FAULT, EXIT_OK, EXIT_USAGE, Options};
use crate::config::Config;
use crate::dialer::core_dialer;
use crate::logging;
use crate::tunnel::{FAREWELL, Tunnel};

/// The name of the transport.
const TRANSPORT: &str = "hexchat";

/// The file that is read when no other is named and there is none in the state directory.
const SYSTEM_CONFIG: &str = "/etc/hexchat-pt/hexchat.toml";
/// Its name in the state directory.
const STATE_CONFIG: &str = "hexchat.toml";

/// How long Tor may take to read our last lines: 1 second.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What a managed proxy works with.
struct Managed<'a> {
    options: &'a Options,
    launch: Launch,
    name: TransportName,
    stdout: Stdout,
    shutdown: Shutdown,
}

/// Whether it was Tor that started us, and not a person.
pub(super) fn is_launched_by_tor() -> bool {
    !matches!(Launch::from_env(|name| env::var_os(name)), Err(LaunchError::NotManaged))
}

pub(super) fn run(options: &Options) -> u8 {
    let Ok(stdout) = Stdout::start() else { return EXIT_FAULT };
    let launch = match Launch::from_env(|name| env::var_os(name)) {
        Ok(launch) => launch,
        Err(error) => {
            hint(&error);
            stdout.send_all(error.messages());
            // Tor may not read.
            let _ = stdout.blocking_flush(LAST_LINES);
            return EXIT_USAGE;
        }
    };
    stdout.send_all(launch.greeting());
    start_logging(options, &stdout);
    let outcome = match runtime() {
        Ok(runtime) => run_to_end(runtime, serve(options, launch, stdout.clone())),
        Err(error) => idle::run(&launch, &stdout, &error),
    };
    if let Err(error) = &outcome {
        tracing::error!("{error:#}");
    }
    // Tor may have stopped reading.
    let _ = stdout.blocking_flush(LAST_LINES);
    if outcome.is_ok() { EXIT_OK } else { EXIT_FAULT }
}

/// A person who started us by hand sees standard error.
fn hint(error: &LaunchError) {
    let text = match error {
        LaunchError::NotManaged => {
            "hexchat-pt is a pluggable transport: it is meant to be launched by Tor, by a line in torrc such as\n\
             \n    ClientTransportPlugin hexchat exec /usr/bin/hexchat-pt\n\
             \nTo use it without Tor, see `hexchat-pt --help`."
        }
        _ => return,
    };
    // If standard error is gone, there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn start_logging(options: &Options, stdout: &Stdout) {
    let to_tor = stdout.clone();
    let sink =
        logging::Sink::Lines(Box::new(move |severity, text| to_tor.log(severity_for_tor(severity), text)));
    // There is a log already: nobody but us sets one up.
    let _ = logging::init(options.logging(sink));
}

fn severity_for_tor(severity: logging::Severity) -> tor_pt::Severity {
    match severity {
        logging::Severity::Error => tor_pt::Severity::Error,
        logging::Severity::Warning => tor_pt::Severity::Warning,
        logging::Severity::Notice => tor_pt::Severity::Notice,
        logging::Severity::Info => tor_pt::Severity::Info,
        logging::Severity::Debug => tor_pt::Severity::Debug,
    }
}

async fn serve(options: &Options, launch: Launch, stdout: Stdout) -> anyhow::Result<()> {
    let shutdown = Shutdown::under_tor(launch.common().exit_on_stdin_close())?;
    let name = TRANSPORT.parse()?;
    let managed = Managed { options, launch, name, stdout, shutdown };
    if managed.launch.wants(&managed.name) {
        let status = Status::version(managed.name.clone(), "hexchat-pt", env!("CARGO_PKG_VERSION"));
        managed.stdout.send(Message::Status(status));
    }
    match &managed.launch {
        Launch::Client(_) => client::run(&managed).await,
        Launch::Server(launch) => server::run(&managed, launch).await,
    }
    Ok(())
}

impl Managed<'_> {
    /// The configuration, from the file that was named or from the first place that has one.
    fn load_config(&self) -> anyhow::Result<Config> {
        if let Some(fault) = &self.options.fault {
            bail!("the arguments in torrc: {fault}");
        }
        let mut config = match self.config_file() {
            Some(path) => Config::load(&path)?,
            None => Config::default(),
        };
        super::setup::fit_to_descriptors(&mut config.limits);
        config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        Ok(config)
    }

    fn config_file(&self) -> Option<PathBuf> {
        let in_state = self.launch.common().state_dir().join(STATE_CONFIG);
        let usual = [in_state, Path::new(SYSTEM_CONFIG).to_owned()];
        self.options.config.clone().or_else(|| usual.into_iter().find(|path| path.exists()))
    }

    /// How accounts reach their servers: as Tor says.
    fn dialer(&self) -> crate::xmpp::Dialer {
        core_dialer(tor_pt::Dialer::new(&self.launch))
    }

    /// After a fault that can never pass. Tor starts a child anew that exits, and again, and again.
    async fn fail(&self, error: &anyhow::Error) {
        self.stdout.send_all(idle::fault(&self.launch, &self.name, error));
        self.wait_for_the_end().await;
    }

    /// When there is nothing to do.
    async fn wait_for_the_end(&self) {
        self.shutdown.reached(Phase::Drain).await;
    }

    /// Closes the streams and logs out.
    async fn say_goodbye(&self, tunnel: &Tunnel) {
        tunnel.shutdown(FAREWELL).await;
    }
}
