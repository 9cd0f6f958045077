//! Every command of every door: what is asked, what is answered, and the bodies, a file per domain.
//!
//! Knows datasets, models, runs and the data folder; does not know windows, terminals or sockets. A door adds one line: it
//! turns what it received into a name and a JSON request and shows the JSON answer.

pub mod bindings;
pub mod commands;
#[cfg_attr(not(test), allow(dead_code, unused_macros, unused_imports, reason = "used where the bodies are put in"))]
pub(crate) mod dispatch;
pub mod served;
pub mod switch;
pub mod wire;

pub use bindings::bindings;
pub use served::Served;
pub use switch::ServeSwitch;
pub use wire::{ApiError, ErrorCode};
