//! Probes: what a curious stranger sends.

/// Its name, and the stanza. `TO` is the account's full JID, `BARE` its bare one, `ID` an id of the prober's choice,
/// `PROBER` the prober's full JID.
pub(crate) type Probe<'a> = (&'a str, &'a str);

/// What a client may be asked, and answers that nobody asked for.
pub(crate) const REQUESTS: &[Probe<'_>] = &[
    (
        "disco#info",
        "<iq type='get' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    ),
    (
        "disco#info of a node",
        "<iq type='get' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/disco#info' node='http://slixmpp.com/ver/1.8.3#abc'/></iq>",
    ),
    (
        "disco#info of an empty node",
        "<iq type='get' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/disco#info' node=''/></iq>",
    ),
    (
        "disco#info that is set",
        "<iq type='set' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    ),
    (
        "disco#items",
        "<iq type='get' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    ),
    (
        "disco#items of a node",
        "<iq type='get' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'/></iq>",
    ),
    (
        "disco#items that are set",
        "<iq type='set' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>",
    ),
    ("version", "<iq type='get' id='ID' to='TO'><query xmlns='jabber:iq:version'/></iq>"),
    ("version that is set", "<iq type='set' id='ID' to='TO'><query xmlns='jabber:iq:version'/></iq>"),
    ("ping", "<iq type='get' id='ID' to='TO'><ping xmlns='urn:xmpp:ping'/></iq>"),
    (
        "ping with content",
        "<iq type='get' id='ID' to='TO'><ping xmlns='urn:xmpp:ping' a='b'><c/></ping></iq>",
    ),
    ("ping that is set", "<iq type='set' id='ID' to='TO'><ping xmlns='urn:xmpp:ping'/></iq>"),
    ("time", "<iq type='get' id='ID' to='TO'><time xmlns='urn:xmpp:time'/></iq>"),
    ("time that is set", "<iq type='set' id='ID' to='TO'><time xmlns='urn:xmpp:time'/></iq>"),
    ("last activity", "<iq type='get' id='ID' to='TO'><query xmlns='jabber:iq:last'/></iq>"),
    ("unknown get", "<iq type='get' id='ID' to='TO'><query xmlns='jabber:iq:unheard-of'/></iq>"),
    (
        "unknown set",
        "<iq type='set' id='ID' to='TO'><query xmlns='jabber:iq:unheard-of'>text<child/></query></iq>",
    ),
    ("to the bare JID", "<iq type='get' id='ID' to='BARE'><query xmlns='jabber:iq:version'/></iq>"),
    (
        "disco of the bare JID",
        "<iq type='get' id='ID' to='BARE'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    ),
    (
        "IBB open",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11' stanza='iq'/></iq>",
    ),
    (
        "IBB open for messages",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='x' stanza='message'/></iq>",
    ),
    (
        "IBB open that is malformed",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='many'/></iq>",
    ),
    (
        "IBB open that is a get",
        "<iq type='get' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='x'/></iq>",
    ),
    (
        "IBB open without a kind of stanza",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11'/></iq>",
    ),
    (
        "IBB open with the largest blocks",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='65535' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11' stanza='iq'/></iq>",
    ),
    (
        "IBB open with blocks of nothing",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='0' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11' stanza='iq'/></iq>",
    ),
    (
        "IBB open with a short sid",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='i781hf64' stanza='iq'/></iq>",
    ),
    (
        "IBB open with an empty sid",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='' stanza='iq'/></iq>",
    ),
    (
        "IBB open with a sid in capitals",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='4AD9A5C4-3D4D-4C2E-B1C6-0F6F3A3C9D11' stanza='iq'/></iq>",
    ),
    (
        "IBB open with a sid of another version",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='4ad9a5c4-3d4d-1c2e-b1c6-0f6f3a3c9d11' stanza='iq'/></iq>",
    ),
    (
        "IBB open with a child",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11' stanza='iq'><x/></open></iq>",
    ),
    (
        "IBB open again",
        "<iq type='set' id='ID' to='TO'><open xmlns='http://jabber.org/protocol/ibb' block-size='4096' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11' stanza='iq'/></iq>",
    ),
    (
        "IBB data",
        "<iq type='set' id='ID' to='TO'><data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11'>AAAA</data></iq>",
    ),
    (
        "IBB data that is malformed",
        "<iq type='set' id='ID' to='TO'><data xmlns='http://jabber.org/protocol/ibb' seq='-1' sid='x'>*</data></iq>",
    ),
    (
        "IBB data without a block",
        "<iq type='set' id='ID' to='TO'><data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11'/></iq>",
    ),
    (
        "IBB data of a far block",
        "<iq type='set' id='ID' to='TO'><data xmlns='http://jabber.org/protocol/ibb' seq='65535' sid='i781hf64'>AAAA</data></iq>",
    ),
    (
        "IBB close",
        "<iq type='set' id='ID' to='TO'><close xmlns='http://jabber.org/protocol/ibb' sid='4ad9a5c4-3d4d-4c2e-b1c6-0f6f3a3c9d11'/></iq>",
    ),
    (
        "IBB close that is malformed",
        "<iq type='set' id='ID' to='TO'><close xmlns='http://jabber.org/protocol/ibb'/></iq>",
    ),
    (
        "IBB close with a short sid",
        "<iq type='set' id='ID' to='TO'><close xmlns='http://jabber.org/protocol/ibb' sid='i781hf64'/></iq>",
    ),
    (
        "IBB of no kind",
        "<iq type='set' id='ID' to='TO'><reopen xmlns='http://jabber.org/protocol/ibb' sid='i781hf64'/></iq>",
    ),
    (
        "jingle",
        "<iq type='set' id='ID' to='TO'><jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' initiator='PROBER' sid='a73sjjvkla37jfea'><content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/><transport xmlns='urn:xmpp:jingle:transports:ibb:1' block-size='4096' sid='ch3d9s71'/></content></jingle></iq>",
    ),
    (
        "jingle that ends",
        "<iq type='set' id='ID' to='TO'><jingle xmlns='urn:xmpp:jingle:1' action='session-terminate' sid='a73sjjvkla37jfea'><reason><success/></reason></jingle></iq>",
    ),
    (
        "a roster push from a stranger",
        "<iq type='set' id='ID' to='TO'><query xmlns='jabber:iq:roster'><item jid='eve@chat.example' subscription='both'/></query></iq>",
    ),
    ("the roster", "<iq type='get' id='ID' to='TO'><query xmlns='jabber:iq:roster'/></iq>"),
    ("vCard", "<iq type='get' id='ID' to='TO'><vCard xmlns='vcard-temp'/></iq>"),
    (
        "ad-hoc command",
        "<iq type='set' id='ID' to='TO'><command xmlns='http://jabber.org/protocol/commands' node='list' action='execute'/></iq>",
    ),
    (
        "SOCKS5 bytestream",
        "<iq type='set' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/bytestreams' sid='x'><streamhost jid='PROBER' host='127.0.0.1' port='1'/></query></iq>",
    ),
    (
        "stream initiation",
        "<iq type='set' id='ID' to='TO'><si xmlns='http://jabber.org/protocol/si' id='a0' profile='http://jabber.org/protocol/si/profile/file-transfer'/></iq>",
    ),
    ("bind", "<iq type='set' id='ID' to='TO'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"),
    ("session", "<iq type='set' id='ID' to='TO'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>"),
    ("register", "<iq type='get' id='ID' to='TO'><query xmlns='jabber:iq:register'/></iq>"),
    (
        "disco result unasked",
        "<iq type='result' id='ID' to='TO'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>",
    ),
    ("result unasked", "<iq type='result' id='ID' to='TO'/>"),
    (
        "error unasked",
        "<iq type='error' id='ID' to='TO'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
    ),
];

/// Messages, which an idle client leaves for its user to read.
pub(crate) const MESSAGES: &[Probe<'_>] = &[
    ("message to the full JID", "<message type='chat' id='ID' to='TO'><body>Hello</body></message>"),
    ("message to the bare JID", "<message type='chat' id='ID' to='BARE'><body>Hello</body></message>"),
    ("message of type normal", "<message id='ID' to='TO'><body>Hello</body></message>"),
    (
        "message with a receipt wanted",
        "<message type='chat' id='ID' to='TO'><body>Hello</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>",
    ),
    (
        "chat state",
        "<message type='chat' id='ID' to='TO'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    ),
    ("headline", "<message type='headline' id='ID' to='TO'><body>News</body></message>"),
    ("groupchat message", "<message type='groupchat' id='ID' to='TO'><body>Hello all</body></message>"),
    (
        "error message",
        "<message type='error' id='ID' to='TO'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    ),
    (
        "invitation by a room",
        "<message id='ID' to='TO'><x xmlns='http://jabber.org/protocol/muc#user'><invite from='PROBER'><reason>Come</reason></invite></x></message>",
    ),
    (
        "direct invitation",
        "<message id='ID' to='TO'><x xmlns='jabber:x:conference' jid='room@muc.chat.example'/></message>",
    ),
    (
        "IBB data in a message",
        "<message id='ID' to='TO'><data xmlns='http://jabber.org/protocol/ibb' seq='0' sid='x'>AAAA</data></message>",
    ),
];

/// Presence of somebody who does not ask for anything.
pub(crate) const PRESENCE: &[Probe<'_>] = &[
    ("directed presence", "<presence id='ID' to='TO'><show>away</show></presence>"),
    (
        "directed presence with capabilities",
        "<presence id='ID' to='TO'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://x.example' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
    ),
    ("directed unavailable presence", "<presence id='ID' to='TO' type='unavailable'/>"),
    (
        "directed error presence",
        "<presence id='ID' to='TO' type='error'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
    ),
    ("probe", "<presence id='ID' to='BARE' type='probe'/>"),
    ("probe of the full JID", "<presence id='ID' to='TO' type='probe'/>"),
    ("subscribed unasked", "<presence id='ID' to='BARE' type='subscribed'/>"),
    ("unsubscribed unasked", "<presence id='ID' to='BARE' type='unsubscribed'/>"),
    ("unsubscribe unasked", "<presence id='ID' to='BARE' type='unsubscribe'/>"),
];

/// Presence, in the order in which a contact is made and lost again.
pub(crate) const CONTACTS: &[Probe<'_>] = &[
    ("subscribe", "<presence id='ID' to='BARE' type='subscribe'/>"),
    ("subscribe again", "<presence id='ID' to='BARE' type='subscribe'/>"),
    ("probe by a subscriber", "<presence id='ID' to='BARE' type='probe'/>"),
    ("subscribed as asked for", "<presence id='ID' to='BARE' type='subscribed'/>"),
    ("presence of a friend", "<presence id='ID'/>"),
    ("unsubscribed", "<presence id='ID' to='BARE' type='unsubscribed'/>"),
    ("unsubscribe", "<presence id='ID' to='BARE' type='unsubscribe'/>"),
    (
        "subscribe with words",
        "<presence id='ID' to='BARE' type='subscribe'><status>Hi</status><nick xmlns='http://jabber.org/protocol/nick'>Eve</nick></presence>",
    ),
    ("unsubscribe after that", "<presence id='ID' to='BARE' type='unsubscribe'/>"),
];

/// For those who have heard of the classic protocol.
pub(crate) const CLASSIC: &[Probe<'_>] = &[
    (
        "classic connect",
        "<iq type='set' id='ID' to='TO'><connect xmlns='hexchat:connect'><local_ip>127.0.0.1</local_ip><local_port>1</local_port><remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>PROBER</aliases></connect></iq>",
    ),
    (
        "classic packet",
        "<iq type='set' id='ID' to='TO'><packet xmlns='hexchat:packet'><local_ip>127.0.0.1</local_ip><local_port>1</local_port><remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>PROBER</aliases><id>0</id><data>AAAA</data></packet></iq>",
    ),
    (
        "classic disconnect",
        "<iq type='set' id='ID' to='TO'><disconnect xmlns='hexchat:disconnect'><local_ip>127.0.0.1</local_ip><local_port>1</local_port><remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>PROBER</aliases><id>0</id></disconnect></iq>",
    ),
    ("classic that is unreadable", "<iq type='set' id='ID' to='TO'><packet xmlns='hexchat:packet'/></iq>"),
    ("classic that is a get", "<iq type='get' id='ID' to='TO'><connect xmlns='hexchat:connect'/></iq>"),
    (
        "classic result unasked",
        "<iq type='result' id='ID' to='TO'><connect_ack xmlns='hexchat:connect_ack'><response>success</response></connect_ack></iq>",
    ),
    (
        "classic connect in a message",
        "<message type='chat' id='ID' to='TO'><connect xmlns='hexchat:connect'><local_ip>127.0.0.1</local_ip><local_port>1</local_port><remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>PROBER</aliases></connect></message>",
    ),
    (
        "classic connect to the bare JID",
        "<message type='chat' id='ID' to='BARE'><connect xmlns='hexchat:connect'><local_ip>127.0.0.1</local_ip><local_port>1</local_port><remote_ip>127.0.0.1</remote_ip><remote_port>2</remote_port><aliases>PROBER</aliases></connect></message>",
    ),
];

/// What a server should not let through. ejabberd does.
pub(crate) const MALFORMED: &[Probe<'_>] = &[
    ("get without a child", "<iq type='get' id='ID' to='TO'/>"),
    ("get with text only", "<iq type='get' id='ID' to='TO'>text</iq>"),
    (
        "get with two children",
        "<iq type='get' id='ID' to='TO'><ping xmlns='urn:xmpp:ping'/><query xmlns='jabber:iq:version'/></iq>",
    ),
    (
        "set with an error too",
        "<iq type='set' id='ID' to='TO'><query xmlns='jabber:iq:unheard-of'/><error type='cancel'/></iq>",
    ),
    ("unknown type", "<iq type='unheard-of' id='ID' to='TO'><ping xmlns='urn:xmpp:ping'/></iq>"),
    ("no type", "<iq id='ID' to='TO'><ping xmlns='urn:xmpp:ping'/></iq>"),
];

/// Of which our account does not see everything.
pub(crate) const LOST: &[Probe<'_>] = &[
    (
        "unknown get in another language",
        "<iq type='get' id='ID' to='TO' xml:lang='de'><query xmlns='jabber:iq:unheard-of'/></iq>",
    ),
    (
        "unknown get with another attribute",
        "<iq type='get' id='ID' to='TO' extra='yes'><query xmlns='jabber:iq:unheard-of'/></iq>",
    ),
    (
        "unknown get with text and a child",
        "<iq type='get' id='ID' to='TO'>text<query xmlns='jabber:iq:unheard-of'/></iq>",
    ),
];
