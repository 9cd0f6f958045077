//! Models in GGUF files: which tensor is which, what the metadata says of sizes and options, and how a model is written
//! into one. The container itself is `lorikeet-gguf`'s; the vocabulary is `lorikeet-data`'s.
//!
//! One table of names and one of keys serve both directions.

mod config;
mod names;
mod recipe;
mod write;

pub use lorikeet_gguf::locate;
use lorikeet_kernels::Precision;

pub use self::{
    config::fields_of,
    names::{Change, GgufNames},
    recipe::GgufRecipe,
    write::{GgufTensor, write_adapter_tensors, write_gguf},
};
pub(crate) use self::{
    config::{head_dim, raw_config},
    names::{FileEntry, file_entries},
};

/// The number that a precision has in GGUF files (`ggml` types).
pub fn format_number(precision: Precision) -> u32 {
    match precision {
        Precision::F32 => 0,
        Precision::F16 => 1,
        Precision::Q4_0 => 2,
        Precision::Q4_1 => 3,
        Precision::Q5_0 => 6,
        Precision::Q5_1 => 7,
        Precision::Q8_0 => 8,
        Precision::Q4K => 12,
        Precision::Q5K => 13,
        Precision::Q6K => 14,
        Precision::Bf16 => 30,
    }
}

/// The precision with this number, or the name under which the format is known.
pub(crate) fn precision_of(number: u32) -> Result<Precision, String> {
    let known = Precision::ALL.into_iter().find(|p| format_number(*p) == number);
    known.ok_or_else(|| match number {
        9 => "Q8_1".to_owned(),
        10 => "Q2_K".to_owned(),
        11 => "Q3_K".to_owned(),
        15 => "Q8_K".to_owned(),
        16..=23 | 29 => "one of the IQ formats".to_owned(),
        34 | 35 => "one of the TQ formats".to_owned(),
        39 => "MXFP4".to_owned(),
        other => format!("format {other}"),
    })
}
