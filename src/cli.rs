//! The command line: launched by Tor, or by a person.

mod bridge_line;
mod client;
mod doctor;
mod forget;
mod forward;
mod gen_psk;
mod help;
mod listen;
mod managed;
mod qr;
mod serve;
mod service;
mod setup;
mod version;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand};
use xmpp_parsers::jid::Jid;

use crate::bridge::Target;
use crate::config::{Spelling, spelled_jid};
use crate::logging::{self, Severity};

/// Help, the end of standard input, or a signal.
pub(crate) const EXIT_OK: u8 = 0;
/// A fault at run time.
pub(crate) const EXIT_FAULT: u8 = 1;
/// A fault of the command line, the configuration or the environment.
pub(crate) const EXIT_USAGE: u8 = 2;

/// Reach Tor through a chat server.
///
/// Without a command it is a pluggable transport, to be launched by Tor:
///
///   ClientTransportPlugin hexchat exec /usr/bin/hexchat-pt
///   ServerTransportPlugin hexchat exec /usr/bin/hexchat-pt --config FILE
#[derive(Debug, Parser)]
#[command(name = "hexchat-pt", version, verbatim_doc_comment, after_help = help::PROGRAM)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The configuration file (TOML).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How much to log: error, warning, notice, info or debug.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "notice")]
    log_level: Severity,
    /// Also log to this file.
    #[arg(long, global = true, value_name = "FILE")]
    log_file: Option<PathBuf>,
    /// Log addresses and JIDs instead of scrubbing them; never publish such a log.
    #[arg(long, global = true)]
    unsafe_logging: bool,
    /// What is wrong with the arguments that Tor was told to start us with.
    #[arg(skip)]
    fault: Option<String>,
}

impl Options {
    /// What is left when the arguments make no sense.
    fn faulty(fault: String) -> Self {
        let log_level = Severity::Notice;
        Self { config: None, log_level, log_file: None, unsafe_logging: false, fault: Some(fault) }
    }

    /// How to log, besides to whom.
    fn logging(&self, sink: logging::Sink) -> logging::Options {
        let Self { log_level: level, log_file, unsafe_logging, .. } = self;
        logging::Options { level: *level, file: log_file.clone(), unsafe_logging: *unsafe_logging, sink }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Forward a local TCP port through chat to a target at the other side.
    #[command(after_help = help::FORWARD)]
    Forward(Forward),
    /// Offer the SOCKS port of the transport to a Tor that does not launch it: ClientTransportPlugin hexchat socks5 IP:PORT.
    ///
    /// Bridge lines come with Tor's requests, and their logins with them, or from the configuration file. Once it listens, it writes
    /// LISTENING IP:PORT to standard output. The environment variable TOR_PT_PROXY names the proxy to go through, as for `forget`.
    #[command(after_help = help::CLIENT)]
    Client(ClientCommand),
    /// Let peers connect through chat to the allowed targets, and to nothing else.
    #[command(after_help = help::SERVE)]
    Serve(Serve),
    /// Examine a configuration, the accounts in it and, with a bridge line, the bridge, stage by stage, and say what to do.
    ///
    /// The exit status is 0 if all is well, 1 if somebody has to do something, 2 if the configuration cannot be used. The environment
    /// variable TOR_PT_PROXY names the proxy to do that through, as for `forget`.
    #[command(after_help = help::DOCTOR)]
    Doctor(Doctor),
    /// Print the bridge line of a bridge that has run with this state directory, or make the old one worthless.
    ///
    /// How long its arguments are is said on standard error: tor carries 510 bytes, with the login that each user appends.
    #[command(after_help = help::BRIDGE_LINE)]
    BridgeLine(BridgeLine),
    /// Print the version, and with --verbose those of the protocols.
    #[command(after_help = help::VERSION)]
    Version(Version),
    /// Print a fresh secret for a private bridge (psk): 43 characters of base64url.
    #[command(after_help = help::GEN_PSK)]
    GenPsk,
    /// Remove an account that was registered (login=new@domain): from its server, and then from the state directory.
    ///
    /// An account that its server does not remove is kept, since nobody else has its password. With --local the server is not asked, and
    /// the account goes from the state directory alone.
    ///
    /// The environment variable TOR_PT_PROXY names the proxy to do that through, as Tor writes it: socks5://127.0.0.1:1080, socks4a://…
    /// or http://…, with user:password@ before the address if need be. Without it the connection is direct, whatever torrc says, and
    /// the server sees the address of this machine.
    #[command(after_help = help::FORGET)]
    Forget(Forget),
}

/// The protocol document's client.
#[derive(Debug, Args)]
struct Forward {
    /// Where to listen: a port of this machine alone, or an address with a port; port 0 takes any free one.
    #[arg(long, value_name = "[IP:]PORT", value_parser = listen::parse)]
    listen: SocketAddr,
    /// The account of the other side; the classic protocol is spoken with it if [client] has no key.
    #[arg(long, value_name = "JID", conflicts_with = "bridge_line_file", value_parser = parse_jid)]
    to: Option<Jid>,
    /// The other side, as a file with its bridge line.
    #[arg(long, value_name = "FILE")]
    bridge_line_file: Option<PathBuf>,
    /// What the other side should connect to.
    #[arg(long, value_name = "HOST:PORT")]
    target: Target,
    #[command(flatten)]
    trace: Trace,
    #[command(flatten)]
    state: State,
}

/// What Tor's requests come to.
#[derive(Debug, Args)]
struct ClientCommand {
    /// Where to listen: a port of this machine, alone or with a loopback address; port 0 takes any free one.
    #[arg(long, value_name = "[IP:]PORT", value_parser = listen::parse)]
    listen: SocketAddr,
    #[command(flatten)]
    trace: Trace,
    #[command(flatten)]
    state: State,
}

/// The protocol document's server.
#[derive(Debug, Args)]
struct Serve {
    /// A target that peers may connect to; can be given several times. No pattern: each has its name and its port.
    #[arg(long, value_name = "HOST:PORT", required = true)]
    allow: Vec<Target>,
    /// Speak the secure protocol; the bridge line for `forward` is written into the state directory.
    #[arg(long)]
    secure: bool,
    #[command(flatten)]
    trace: Trace,
    #[command(flatten)]
    state: State,
}

/// What works on the way from a configuration to a bridge.
#[derive(Debug, Args)]
struct Doctor {
    /// A file with the bridge line of the bridge to examine, too; otherwise the one that [client] names, if any.
    #[arg(long, value_name = "FILE")]
    bridge_line_file: Option<PathBuf>,
    /// What to ask the bridge for, where it is `serve` that has to allow it; Tor's leads to its own relay in any case.
    #[arg(long, value_name = "HOST:PORT")]
    target: Option<Target>,
    /// Print one JSON object, when all is done, and nothing else.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: State,
}

/// What a bridge's operator hands out.
#[derive(Debug, Args)]
struct BridgeLine {
    /// Write it in letters, digits and `_ - / + : = . ,` alone, for apps that take nothing else.
    #[arg(long)]
    plain: bool,
    /// Draw it as a QR code, in the terminal or into a PNG or SVG file that is not there yet.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    qr: Option<Option<PathBuf>>,
    /// `rotate` gives the bridge another key and its accounts other resources, so that nobody can use the old line any more. The bridge
    /// must not be running; it writes its new line when it starts.
    #[arg(value_name = "rotate", conflicts_with_all = ["plain", "qr"])]
    action: Option<Rotate>,
    #[command(flatten)]
    state: State,
}

/// The one thing that can be done to a bridge line.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Rotate {
    /// Another key, and other resources.
    Rotate,
}

/// Which version this is.
#[derive(Debug, Args)]
struct Version {
    /// Those of the protocols, too.
    #[arg(long)]
    verbose: bool,
}

/// An account that was registered goes.
#[derive(Debug, Args)]
struct Forget {
    /// The account, or new@domain for whatever was registered there; both spellings of a bridge line are taken.
    #[arg(value_name = "JID", value_parser = parse_jid)]
    jid: Jid,
    /// Remove our copy of the account alone, without asking the server: for a server that is gone, or does not let the account in. An
    /// account that the server still has stays there, and nobody has its password any more.
    #[arg(long)]
    local: bool,
    /// A file with a bridge line whose server= and tls= say how to reach the server; otherwise [client] does.
    #[arg(long, value_name = "FILE")]
    bridge_line_file: Option<PathBuf>,
    #[command(flatten)]
    state: State,
}

#[derive(Debug, Args)]
struct State {
    /// What is kept between runs [default: $XDG_STATE_HOME/hexchat-pt].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Trace {
    /// Write what sessions and paths do to this file, a line of JSON for each event and without names.
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
}

/// Says nothing of the value: the message goes to a terminal and perhaps to a log.
fn parse_jid(text: &str) -> Result<Jid, &'static str> {
    spelled_jid(text).map_err(|spelling| match spelling {
        Spelling::Ordinary => "expected user@domain or user@domain/resource",
        Spelling::Plain => "expected :user:domain or :user:domain/resource",
    })
}

/// Runs the program; the arguments and the environment are the process's own.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&hide_values(error)),
    };
    // A process that may dump core works as well; there is nobody to tell yet.
    let _ = crate::os::disable_core_dumps();
    // Fewer descriptors are enough for fewer streams.
    let _ = crate::os::raise_descriptor_limit();
    let status = match cli.command {
        None => managed::run(&cli.options),
        Some(Command::Forward(command)) => forward::run(&cli.options, command),
        Some(Command::Client(command)) => client::run(&cli.options, command),
        Some(Command::Serve(command)) => serve::run(&cli.options, command),
        Some(Command::Doctor(command)) => doctor::run(&cli.options, &command),
        Some(Command::BridgeLine(command)) => bridge_line::run(command),
        Some(Command::Version(command)) => version::run(&command),
        Some(Command::GenPsk) => gen_psk::run(),
        Some(Command::Forget(command)) => forget::run(&cli.options, command),
    };
    ExitCode::from(status)
}

/// A value that is not valid may be a JID or an address: it is not shown. What looks like a port to listen at is no secret.
fn hide_values(mut error: clap::Error) -> clap::Error {
    let is_of_listen = matches!(
        error.get(ContextKind::InvalidArg),
        Some(ContextValue::String(argument)) if argument.starts_with("--listen ")
    );
    let looks_like_port = matches!(
        error.get(ContextKind::InvalidValue),
        Some(ContextValue::String(value)) if value.starts_with(|c: char| c.is_ascii_digit()) && !value.contains(['.', ':'])
    );
    if error.kind() == ErrorKind::ValueValidation && !(is_of_listen && looks_like_port) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("[scrubbed]".to_owned()));
    }
    error
}

/// Help and version go to standard output and are no fault. What is wrong with a line in torrc is for Tor to hear: it
/// reads standard error only when it is asked to, and starts a child anew that exits.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && managed::is_launched_by_tor() {
        return ExitCode::from(managed::run(&Options::faulty(first_line(error))));
    }
    // If the terminal is gone, there is nobody to tell.
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { EXIT_USAGE } else { EXIT_OK })
}

fn first_line(error: &clap::Error) -> String {
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(argument))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
        && let Some(text) = no_such_option(argument, std::env::args())
    {
        return text;
    }
    let text = error.render().to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// What is wrong with an option that starts as `argument` and does not exist. Of one with a single hyphen the parser sees the first letter
/// alone. What may be a value is not shown.
fn no_such_option(argument: &str, given: impl IntoIterator<Item = String>) -> Option<String> {
    let written = given.into_iter().find(|word| word.starts_with(argument))?;
    let written = written.split('=').next().unwrap_or_default();
    let name = written.trim_start_matches('-');
    if !written.starts_with('-') || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return None;
    }
    let mut there_is = ["config", "log-level", "log-file", "unsafe-logging"].into_iter();
    let meant = there_is.find(|option| *option == name || is_beginning(option, name));
    let meant = match meant {
        Some(option) => format!("; did you mean --{option}?"),
        None if name == "trace" => {
            "; it stands behind `forward`, `serve` or `client`, and under Tor the key [trace] file is for that".to_owned()
        }
        None => String::new(),
    };
    Some(format!("there is no option {written}{meant} (`hexchat-pt --help` lists all)"))
}

/// Whether `name` is a start of `option` that is long enough to be meant.
fn is_beginning(option: &str, name: &str) -> bool {
    name.len() >= 4 && (option.starts_with(name) || name.starts_with(option))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_does_not_exist_is_named_as_it_was_written_without_its_value() {
        let said = |argument: &str, line: &str| no_such_option(argument, line.split(' ').map(str::to_owned));
        assert_eq!(
            said("-c", "hexchat-pt -config /etc/f").as_deref(),
            Some("there is no option -config; did you mean --config? (`hexchat-pt --help` lists all)")
        );
        assert_eq!(
            said("--passwrd", "hexchat-pt --passwrd=sesame").as_deref(),
            Some("there is no option --passwrd (`hexchat-pt --help` lists all)")
        );
        assert!(said("--trace", "hexchat-pt --trace /var/t forward").is_some_and(|text| {
            text.contains("behind `forward`") && text.contains("[trace] file") && !text.contains("/var/t")
        }));
        assert_eq!(said("planted", "hexchat-pt planted"), None);
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    fn shown(line: &str) -> String {
        let error = Cli::try_parse_from(line.split(' ')).expect_err("a fault");
        hide_values(error).to_string()
    }

    #[test]
    fn what_looks_like_a_port_to_listen_at_is_shown_and_no_other_value() {
        let listen = shown("hexchat-pt forward --listen 5700x --target h:1");
        assert!(
            listen.contains("5700x") && listen.contains("5700, localhost:5700 or 127.0.0.1:5700"),
            "{listen}"
        );
        for line in [
            "hexchat-pt forward --listen secret:1 --target h:1",
            "hexchat-pt forward --listen 192.0.2.1 --target h:1",
            "hexchat-pt forward --listen 1 --target secret",
            "hexchat-pt forward --listen 1 --target h:1 --to bob@/secret",
            "hexchat-pt serve --allow secret",
        ] {
            let error = shown(line);
            assert!(error.contains("[scrubbed]") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn help_is_a_command_with_examples_and_exit_statuses() {
        for (line, words) in [
            ("hexchat-pt help", "Exit status:"),
            ("hexchat-pt --help", "doc/using.md"),
            ("hexchat-pt help forward", "--listen 5555"),
            ("hexchat-pt serve --help", "--secure --allow 10.0.0.1:80"),
        ] {
            let help = Cli::try_parse_from(line.split(' ')).expect_err("help");
            assert!(!help.use_stderr() && help.to_string().contains(words), "{line}: {help}");
        }
    }

    /// What the help offers is what the parser takes.
    #[test]
    fn log_levels_are_the_same_in_the_help_and_in_errors() {
        let help = Cli::try_parse_from(["hexchat-pt", "--help"]).expect_err("help").to_string();
        let error = shown("hexchat-pt --log-level loud");
        for text in [help, error] {
            assert!(text.contains("error, warning, notice, info or debug"), "{text}");
        }
        for level in ["error", "warning", "notice", "info", "debug"] {
            assert!(Cli::try_parse_from(["hexchat-pt", "--log-level", level]).is_ok(), "{level}");
        }
    }

    #[test]
    fn examples_in_the_help_are_commands_that_there_are() {
        for line in [help::FORWARD, help::SERVE].iter().flat_map(|help| help.lines()) {
            if let Some(example) = line.strip_prefix("    hexchat-pt ") {
                let words = ["hexchat-pt"].into_iter().chain(example.split(' '));
                assert!(Cli::try_parse_from(words).is_ok(), "{example}");
            }
        }
    }

    #[test]
    fn options_may_stand_before_and_after_the_command() {
        for line in ["--config f serve --allow h:1", "serve --config f --allow h:1 --allow h:2"] {
            let cli = Cli::try_parse_from(["hexchat-pt"].into_iter().chain(line.split(' '))).unwrap();
            assert_eq!(cli.options.config, Some("f".into()), "{line}");
        }
    }
}
