//! Idle child: it can do nothing for Tor and stays, because Tor starts one anew that exits, every second, for ever.

use tor_pt::{Launch, Message, Stdout, TransportName, shutdown};

use super::TRANSPORT;

/// What to tell Tor of a fault that can never pass.
pub(super) fn fault(launch: &Launch, name: &TransportName, error: &anyhow::Error) -> [Message; 2] {
    let (transport, text) = (name.clone(), format!("{error:#}"));
    match launch {
        Launch::Client(_) => [Message::CmethodError { transport, text }, Message::CmethodsDone],
        Launch::Server(_) => [Message::SmethodError { transport, text }, Message::SmethodsDone],
    }
}

/// Without a runtime: says why, and waits. There are no signal handlers either, so that any signal ends the process.
pub(super) fn run(launch: &Launch, stdout: &Stdout, error: &anyhow::Error) -> anyhow::Result<()> {
    let name: TransportName = TRANSPORT.parse()?;
    let [fault, done] = fault(launch, &name, error);
    stdout.send_all(launch.wants(&name).then_some(fault).into_iter().chain([done]));
    shutdown::block_until_tor_is_gone(launch.common().exit_on_stdin_close());
    Ok(())
}
