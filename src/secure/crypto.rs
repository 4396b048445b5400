//! Cryptography: keys, proofs, the handshake, and the encryption of packets, files and relays.

pub mod credential;
pub mod entropy;
pub mod file;
pub mod handshake;
pub mod keys;
pub mod line;
pub mod relay;
pub mod seal;
pub(crate) mod secret;
