//! The names of tensors in GGUF files and in Hugging Face's, family by family, and what is different about their numbers.

use std::{ops::Range, path::Path};

use lorikeet_gguf::{Header, TensorInfo};
use lorikeet_kernels::{HostMatrix, Precision, RowOrder};

use crate::{ModelError, Result};

/// What is different about a tensor in a GGUF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Same,
    /// Rows of a head in pairs that are rotated together, where Hugging Face keeps the halves of all pairs.
    Pairs,
    /// One was added to a norm's weight, so that the norm needs no special case.
    PlusOne,
    /// Outputs before inputs, where GPT-2's own class keeps inputs before outputs.
    Transposed,
}

impl Change {
    /// The matrix as a GGUF file has it, from Hugging Face's. `head_dim` is the size of a head.
    ///
    /// # Errors
    /// Where the rows are not whole heads.
    pub fn into_gguf(self, matrix: HostMatrix, head_dim: usize) -> Result<HostMatrix> {
        match self {
            Change::Same => Ok(matrix),
            Change::Pairs => reordered(matrix, RowOrder::PairsFromHalves(head_dim)),
            Change::PlusOne => added(&matrix, 1.0),
            Change::Transposed => transposed(&matrix),
        }
    }

    /// The matrix as Hugging Face has it, from a GGUF file's. What is transposed there stays as it is: outputs before
    /// inputs is what products take.
    ///
    /// # Errors
    /// Where the rows are not whole heads.
    pub(crate) fn into_hugging_face(self, matrix: HostMatrix, head_dim: usize) -> Result<HostMatrix> {
        match self {
            Change::Same | Change::Transposed => Ok(matrix),
            Change::Pairs => reordered(matrix, RowOrder::HalvesFromPairs(head_dim)),
            Change::PlusOne => added(&matrix, -1.0),
        }
    }
}

/// Rows in another order, without a copy; for a bias, which is one row, its numbers.
fn reordered(matrix: HostMatrix, order: RowOrder) -> Result<HostMatrix> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    if rows > 1 {
        return Ok(matrix.in_order(order)?);
    }
    let column = HostMatrix::from_f32(&matrix.to_f32(), cols, 1)?.in_order(order)?;
    Ok(HostMatrix::from_f32(&column.to_f32(), 1, cols)?)
}

fn added(matrix: &HostMatrix, term: f32) -> Result<HostMatrix> {
    let numbers: Vec<f32> = matrix.to_f32().iter().map(|v| v + term).collect();
    Ok(HostMatrix::from_f32(&numbers, matrix.rows(), matrix.cols())?)
}

fn transposed(matrix: &HostMatrix) -> Result<HostMatrix> {
    let (rows, cols, numbers) = (matrix.rows(), matrix.cols(), matrix.to_f32());
    let turned: Vec<f32> = (0..rows * cols).map(|i| numbers[i % rows * cols + i / rows]).collect();
    Ok(HostMatrix::from_f32(&turned, cols, rows)?)
}

/// A module under its two names; `.weight` and `.bias` follow in both.
type Row = (&'static str, &'static str, Change);

/// A family of decoders: its names in both worlds.
#[derive(Debug)]
struct Family {
    architecture: &'static str,
    model_types: &'static [&'static str],
    /// Modules outside the blocks.
    outside: &'static [Row],
    /// What stands before the number of a block in Hugging Face's names.
    blocks: &'static str,
    /// Modules inside a block.
    inside: &'static [Row],
}

const OUTSIDE: &[Row] = &[
    ("model.embed_tokens", "token_embd", Change::Same),
    ("model.norm", "output_norm", Change::Same),
    ("lm_head", "output", Change::Same),
];

const OUTSIDE_PLUS_ONE: &[Row] = &[
    ("model.embed_tokens", "token_embd", Change::Same),
    ("model.norm", "output_norm", Change::PlusOne),
    ("lm_head", "output", Change::Same),
];

const LLAMA: &[Row] = &[
    ("input_layernorm", "attn_norm", Change::Same),
    ("self_attn.q_proj", "attn_q", Change::Pairs),
    ("self_attn.k_proj", "attn_k", Change::Pairs),
    ("self_attn.v_proj", "attn_v", Change::Same),
    ("self_attn.o_proj", "attn_output", Change::Same),
    ("post_attention_layernorm", "ffn_norm", Change::Same),
    ("mlp.gate_proj", "ffn_gate", Change::Same),
    ("mlp.up_proj", "ffn_up", Change::Same),
    ("mlp.down_proj", "ffn_down", Change::Same),
];

const QWEN: &[Row] = &[
    ("input_layernorm", "attn_norm", Change::Same),
    ("self_attn.q_proj", "attn_q", Change::Same),
    ("self_attn.k_proj", "attn_k", Change::Same),
    ("self_attn.v_proj", "attn_v", Change::Same),
    ("self_attn.o_proj", "attn_output", Change::Same),
    ("self_attn.q_norm", "attn_q_norm", Change::Same),
    ("self_attn.k_norm", "attn_k_norm", Change::Same),
    ("post_attention_layernorm", "ffn_norm", Change::Same),
    ("mlp.gate_proj", "ffn_gate", Change::Same),
    ("mlp.up_proj", "ffn_up", Change::Same),
    ("mlp.down_proj", "ffn_down", Change::Same),
];

const GEMMA: &[Row] = &[
    ("input_layernorm", "attn_norm", Change::PlusOne),
    ("self_attn.q_proj", "attn_q", Change::Same),
    ("self_attn.k_proj", "attn_k", Change::Same),
    ("self_attn.v_proj", "attn_v", Change::Same),
    ("self_attn.o_proj", "attn_output", Change::Same),
    ("post_attention_layernorm", "ffn_norm", Change::PlusOne),
    ("mlp.gate_proj", "ffn_gate", Change::Same),
    ("mlp.up_proj", "ffn_up", Change::Same),
    ("mlp.down_proj", "ffn_down", Change::Same),
];

/// Gemma 2 and 3, whose blocks have a norm on either side of each half.
const GEMMA2: &[Row] = &[
    ("input_layernorm", "attn_norm", Change::PlusOne),
    ("self_attn.q_proj", "attn_q", Change::Same),
    ("self_attn.k_proj", "attn_k", Change::Same),
    ("self_attn.v_proj", "attn_v", Change::Same),
    ("self_attn.o_proj", "attn_output", Change::Same),
    ("self_attn.q_norm", "attn_q_norm", Change::PlusOne),
    ("self_attn.k_norm", "attn_k_norm", Change::PlusOne),
    ("post_attention_layernorm", "post_attention_norm", Change::PlusOne),
    ("pre_feedforward_layernorm", "ffn_norm", Change::PlusOne),
    ("post_feedforward_layernorm", "post_ffw_norm", Change::PlusOne),
    ("mlp.gate_proj", "ffn_gate", Change::Same),
    ("mlp.up_proj", "ffn_up", Change::Same),
    ("mlp.down_proj", "ffn_down", Change::Same),
];

const PHI3: &[Row] = &[
    ("input_layernorm", "attn_norm", Change::Same),
    ("self_attn.qkv_proj", "attn_qkv", Change::Same),
    ("self_attn.o_proj", "attn_output", Change::Same),
    ("post_attention_layernorm", "ffn_norm", Change::Same),
    ("mlp.gate_up_proj", "ffn_up", Change::Same),
    ("mlp.down_proj", "ffn_down", Change::Same),
];

const GPT2_OUTSIDE: &[Row] = &[
    ("transformer.wte", "token_embd", Change::Same),
    ("transformer.wpe", "position_embd", Change::Same),
    ("transformer.ln_f", "output_norm", Change::Same),
    ("lm_head", "output", Change::Same),
];

const GPT2: &[Row] = &[
    ("ln_1", "attn_norm", Change::Same),
    ("attn.c_attn", "attn_qkv", Change::Transposed),
    ("attn.c_proj", "attn_output", Change::Transposed),
    ("ln_2", "ffn_norm", Change::Same),
    ("mlp.c_fc", "ffn_up", Change::Transposed),
    ("mlp.c_proj", "ffn_down", Change::Transposed),
];

const FAMILIES: [Family; 9] = [
    family("llama", &["llama", "mistral"], LLAMA),
    family("smollm3", &["smollm3"], LLAMA),
    family("qwen2", &["qwen2"], QWEN),
    family("qwen3", &["qwen3"], QWEN),
    Family { outside: OUTSIDE_PLUS_ONE, ..family("gemma", &["gemma"], GEMMA) },
    Family { outside: OUTSIDE_PLUS_ONE, ..family("gemma2", &["gemma2"], GEMMA2) },
    Family { outside: OUTSIDE_PLUS_ONE, ..family("gemma3", &["gemma3_text"], GEMMA2) },
    family("phi3", &["phi3"], PHI3),
    Family { outside: GPT2_OUTSIDE, blocks: "transformer.h.", ..family("gpt2", &["gpt2"], GPT2) },
];

const fn family(architecture: &'static str, model_types: &'static [&'static str], inside: &'static [Row]) -> Family {
    Family { architecture, model_types, outside: OUTSIDE, blocks: "model.layers.", inside }
}

/// The names of one family.
#[derive(Clone, Copy, Debug)]
pub struct GgufNames(&'static Family);

impl GgufNames {
    /// The names of the family that `config.json` calls `model_type`; `None` where GGUF has no such family here.
    pub fn of_model_type(model_type: &str) -> Option<Self> {
        FAMILIES.iter().find(|f| f.model_types.contains(&model_type)).map(Self)
    }

    /// The names of the family that GGUF calls `architecture`.
    pub fn of_architecture(architecture: &str) -> Option<Self> {
        FAMILIES.iter().find(|f| f.architecture == architecture).map(Self)
    }

    /// What GGUF calls the family.
    pub fn architecture(self) -> &'static str {
        self.0.architecture
    }

    /// What `config.json` calls the family.
    pub fn model_type(self) -> &'static str {
        self.0.model_types.first().copied().unwrap_or_default()
    }

    /// The architectures that are known, as a list for reading.
    pub fn known() -> String {
        FAMILIES.map(|f| f.architecture).join(", ")
    }

    /// The name in a GGUF file of a tensor such as `model.layers.3.mlp.up_proj.weight`, and what is different there.
    pub fn to_gguf(self, name: &str) -> Option<(String, Change)> {
        let (module, kind) = name.rsplit_once('.')?;
        if let Some((block, inside)) = module.strip_prefix(self.0.blocks).and_then(|rest| rest.split_once('.')) {
            let block: usize = block.parse().ok()?;
            let (_, theirs, change) = self.0.inside.iter().find(|(ours, ..)| *ours == inside)?;
            return Some((format!("blk.{block}.{theirs}.{kind}"), effect(*change, kind)));
        }
        let (_, theirs, change) = self.0.outside.iter().find(|(ours, ..)| *ours == module)?;
        Some((format!("{theirs}.{kind}"), effect(*change, kind)))
    }

    /// The other way round: the name that Hugging Face gives a tensor such as `blk.3.ffn_up.weight`.
    pub fn to_hugging_face(self, name: &str) -> Option<(String, Change)> {
        let (module, kind) = name.rsplit_once('.')?;
        if let Some((block, inside)) = module.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
            let block: usize = block.parse().ok()?;
            let (ours, _, change) = self.0.inside.iter().find(|(_, theirs, _)| *theirs == inside)?;
            return Some((format!("{}{block}.{ours}.{kind}", self.0.blocks), effect(*change, kind)));
        }
        let (ours, _, change) = self.0.outside.iter().find(|(_, theirs, _)| *theirs == module)?;
        Some((format!("{ours}.{kind}"), effect(*change, kind)))
    }
}

/// A bias is never transposed.
fn effect(change: Change, kind: &str) -> Change {
    if change == Change::Transposed && kind == "bias" { Change::Same } else { change }
}

/// A tensor of a GGUF file under the name that the model asks for.
pub(crate) struct FileEntry {
    pub name: String,
    pub dims: Vec<usize>,
    /// The precision, or the name of a format that is not read; nothing is known of its place then.
    pub format: std::result::Result<Precision, String>,
    pub range: Range<usize>,
    pub change: Change,
}

/// The tensors of the file at `path`, of `len` bytes, that the family knows, under Hugging Face's names.
///
/// # Errors
/// [`ModelError::BadGguf`] where one does not lie in the file.
pub(crate) fn file_entries(header: &Header<'_>, names: GgufNames, path: &Path, len: usize) -> Result<Vec<FileEntry>> {
    let mut entries = Vec::new();
    for tensor in &header.tensors {
        let Some((name, change)) = names.to_hugging_face(&tensor.name) else { continue };
        let format = super::precision_of(tensor.format);
        let range = match &format {
            Ok(precision) => place(tensor, *precision, len).ok_or_else(|| {
                let reason = format!("`{}` of shape {:?} is not within its {len} bytes", tensor.name, tensor.dims);
                ModelError::BadGguf { path: path.to_owned(), reason }
            })?,
            Err(_) => 0..0,
        };
        entries.push(FileEntry { name, dims: tensor.dims.clone(), format, range, change });
    }
    Ok(entries)
}

fn place(tensor: &TensorInfo<'_>, precision: Precision, len: usize) -> Option<Range<usize>> {
    let cols = tensor.dims.last().copied().unwrap_or(1);
    let rows = tensor.dims.iter().rev().skip(1).try_fold(1usize, |n, d| n.checked_mul(*d))?;
    let end = tensor.start.checked_add(precision.row_bytes(cols)?.checked_mul(rows)?)?;
    (end <= len).then_some(tensor.start..end)
}

impl GgufNames {
    /// The family of a file.
    ///
    /// # Errors
    /// [`ModelError::UnknownFamily`] with the families that are known.
    pub(crate) fn of_file(header: &Header<'_>) -> Result<Self> {
        let architecture = header.text("general.architecture").unwrap_or_default();
        Self::of_architecture(architecture).ok_or_else(|| ModelError::UnknownFamily {
            model_type: architecture.to_owned(),
            closest: None,
            known: Self::known(),
        })
    }
}
