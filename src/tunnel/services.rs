//! Services of accounts' servers, as all lanes use them: when they are looked for, and what is asked of them.
//!
//! They are looked for once a bridge was reached by an account: an account that nobody uses asks its server for nothing.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use xmpp_parsers::jid::{FullJid, Jid};

use super::cores::StreamKey;
use super::{Shared, State};
use crate::carrier::Arrival;
use crate::carrier::relay::proxy::Proxy;
use crate::carrier::services::discovery::Wanted;
use crate::carrier::services::{Services, Step};
use crate::carrier::upload::service::Service;
use crate::protocol::AccountId;
use crate::secure::files::FileKey;

/// What the tunnel knows of services.
#[derive(Debug)]
pub(super) struct Finder {
    services: Services,
    /// Accounts that are online, and as whom.
    online: BTreeMap<AccountId, FullJid>,
    /// Accounts by which a bridge was reached: for them services are looked for.
    useful: BTreeSet<AccountId>,
    /// Connects that are not answered yet, and by which accounts they are made.
    connects: BTreeMap<StreamKey, Vec<AccountId>>,
}

impl Finder {
    /// Looks for what is wanted of these.
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            services: Services::new(wanted),
            online: BTreeMap::new(),
            useful: BTreeSet::new(),
            connects: BTreeMap::new(),
        }
    }

    /// A bridge is asked for a connection by these accounts.
    pub(super) fn on_connect(&mut self, stream: StreamKey, accounts: &[AccountId]) {
        let is_new = accounts.iter().any(|account| !self.useful.contains(account));
        if is_new && self.services.wants_any() {
            self.connects.insert(stream, accounts.to_vec());
        }
    }

    /// The bridge has answered a connect.
    pub(super) fn on_connected(&mut self, now: Instant, stream: StreamKey) {
        for account in self.connects.remove(&stream).unwrap_or_default() {
            if self.useful.insert(account) {
                self.look_for_services(now, account);
            }
        }
    }

    /// The bridge will never answer it.
    pub(super) fn on_closed(&mut self, stream: StreamKey) {
        self.connects.remove(&stream);
    }

    /// An account is online. Tells whether it has logged in anew, so that what was known of its services is forgotten.
    pub(super) fn on_online(
        &mut self,
        now: Instant,
        account: AccountId,
        jid: FullJid,
        resumed: bool,
    ) -> bool {
        self.online.insert(account, jid);
        let is_anew = !resumed && self.services.knows(account);
        if is_anew {
            self.services.forget(account);
        }
        if self.useful.contains(&account) && !self.services.knows(account) {
            self.look_for_services(now, account);
        }
        is_anew
    }

    /// An account is closed.
    pub(super) fn on_gone(&mut self, account: AccountId) {
        self.online.remove(&account);
        self.useful.remove(&account);
        self.services.forget(account);
    }

    /// Takes what has come to an account, if it is an answer to something that was asked here.
    pub(super) fn handle(&mut self, account: AccountId, arrival: &Arrival) -> bool {
        self.services.handle(account, arrival, &mut rand::random)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.services.handle_timeout(now, &mut rand::random);
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.services.next_timeout()
    }

    /// As whom an account is online.
    pub(super) fn online(&self, account: AccountId) -> Option<&FullJid> {
        self.online.get(&account)
    }

    /// The upload service of its server, if there is one.
    pub(super) fn upload_service(&self, account: AccountId) -> Option<&Service> {
        self.services.service(account)
    }

    /// The proxy of its server, if there is one.
    pub(super) fn proxy(&self, account: AccountId) -> Option<&Proxy> {
        self.services.proxy(account)
    }

    /// Asks for a slot for a file of so many bytes.
    pub(super) fn ask_for_slot(&mut self, now: Instant, of: (AccountId, FileKey), size: usize) {
        self.services.ask(now, of, size, &mut rand::random);
    }

    /// Nobody waits for the slot of a file any more.
    pub(super) fn withdraw_slot(&mut self, file: FileKey) {
        self.services.withdraw(file);
    }

    /// Asks the proxy to join both ends of a bytestream.
    pub(super) fn activate(&mut self, now: Instant, stream: (AccountId, String), target: &FullJid) {
        self.services.activate(now, stream, target, &mut rand::random);
    }

    /// Nobody waits for the activation of a bytestream any more.
    pub(super) fn withdraw_activation(&mut self, sid: &str) {
        self.services.withdraw_activation(sid);
    }

    /// What is to be done next, or is known.
    fn poll(&mut self) -> Option<Step> {
        self.services.poll()
    }

    fn look_for_services(&mut self, now: Instant, account: AccountId) {
        if let Some(jid) = self.online.get(&account).filter(|_| self.services.wants_any()) {
            let server = Jid::from_parts(None, jid.domain(), None);
            self.services.search(now, account, &server, &mut rand::random);
        }
    }
}

impl Shared {
    /// Does what the core wants done by the lanes beside paths, and what follows from what has come. Tells whether there was anything.
    pub(super) fn see_to_lanes(&self, state: &mut State, now: Instant) -> bool {
        let was_busy = self.see_to_files(state, now) | self.see_to_relays(state, now);
        let Some(step) = state.finder.poll() else { return was_busy };
        match step {
            Step::Send(account, request) => {
                self.pool.send(account, request, None);
            }
            Step::FoundService(account, service) => self.on_service(state, now, account, service),
            Step::FoundProxy(account, proxy) => self.on_proxy(state, now, account, proxy.is_some()),
            Step::Answered { account, file, answer } => {
                let slot = self.slot(state, account, answer);
                state.cores.secure.handle_slot(now, file, slot);
            }
            Step::Activated { account, sid, answer } => {
                self.on_activated(state, now, account, (&sid, answer));
            }
        }
        true
    }

    /// An account is online. After a new login the core counts on none of its services until they are found again.
    pub(super) fn see_to_services(
        &self,
        state: &mut State,
        now: Instant,
        account: AccountId,
        (jid, resumed): (FullJid, bool),
    ) {
        if state.finder.on_online(now, account, jid, resumed) {
            state.cores.secure.handle_upload_service(now, account, None);
            state.cores.secure.handle_proxy(now, account, false);
        }
    }
}
