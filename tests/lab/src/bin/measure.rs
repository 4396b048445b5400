//! `make measure`: what `forward` and `serve` carry over an unlimited Prosody, one account a side.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is there to be read")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hexchat_lab::fetch::fetch;
use hexchat_lab::process::Spawn;
use hexchat_lab::{ChatServer, EchoServer, FileServer, Kind, Process, Rate};

const ROUNDS: usize = 3;
/// How much is carried a round, in bytes.
const FILE: usize = 20_000_000;
/// The size of a Tor cell, in bytes.
const CELL: usize = 514;
const ECHOES: usize = 500;
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let Some(executable) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: measure PATH-OF-HEXCHAT-PT");
        return ExitCode::from(2);
    };
    match measure(&executable) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("measuring failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(executable: &Path) -> Result<()> {
    let chat = ChatServer::start(Kind::Prosody, Rate::Unlimited, &["alice", "bob"])?;
    let (files, echo) = (FileServer::start()?, EchoServer::start()?);
    let folder = tempfile::tempdir()?;
    let _serve = serve(executable, folder.path(), &chat, &[files.address(), echo.address()])?;
    let (_to_files, file_port) = forward(executable, folder.path(), &chat, "files", files.address())?;
    let (_to_echo, echo_port) = forward(executable, folder.path(), &chat, "echo", echo.address())?;
    let expected = FileServer::sha256(FILE);
    for round in 1..=ROUNDS {
        let fetched = fetch(None, file_port, FILE, PATIENCE)?;
        ensure!(fetched.sha256 == expected, "the file arrived damaged");
        #[expect(clippy::cast_precision_loss, reason = "a few million bytes")]
        let rate = FILE as f64 / 1e6 / fetched.total.as_secs_f64();
        let [p50, p99] = echo_times(echo_port)?.map(|time| time.as_secs_f64() * 1e3);
        println!(
            "round {round}: {rate:.2} MB/s; {CELL} bytes there and back: p50 {p50:.2} ms, p99 {p99:.2} ms"
        );
    }
    Ok(())
}

fn serve(executable: &Path, folder: &Path, chat: &ChatServer, targets: &[SocketAddr]) -> Result<Process> {
    let mut spawn = Spawn::new("serve", executable).args(["serve", "--config"]);
    spawn = spawn.arg(account(folder, chat, "bob", "serve")?).arg("--state").arg(folder.join("serve"));
    for target in targets {
        spawn = spawn.arg("--allow").arg(target.to_string());
    }
    let process = spawn.start()?;
    process.wait_for_line(|line| line.starts_with("READY"), PATIENCE)?;
    Ok(process)
}

fn forward(
    executable: &Path,
    folder: &Path,
    chat: &ChatServer,
    name: &str,
    target: SocketAddr,
) -> Result<(Process, SocketAddr)> {
    let process = Spawn::new("forward", executable)
        .args([
            "forward",
            "--listen",
            "127.0.0.1:0",
            "--to",
            &chat.jid("bob"),
            "--target",
            &target.to_string(),
        ])
        .arg("--config")
        .arg(account(folder, chat, "alice", name)?)
        .arg("--state")
        .arg(folder.join(name))
        .start()?;
    let line = process.wait_for_line(|line| line.starts_with("LISTENING"), PATIENCE)?;
    let port = line.split(' ').nth(1).context("no port")?.parse()?;
    Ok((process, port))
}

/// A configuration file with the account of `user`.
fn account(folder: &Path, chat: &ChatServer, user: &str, name: &str) -> Result<PathBuf> {
    let path = folder.join(format!("{name}.toml"));
    fs::write(&path, chat.account_section(user, chat.address()))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(path)
}

/// Median and 99th percentile.
fn echo_times(address: SocketAddr) -> Result<[Duration; 2]> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut cell = [7; CELL];
    let mut times = Vec::with_capacity(ECHOES);
    for _ in 0..ECHOES {
        let started = Instant::now();
        stream.write_all(&cell)?;
        stream.read_exact(&mut cell)?;
        times.push(started.elapsed());
    }
    times.sort();
    Ok([times[ECHOES / 2], times[ECHOES * 99 / 100]])
}
