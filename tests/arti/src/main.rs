//! A client of Tor that is Arti: bootstraps, fetches a file, says so, and stays until standard input ends.
//!
//! A process of its own, because Arti ends a transport that has nothing to say only by exiting.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use arti_client::TorClient;
use arti_client::config::TorClientConfigBuilder;
use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use hexchat_lab::files::hex;
use ring::digest;
use tor_rtcompat::tokio::TokioRustlsRuntime;

type Client = Arc<TorClient<TokioRustlsRuntime>>;

/// Arguments: the configuration file, the web server's address, and the length of the file.
#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().context("arguments: FILE ADDRESS LENGTH");
    let (file, address, length) = (PathBuf::from(argument()?), argument()?, argument()?);
    let client = bootstrap(&std::fs::read_to_string(file)?).await?;
    println!("bootstrapped");
    println!("fetched {}", fetch(&client, &address, &length).await?);
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    Ok(())
}

async fn bootstrap(configuration: &str) -> Result<Client> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow!("two providers"))?;
    let configuration: TorClientConfigBuilder = toml::from_str(configuration)?;
    let client = TorClient::with_runtime(TokioRustlsRuntime::current()?).config(configuration.build()?);
    Ok(client.create_bootstrapped().await?)
}

/// Fetches `http://ADDRESS/LENGTH` and returns its SHA-256.
async fn fetch(client: &Client, address: &str, length: &str) -> Result<String> {
    let mut stream = client.connect(address).await?;
    let request = format!("GET /{length} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").context("no answer")?;
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&answer[head + 4..]);
    Ok(hex(hash))
}
