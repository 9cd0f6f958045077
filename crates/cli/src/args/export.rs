//! `lorikeet export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lorikeet_api::wire::{ExportForm, ExportPrecision, ExportQuantization};

/// Flags of `export`.
#[derive(Debug, Args)]
#[command(
    long_about = "Write a result in the form another program loads.\n\n\
                  An adapter is added to the base's weights in 32-bit floats, one weight at a time, and narrowed once at the \
                  end. Every export is read back from disk and its logits compared with those of the adapter over its base; \
                  one that differs is thrown away. The tokenizer, the chat template and a model card travel along.",
    after_help = "Examples:\n  \
                  lorikeet export orders-1 --to merged -o ./orders            a whole model\n  \
                  lorikeet export orders-1 --to ollama --quantize q4_k_m      for Ollama\n  \
                  lorikeet export ./adapter --model ./SmolLM2-135M --to mlx    for mlx-lm\n\n\
                  JSON: folder, form, files, n_bytes, comparison, use_it, notes"
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
    /// Store the weights of a GGUF file in few bits [default: 16-bit floats]
    #[arg(long, value_name = "KIND")]
    pub quantize: Option<QuantizationWord>,
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
    /// A whole model as a GGUF file: llama.cpp, LM Studio
    Gguf,
    /// An adapter as a GGUF file: llama.cpp
    GgufAdapter,
    /// An mlx-lm adapter folder
    Mlx,
    /// A GGUF file with a Modelfile: Ollama
    Ollama,
}

impl From<FormWord> for ExportForm {
    fn from(word: FormWord) -> Self {
        match word {
            FormWord::Peft => ExportForm::Peft,
            FormWord::Merged => ExportForm::Merged,
            FormWord::Gguf => ExportForm::Gguf,
            FormWord::GgufAdapter => ExportForm::GgufAdapter,
            FormWord::Mlx => ExportForm::Mlx,
            FormWord::Ollama => ExportForm::Ollama,
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

/// A kind of quantisation, as a word.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum QuantizationWord {
    /// 8 bits
    #[value(name = "q8_0")]
    Q8_0,
    /// 6 bits
    #[value(name = "q6_k")]
    Q6K,
    /// 5 bits, and 6 where it matters most
    #[value(name = "q5_k_m")]
    Q5KM,
    /// 4 bits, and 6 where it matters most
    #[value(name = "q4_k_m")]
    Q4KM,
    /// 4 bits, of the older kind
    #[value(name = "q4_0")]
    Q4_0,
}

impl From<QuantizationWord> for ExportQuantization {
    fn from(word: QuantizationWord) -> Self {
        match word {
            QuantizationWord::Q8_0 => ExportQuantization::Q8_0,
            QuantizationWord::Q6K => ExportQuantization::Q6K,
            QuantizationWord::Q5KM => ExportQuantization::Q5KM,
            QuantizationWord::Q4KM => ExportQuantization::Q4KM,
            QuantizationWord::Q4_0 => ExportQuantization::Q4_0,
        }
    }
}
