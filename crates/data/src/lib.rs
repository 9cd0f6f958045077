//! Records, import, chat templates, loss masks, batches: everything between a file of examples and token ids.
//!
//! Knows no tensors, no database, no async, and prints nothing: progress goes through callbacks, results are integers,
//! masks and lengths that the training code uploads.

mod bad_row;
mod batch;
mod dataset;
mod dress;
mod error;
mod example;
mod gguf;
mod import;
mod labels;
mod mask;
mod order;
mod pack;
mod partial;
mod pieces;
mod prepare;
mod preview;
mod python_text;
mod record;
mod split;
mod statistics;
mod store;
mod template;
mod token_store;
mod tokenizer;
mod tokenizer_files;
mod vocabulary_files;

pub use bad_row::{BadRow, BadRows, KEPT_BAD_ROWS};
pub use batch::{Batch, NOT_TRAINED};
pub use dataset::{Dataset, Description, LabelCount};
pub use dress::{LossOn, PrepareOptions};
pub use error::{Error, Result};
pub use example::{Example, Task};
pub use gguf::gguf_vocabulary;
pub use import::{ImportProgress, TextUnit};
pub use labels::Labels;
pub use order::{epoch_order, random_bits};
pub use pack::pack;
pub use prepare::{PrepareProgress, Prepared, prepare};
pub use preview::{PreviewRow, PreviewToken, preview};
pub use record::{Chat, Judged, Kind, Labelled, Message, Preference, Prompt, Record, Role, Text, Words};
pub use split::{Split, SplitShares, split};
pub use statistics::{LengthBar, Lengths, Statistics};
pub use store::{ImportOptions, Imported, Store};
pub use template::{ChatTemplate, TemplateOrigin};
pub use tokenizer::{ClassifierInput, Encoded, SpecialToken, TextStream, Tokenizer};
