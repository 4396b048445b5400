//! A certificate authority of our own, and a chat server's certificate from it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

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
}

/// Makes an authority and a certificate for `domain`, in `folder`.
///
/// # Errors
///
/// When a file cannot be written.
pub fn certificate_for(domain: &str, folder: &Path) -> Result<Certificate> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "hexchat-lab");
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![domain.to_owned()])?.signed_by(&key, &issuer)?;
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        anyhow::Ok(path)
    };
    Ok(Certificate {
        ca: write("ca.pem", ca_certificate.pem())?,
        certificate: write("server.pem", certificate.pem())?,
        key: write("server.key", key.serialize_pem())?,
        bundle: write("bundle.pem", certificate.pem() + &key.serialize_pem())?,
    })
}
