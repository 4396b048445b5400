//! Bridge played by a chat server: the classic protocol, written down again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::chat_server::{CLIENT, Conversation, DOMAIN, attribute, content};

/// A connection that the client asks for.
pub(crate) struct Asked {
    /// The header, as the bridge writes it.
    header: String,
    /// The id of the next packet to the client.
    next: u32,
}

impl Asked {
    /// The next connect.
    pub(crate) fn by(client: &mut Conversation) -> Option<Self> {
        client.hear("<message")?;
        let connect = client.hear("</message>")?;
        let field = |name| content(&connect, name);
        let header = format!(
            "<local_ip>{}</local_ip><local_port>{}</local_port><remote_ip>{}</remote_ip><remote_port>{}</remote_port>\
             <aliases>bridge@{DOMAIN}/b</aliases>",
            field("remote_ip"),
            field("remote_port"),
            field("local_ip"),
            field("local_port")
        );
        Some(Self { header, next: 0 })
    }

    /// Answers it: `success` or `failure`.
    pub(crate) fn answer(&self, client: &mut Conversation, response: &str) -> Option<()> {
        let header = &self.header;
        let ack = format!(
            "<connect_ack xmlns='hexchat:connect_ack'>{header}<response>{response}</response></connect_ack>"
        );
        client.say(iq("result", "ack", &ack))
    }

    /// The data of the next packet, which must have this id. It is answered, as peers do.
    pub(crate) fn packet(&self, client: &mut Conversation, id: u32) -> Option<Vec<u8>> {
        loop {
            client.hear("<iq")?;
            let stanza = client.hear("</iq>")?;
            if stanza.contains("hexchat:packet") {
                assert_eq!(content(&stanza, "id"), id.to_string());
                client.say(iq("result", &attribute(&stanza, "id"), ""))?;
                return BASE64.decode(content(&stanza, "data")).ok();
            }
        }
    }

    /// Sends data to the client.
    pub(crate) fn send(&mut self, client: &mut Conversation, data: &[u8]) -> Option<()> {
        let (header, id, data) = (&self.header, self.next, BASE64.encode(data));
        self.next += 1;
        let packet =
            format!("<packet xmlns='hexchat:packet'>{header}<id>{id}</id><data>{data}</data></packet>");
        client.say(iq("set", &format!("p{id}"), &packet))
    }
}

fn iq(kind: &str, id: &str, payload: &str) -> String {
    format!("<iq type='{kind}' id='{id}' from='bridge@{DOMAIN}/b' to='{CLIENT}'>{payload}</iq>")
}
