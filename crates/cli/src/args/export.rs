//! `lorikeet export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lorikeet_api::wire::{ExportForm, ExportPrecision};

/// Flags of `export`.
#[derive(Debug, Args)]
#[command(
    long_about = "Write a result in the form another program loads.\n\n\
                  An adapter is added to the base's weights in 32-bit floats, one weight at a time, and narrowed once at the \
                  end. Every export is read back from disk and its logits compared with those of the adapter over its base; \
                  one that differs is thrown away. The tokenizer, the chat template and a model card travel along.",
    after_help = "Examples:\n  \
                  lorikeet export orders-1 --to merged -o ./orders            a whole model\n  \
                  lorikeet export ./adapter --model ./SmolLM2-135M --to mlx    for mlx-lm\n\n\
                  JSON: folder, form, files, n_bytes, comparison, use_it"
)]
pub struct ExportArgs {
    /// A run, an adapter folder, or a model without an adapter
    #[arg(value_name = "RUN_OR_DIR")]
    pub source: String,
    /// The form
    #[arg(long, value_name = "FORM")]
    pub to: FormWord,
    /// Base of the adapter, by id, name or folder [default: the one it was trained on]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Number format of whole weights [default: as in the base]
    #[arg(long, value_name = "FORMAT")]
    pub precision: Option<PrecisionWord>,
    /// Folder for the export [default: inside the data folder]
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// A form, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FormWord {
    /// A PEFT adapter folder: PEFT, transformers, vLLM
    Peft,
    /// A whole model as safetensors: transformers, vLLM, mlx-lm
    Merged,
    /// An mlx-lm adapter folder
    Mlx,
}

impl From<FormWord> for ExportForm {
    fn from(word: FormWord) -> Self {
        match word {
            FormWord::Peft => ExportForm::Peft,
            FormWord::Merged => ExportForm::Merged,
            FormWord::Mlx => ExportForm::Mlx,
        }
    }
}

/// A number format, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum PrecisionWord {
    /// 32-bit floats
    F32,
    /// 16-bit floats
    F16,
    /// The upper half of 32-bit floats
    Bf16,
}

impl From<PrecisionWord> for ExportPrecision {
    fn from(word: PrecisionWord) -> Self {
        match word {
            PrecisionWord::F32 => ExportPrecision::F32,
            PrecisionWord::F16 => ExportPrecision::F16,
            PrecisionWord::Bf16 => ExportPrecision::Bf16,
        }
    }
}
