//! Our end of a bytestream: one account and the carrier, without a session.

use std::time::Duration;

use hexchat_lab::ChatServer;
use hexchat_pt::carrier::ibb::{Incoming, Outgoing, Transmit};
use hexchat_pt::carrier::{Arrival, Decision, Desk, Recipient};
use hexchat_pt::config::{AccountConfig, Credential, Login, ServerAddr, ServerConfig, TlsMode};
use hexchat_pt::xmpp::{AccountEvent, AccountId, AccountPool, Dialer, StreamManagement};
use tokio::sync::mpsc;
use tokio::time::timeout;
use xmpp_parsers::jid::FullJid;

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct End {
    pool: AccountPool,
    events: mpsc::Receiver<(AccountId, AccountEvent)>,
    id: AccountId,
    jid: FullJid,
    desk: Desk,
}

impl End {
    /// Logs in as `user`.
    pub(crate) async fn online(server: &ChatServer, user: &str) -> Self {
        let (pool, mut events) = AccountPool::new(Dialer::direct());
        let id = pool.open(account(server, user), StreamManagement::Wanted);
        let jid = loop {
            if let AccountEvent::Online { jid, .. } = event(&mut events).await {
                break jid;
            }
        };
        Self { pool, events, id, jid, desk: Desk::new(&[1; 32]) }
    }

    pub(crate) fn jid(&self) -> &FullJid {
        &self.jid
    }

    pub(crate) fn send(&self, to: &FullJid, stanza: Outgoing) {
        let via = self.id;
        self.pool.send(self.id, self.desk.secure(Transmit { via, to: to.clone(), stanza }), None);
    }

    /// The next stanza of a bytestream. Whatever else is asked gets the ordinary answer.
    pub(crate) async fn next(&mut self) -> (FullJid, Incoming) {
        loop {
            let arrival = match event(&mut self.events).await {
                AccountEvent::Stanza(stanza) => Arrival::Parsed(stanza),
                AccountEvent::Flat(flat) => Arrival::Flat(flat),
                _ => continue,
            };
            let to = Recipient {
                account: self.id,
                lets_in: false,
                speaks_classic: false,
                has_bytestream_with: &|_| true,
            };
            self.desk.handle(arrival, &to, || [0, 0]);
            while let Some(decision) = self.desk.poll() {
                match decision {
                    Decision::ToSecure { from, incoming: Incoming::Unknown { id } } => {
                        self.send(&from, Outgoing::Refusal { id });
                    }
                    Decision::ToSecure { from, incoming } => return (from, incoming),
                    Decision::Reply(parcel) => drop(self.pool.send(self.id, parcel, None)),
                    Decision::ToClassic { .. } | Decision::SignOfLife { .. } => {}
                }
            }
        }
    }
}

fn account(server: &ChatServer, user: &str) -> AccountConfig {
    let address = server.address();
    Login {
        jid: server.jid(user).parse().unwrap(),
        credential: Credential::Password(ChatServer::password(user).into()),
    }
    .at(ServerConfig {
        server: Some(ServerAddr { host: address.ip().to_string(), port: address.port() }.into()),
        tls: Some(TlsMode::StartTls),
        ca_file: Some(server.ca_file().to_owned()),
        ..ServerConfig::default()
    })
}

async fn event(events: &mut mpsc::Receiver<(AccountId, AccountEvent)>) -> AccountEvent {
    let (_, event) = timeout(PATIENCE, events.recv()).await.expect("an event in time").expect("an account");
    assert!(!matches!(event, AccountEvent::Failed(_) | AccountEvent::Lost { .. }), "{event:?}");
    event
}
