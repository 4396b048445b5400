//! TLS alert of a server that demands a client certificate.

use std::io;

use tokio_rustls::rustls::{AlertDescription, Error};

/// Whether the server has ended the connection because we have no certificate to show. In TLS 1.3 that comes when the handshake is over for us (RFC
/// 8446 section 4.4.2.4); a server that speaks an older version has no alert for it alone, and some take the one for a certificate that
/// is no good.
pub(in crate::xmpp) fn demands_certificate(error: &io::Error) -> bool {
    let fault = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    matches!(
        fault,
        Some(Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::BadCertificate))
    )
}
