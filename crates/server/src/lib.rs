//! HTTP on loopback: the OpenAI shapes for models that write, `/predict` for models that sort.
//!
//! Knows sockets, shapes, the queue before the models and who may knock; does not know weights, tokenizers or templates: it
//! asks a [`Served`](lorikeet_api::Served) by name. Only this computer is let in: the listener is bound to 127.0.0.1, a `Host`
//! that is not this computer is refused (a page whose name was pointed here cannot ask), and so is an `Origin` that is
//! not. A request's body must be `application/json`, which a page of another site may not send unasked.
//!
//! | | |
//! |---|---|
//! | `GET /health` | whether it listens, and the names |
//! | `GET /v1/models`, `/v1/models/{name}` | what can be asked for |
//! | `POST /v1/chat/completions` | a conversation goes on, streamed or not |
//! | `POST /v1/completions` | a text goes on, streamed or not |
//! | `POST /predict` | the label of a text, or of several |

mod asked;
mod chat;
mod completion;
mod embedding;
mod fields;
mod frame;
mod gate;
mod predict;
mod refusal;
mod routes;
mod server;
mod serving;
mod switch;
mod writing;

pub use server::{DEFAULT_PORT, Server, StartError};
pub use switch::Switch;
