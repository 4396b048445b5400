//! Client certificate, of which there is none: whether a server has asked for one.
//!
//! Many ask and let in who has none, so that it is to blame only for what follows. Resumption of TLS sessions wants one resolver for all
//! connections; so each handshake takes its own note, in the task that makes it.

use std::cell::Cell;
use std::sync::Arc;

use tokio::task_local;
use tokio_rustls::rustls::SignatureScheme;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::sign::CertifiedKey;

task_local! {
    static WAS_ASKED: Cell<bool>;
}

/// Has none, and takes note that one was asked for.
#[derive(Debug)]
pub(super) struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        // Nobody needs the note where nobody takes it.
        let _ = WAS_ASKED.try_with(|was_asked| was_asked.set(true));
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// What becomes of this handshake, and whether the server has asked for a certificate.
pub(super) async fn noting<T>(handshake: impl Future<Output = T>) -> (T, bool) {
    let noted = async { (handshake.await, WAS_ASKED.with(Cell::get)) };
    WAS_ASKED.scope(Cell::new(false), noted).await
}
