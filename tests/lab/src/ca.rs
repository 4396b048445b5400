//! A certificate authority of our own, and a chat server's certificate from it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData as _, date_time_ymd,
};
use ring::digest::{SHA256, digest};

/// The files of a chat server's certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The authority's certificate, for clients.
    pub ca: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's key.
    pub key: PathBuf,
    /// Certificate and key in one file, as ejabberd wants them.
    pub bundle: PathBuf,
    /// SHA-256 of its public key, as `pin` in a bridge line has it.
    pub pin: String,
}

/// An authority of our own.
#[derive(Debug)]
pub struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// When no key can be made.
    pub fn new() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = dated(CertificateParams::new(Vec::new())?);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "hexchat-lab");
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// Its own certificate, for whoever is to believe it.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Makes a certificate for `domains` and 127.0.0.1, which a URL may name instead of a domain, in `folder`. It expires when this year
    /// begins.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn certify(&self, year: i32, domains: &[&str], folder: &Path) -> Result<Certificate> {
        let key = KeyPair::generate()?;
        let domains = domains.iter().chain(&["127.0.0.1"]).map(|&domain| domain.to_owned());
        let mut params = dated(CertificateParams::new(domains.collect::<Vec<_>>())?);
        params.not_after = date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer)?;
        let hash = digest(&SHA256, &key.subject_public_key_info());
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            anyhow::Ok(path)
        };
        Ok(Certificate {
            ca: write("ca.pem", self.pem.clone())?,
            certificate: write("server.pem", certificate.pem())?,
            key: write("server.key", key.serialize_pem())?,
            pin: URL_SAFE_NO_PAD.encode(hash),
            bundle: write("bundle.pem", certificate.pem() + &key.serialize_pem())?,
        })
    }
}

/// Makes an authority and a certificate of its own for `domains`, in `folder`; see [`Authority::certify`].
///
/// # Errors
///
/// When a file cannot be written.
pub fn certificate_for(domains: &[&str], folder: &Path) -> Result<Certificate> {
    certificate_until(2049, domains, folder)
}

/// The same, of a certificate that expires when this year begins.
///
/// # Errors
///
/// As [`certificate_for`].
pub fn certificate_until(year: i32, domains: &[&str], folder: &Path) -> Result<Certificate> {
    Authority::new()?.certify(year, domains, folder)
}

/// A validity that everyone understands: with the default, up to the year 4096, ejabberd's certificate manager crashes
/// and every TLS connection is reset.
fn dated(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params
}
