//! How to let go of a stanza stream without a sound.
//!
//! The stanza stream's worker panics when the slot for its next connection is dropped, and it does not notice that its
//! owner is gone while it waits on that slot. So a slot that will never get a real connection gets one that is over as
//! soon as it is used: the worker fails to bind, finds that nobody is interested any more, and ends.

use std::io;

use tokio::sync::oneshot;
use tokio_xmpp::stanzastream::Connection;
use tokio_xmpp::xmlstream::{StreamHeader, Timeouts, initiate_stream};
use xmpp_parsers::bind::BindFeature;
use xmpp_parsers::jid::Jid;
use xmpp_parsers::ns;
use xmpp_parsers::stream_features::StreamFeatures;

/// All that the dead connection ever says.
const HEADER: &[u8] = b"<stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='0'>";

/// Ends the worker that waits on `slot`. The stanza stream must have been dropped before.
pub(super) async fn put_to_rest(slot: oneshot::Sender<Connection>, identity: Jid) {
    match dead_connection(identity).await {
        Ok(connection) => drop(slot.send(connection)),
        // Cannot happen with a header that is well-formed; the worker then ends the loud way.
        Err(error) => tracing::debug!(kind = ?error.kind(), "no dead connection for a worker to end on"),
    }
}

async fn dead_connection(identity: Jid) -> io::Result<Connection> {
    let io: Box<dyn tokio_xmpp::connect::AsyncReadAndWrite + Send> =
        Box::new(tokio::io::join(HEADER, tokio::io::sink()));
    let header = StreamHeader { to: None, from: None, id: None };
    let stream = initiate_stream(io, ns::JABBER_CLIENT, header, Timeouts::default()).await?.skip_features();
    let features =
        StreamFeatures { bind: Some(BindFeature { required: false }), ..StreamFeatures::default() };
    Ok(Connection { stream, features, identity })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tokio::sync::mpsc;
    use tokio_xmpp::stanzastream::StanzaStream;

    #[tokio::test]
    async fn a_worker_that_waits_for_a_connection_ends_without_asking_for_another() {
        let (slots_in, mut slots) = mpsc::unbounded_channel();
        let stream = StanzaStream::new(Box::new(move |_, slot| drop(slots_in.send(slot))), 1);
        let slot = slots.recv().await.unwrap();
        drop(stream);
        put_to_rest(slot, Jid::new("a@b").unwrap()).await;
        // The worker drops our closure, and with it the sender, when it ends.
        assert!(slots.recv().await.is_none(), "asked for another connection instead of ending");
    }
}
