//! Downloads from a real HTTP server on loopback that misbehaves: it cuts connections, refuses, stalls, and sends other bytes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod downloads;
mod refusals;
mod server;
