//! Models and adapters into GGUF files.

use std::path::Path;

use lorikeet_gguf::{TensorPlan, Value as Field};
use lorikeet_kernels::{HostMatrix, Precision};

use super::{
    Change, GgufNames, GgufRecipe,
    config::{fields_of, rope_divisors},
    format_number,
};
use crate::{Architecture, ModelConfig, ModelError, Result};

/// A tensor on its way into a file.
#[derive(Clone, Debug)]
pub struct GgufTensor {
    /// Hugging Face's name of it, such as `model.layers.3.mlp.up_proj.weight`.
    pub name: String,
    /// Its shape as Hugging Face has it.
    pub dims: Vec<usize>,
}

/// Writes the model that `config` describes to `path`, with the metadata of `config` and then `fields` (the vocabulary, a
/// name). `matrix` is asked for one tensor after the other, as Hugging Face has it, so that they need not be in memory
/// together. Returns the precision of every tensor under GGUF's names.
///
/// # Errors
/// Where GGUF has no such family here or no name for a tensor, and where the disk refuses.
pub fn write_gguf(
    path: &Path,
    config: &ModelConfig,
    fields: Vec<(String, Field<'_>)>,
    tensors: &[GgufTensor],
    recipe: GgufRecipe,
    mut matrix: impl FnMut(&GgufTensor) -> Result<HostMatrix>,
) -> Result<Vec<(String, Precision)>> {
    let mut all: Vec<(String, Field<'_>)> = fields_of(&config.raw)?;
    all.push(("general.type".to_owned(), Field::text("model")));
    all.push(("general.file_type".to_owned(), Field::U32(recipe.file_type())));
    all.push(("general.quantization_version".to_owned(), Field::U32(2)));
    all.extend(fields);
    let (names, head_dim, layers) = sizes(config)?;
    let tied = !tensors.iter().any(|t| t.name.starts_with("lm_head."));
    let mut plans = tensors
        .iter()
        .map(|t| plan(t, names, |name, dims| recipe.precision(name, dims, layers, tied)))
        .collect::<Result<Vec<_>>>()?;
    let divisors = rope_divisors(&config.raw, head_dim);
    if let Some(divisors) = &divisors {
        plans.push(Planned::floats("rope_freqs.weight", vec![divisors.len()]));
    }
    let on_disk: Vec<TensorPlan> = plans.iter().map(|p| p.on_disk.clone()).collect();
    lorikeet_gguf::write(path, &all, &on_disk, |i| {
        let planned = &plans[i];
        let stored = match (tensors.get(i), &divisors) {
            (Some(tensor), _) => planned.change.into_gguf(matrix(tensor)?, head_dim)?,
            (None, divisors) => {
                let numbers = divisors.as_deref().unwrap_or_default();
                HostMatrix::from_f32(numbers, 1, numbers.len())?
            }
        };
        bytes(&stored, planned.precision)
    })?;
    Ok(plans.into_iter().map(|p| (p.on_disk.name, p.precision)).collect())
}

/// Writes an adapter's tensors to `path` in 32-bit floats with `fields`. A name is that of the adapted module followed by
/// `.lora_a` or `.lora_b`, such as `model.layers.3.mlp.up_proj.weight.lora_a`; what a module's rows undergo in GGUF
/// happens to `lora_b`.
///
/// # Errors
/// As [`write_gguf`].
pub fn write_adapter_tensors(
    path: &Path,
    config: &ModelConfig,
    fields: &[(String, Field<'_>)],
    tensors: &[(String, HostMatrix)],
) -> Result<()> {
    let (names, head_dim, _) = sizes(config)?;
    let named = tensors.iter().map(|(name, matrix)| {
        let (module, part) = name.rsplit_once('.').unwrap_or((name, ""));
        let (module, change) = names.to_gguf(module).ok_or_else(|| nameless(names, name))?;
        let change = if part == "lora_b" && change == Change::Pairs { change } else { Change::Same };
        let dims = vec![matrix.rows(), matrix.cols()];
        Ok((Planned::floats(&format!("{module}.{part}"), dims).on_disk, change))
    });
    let named = named.collect::<Result<Vec<_>>>()?;
    let plans: Vec<TensorPlan> = named.iter().map(|(plan, _)| plan.clone()).collect();
    lorikeet_gguf::write(path, fields, &plans, |i| {
        bytes(&named[i].1.into_gguf(tensors[i].1.clone(), head_dim)?, Precision::F32)
    })
}

struct Planned {
    on_disk: TensorPlan,
    precision: Precision,
    change: Change,
}

impl Planned {
    fn floats(name: &str, dims: Vec<usize>) -> Self {
        let n_bytes = dims.iter().product::<usize>() * size_of::<f32>();
        let on_disk = TensorPlan { name: name.to_owned(), dims, format: format_number(Precision::F32), n_bytes };
        Self { on_disk, precision: Precision::F32, change: Change::Same }
    }
}

fn plan(tensor: &GgufTensor, names: GgufNames, precision: impl Fn(&str, &[usize]) -> Precision) -> Result<Planned> {
    let (name, change) = names.to_gguf(&tensor.name).ok_or_else(|| nameless(names, &tensor.name))?;
    let mut dims = tensor.dims.clone();
    if change == Change::Transposed {
        dims.reverse();
    }
    let precision = precision(&name, &dims);
    let cols = dims.last().copied().unwrap_or(1);
    let rows: usize = dims.iter().rev().skip(1).product();
    let n_bytes = precision.row_bytes(cols).unwrap_or_default() * rows;
    Ok(Planned { on_disk: TensorPlan { name, dims, format: format_number(precision), n_bytes }, precision, change })
}

fn nameless(names: GgufNames, tensor: &str) -> ModelError {
    ModelError::Unsuited {
        model_type: names.model_type().to_owned(),
        problem: format!("has no place for `{tensor}` in a GGUF file"),
    }
}

/// The rows in their order, in another precision.
fn bytes(matrix: &HostMatrix, precision: Precision) -> Result<Vec<u8>> {
    if matrix.precision() == precision {
        return Ok((0..matrix.rows()).flat_map(|row| matrix.row_bytes(row)).copied().collect());
    }
    Ok(matrix.quantise(precision)?.stored_bytes().to_vec())
}

/// The family's names, the size of a head and the number of blocks.
fn sizes(config: &ModelConfig) -> Result<(GgufNames, usize, usize)> {
    match (&config.architecture, GgufNames::of_model_type(&config.model_type)) {
        (Architecture::Decoder(spec), Some(names)) => Ok((names, spec.head_dim, spec.layers.len())),
        _ => Err(ModelError::Unsuited {
            model_type: config.model_type.clone(),
            problem: format!("has no form in GGUF here; these have: {}", GgufNames::known()),
        }),
    }
}
