//! Exports: a result in the form another program loads.

use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "kebab-case")]
pub enum ExportForm {
    /// A PEFT adapter folder: PEFT, transformers, vLLM.
    Peft,
    /// A whole model as safetensors: transformers, vLLM, mlx-lm, and what converts from there.
    Merged,
    /// A whole model as a GGUF file: llama.cpp, LM Studio, Ollama.
    Gguf,
    /// An adapter as a GGUF file: llama.cpp, over the same base.
    GgufAdapter,
    /// An mlx-lm adapter folder.
    Mlx,
    /// A GGUF file with the Modelfile that makes it an Ollama model.
    Ollama,
}

/// How the weights of a GGUF file are stored in few bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
pub enum ExportQuantization {
    /// 8 bits.
    #[serde(rename = "q8_0")]
    Q8_0,
    /// 6 bits.
    #[serde(rename = "q6_k")]
    Q6K,
    /// 5 bits, and 6 where it matters most.
    #[serde(rename = "q5_k_m")]
    Q5KM,
    /// 4 bits, and 6 where it matters most.
    #[serde(rename = "q4_k_m")]
    Q4KM,
    /// 4 bits, of the older kind.
    #[serde(rename = "q4_0")]
    Q4_0,
}

/// Number formats of whole weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(rename_all = "lowercase")]
pub enum ExportPrecision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats of IEEE 754.
    F16,
    /// The upper half of 32-bit floats.
    Bf16,
}

/// Asks for a result in another form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct ExportRequest {
    /// A run, an adapter folder, or a model without an adapter.
    pub source: String,
    /// The base of an adapter, by id, name or path; the one it was trained on if left out.
    pub model: Option<String>,
    /// The form.
    pub to: ExportForm,
    /// Number format of whole weights; as in the base if left out.
    pub precision: Option<ExportPrecision>,
    /// How a GGUF file is quantised; not at all if left out.
    pub quantize: Option<ExportQuantization>,
    /// Folder for the export; inside the data folder if left out.
    pub output: Option<String>,
}

/// Asks which forms a result can take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
#[serde(deny_unknown_fields)]
#[ts(optional_fields)]
pub struct ExportFormsRequest {
    /// A run, an adapter folder, or a model without an adapter.
    pub source: String,
    /// The base of an adapter, by id, name or path; the one it was trained on if left out.
    pub model: Option<String>,
}

/// A form that a result can take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ExportChoice {
    /// The form.
    pub form: ExportForm,
    /// The programs that load the result in this form.
    pub programs: Vec<String>,
    /// Number formats its weights can be written in, the usual one first; none where the form decides.
    pub precisions: Vec<ExportPrecision>,
    /// Ways to store its weights in few bits, the usual one first; none where the form has none.
    pub quantizations: Vec<ExportQuantization>,
}

/// An export that was written, read back and compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, TS)]
pub struct Export {
    /// Where it is.
    pub folder: String,
    /// Its form.
    pub form: ExportForm,
    /// Its files.
    pub files: Vec<ExportFile>,
    /// All of them together.
    pub n_bytes: u64,
    /// How far it is from what it was made of.
    pub comparison: ExportComparison,
    /// How it is used elsewhere, the usual way first.
    pub use_it: Vec<ExportUse>,
    /// What to know about it, such as a chat template that could not be put into another language.
    pub notes: Vec<String>,
}

/// A way to use an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ExportUse {
    /// With what, and what that needs, as the end of a sentence ("with llama.cpp").
    pub with: String,
    /// What is typed there, ready to copy.
    pub command: String,
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, TS)]
pub struct ExportFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub n_bytes: u64,
}

/// Logits of an export, read back from disk, against those of the adapter over its base.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, TS)]
pub struct ExportComparison {
    /// Positions compared; texts for a classifier.
    pub n_rows: u64,
    /// Largest difference of a logit.
    pub largest_difference: f64,
    /// Root mean square of the differences over that of the logits.
    pub relative_difference: f64,
    /// What that may be at most.
    pub tolerance: f64,
    /// Share of positions with the same likeliest token or label.
    pub same_best: f64,
}
