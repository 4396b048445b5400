//! Wire: the bytes inside the encryption.

pub mod ack;
pub(crate) mod early;
pub mod file_frame;
pub mod frame;
pub(crate) mod padding;
pub(crate) mod ranges;
pub mod relay_frame;
pub(crate) mod varint;
