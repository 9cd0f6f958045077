//! Downloads from a real HTTP server on loopback that misbehaves: it cuts connections, refuses, stalls, and sends other bytes;
//! models in the cache of other programs; and
//! the commands that get and find them.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cached;
mod doors;
mod downloads;
mod refusals;
