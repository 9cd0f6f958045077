//! Downloads from a real HTTP server on loopback that misbehaves: it cuts connections, refuses, stalls, and sends other bytes;
//! and models in the cache of other programs.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod cached;
mod downloads;
mod refusals;
mod server;
