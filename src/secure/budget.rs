//! Budgets: what everything that is kept costs, and how clients share what there is.

pub(crate) mod counted;
pub(crate) mod domain_group;
pub(crate) mod fair_share;
pub(crate) mod ledger;
pub(crate) mod price;
