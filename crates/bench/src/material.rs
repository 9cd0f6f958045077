//! What a workload reads from disk: a model's folder with random weights, a tokenizer and examples. Made once for a folder
//! and used again; large files are written tensor by tensor.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use lorikeet_data::gguf_vocabulary;
use lorikeet_jobs::Failure;
use lorikeet_models::export::Merged;
use lorikeet_models::gguf::GgufRecipe;
use lorikeet_models::random::Stream;
use lorikeet_models::{Fused, ModelError};
use safetensors::{Dtype, tensor::View};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::shape::{Family, Shape, Tensor};
use crate::{Stored, Work, Workload, examples, tokenizers, writing};

const SEED: u64 = 11;
/// The standard deviation of weights is 0.02: uniform numbers of this width.
const SPREAD: f32 = 0.0693;
/// Rank of adapters.
pub const RANK: usize = 8;

/// Where a workload's files lie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// The model: a folder, or a GGUF file.
    pub model: PathBuf,
    /// Examples, where it is trained or text is read in.
    pub examples: PathBuf,
    /// The adapter, where one takes part.
    pub adapter: Option<PathBuf>,
    /// Where a run may write.
    pub work: PathBuf,
}

/// What another program needs to know to do the same work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Described {
    /// The workload's name.
    pub workload: &'static str,
    /// What a person reads.
    pub title: &'static str,
    /// How the model is stored.
    pub stored: &'static str,
    /// The folder of the model in 32-bit floats, whatever the workload takes.
    pub folder: PathBuf,
    /// Its files.
    pub material: Material,
    /// Examples of a step.
    pub batch: usize,
    /// Tokens of an example.
    pub tokens: usize,
    /// Whether blocks are computed again.
    pub recompute: bool,
    /// Modules with an adapter.
    pub targets: &'static [&'static str],
    /// Tokens of a prompt.
    pub prompt: usize,
    /// Tokens written.
    pub written: usize,
}

impl Described {
    /// The workload in words, with its files.
    pub fn new(root: &Path, workload: &Workload, material: Material) -> Self {
        let (batch, tokens, recompute) = match workload.work {
            Work::Train { batch, tokens, recompute } => (batch, tokens, recompute),
            _ => (1, 0, false),
        };
        let (prompt, written) = match workload.work {
            Work::Read { tokens } => (tokens, 1),
            _ => (writing::PROMPT, writing::WRITTEN),
        };
        let is_import = matches!(workload.work, Work::Import { .. });
        Self {
            workload: workload.name,
            title: workload.title,
            stored: workload.stored.name(),
            folder: if is_import { material.model.clone() } else { root.join(workload.shape.name) },
            material,
            batch,
            tokens,
            recompute,
            targets: workload.shape.targets(),
            prompt,
            written,
        }
    }
}

/// The files of `workload` below `root`, made where they are not there yet. `starter` is a model's folder whose tokenizer
/// reads conversations.
///
/// # Errors
/// Where the disk refuses.
pub fn prepare(root: &Path, workload: &Workload, starter: &Path) -> Result<Material, Failure> {
    let shape = &workload.shape;
    let work = root.join("work");
    fs::create_dir_all(&work).map_err(io("create", &work))?;
    if let Work::Import { bytes } = workload.work {
        let examples = root.join(format!("conversations-{bytes}.jsonl"));
        once(&examples, |path| write_rows(path, |out| examples::write_conversations(out, bytes)))?;
        return Ok(Material { model: starter.to_owned(), examples, adapter: None, work });
    }
    let folder = root.join(shape.name);
    once(&folder, |path| write_model(path, shape))?;
    let model = match recipe(workload.stored) {
        None => folder.clone(),
        Some(recipe) => {
            let file = root.join(format!("{}-{}.gguf", shape.name, workload.stored.name()));
            once(&file, |path| write_gguf(&folder, path, shape, recipe))?;
            file
        }
    };
    let (n, tokens) = match workload.work {
        Work::Train { batch, tokens, .. } => (4 * batch, tokens),
        Work::Read { tokens } => (1, tokens),
        Work::Write { .. } | Work::Import { .. } => (1, 32),
    };
    let examples = root.join(format!("{}-{n}x{tokens}.jsonl", shape.name));
    once(&examples, |path| write_rows(path, |out| examples::write_texts(out, shape, n, tokens)))?;
    let adapter = match workload.work {
        Work::Write { adapter: true } => {
            let adapter = root.join(format!("{}-adapter", shape.name));
            once(&adapter, |path| write_adapter(path, shape))?;
            Some(adapter)
        }
        _ => None,
    };
    Ok(Material { model, examples, adapter, work })
}

fn recipe(stored: Stored) -> Option<GgufRecipe> {
    match stored {
        Stored::F32 => None,
        Stored::Q8_0 => Some(GgufRecipe::Q8_0),
        Stored::Q4KM => Some(GgufRecipe::Q4KM),
    }
}

pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Failure + use<> {
    let path = path.to_owned();
    move |source| ModelError::Io { action, path, source }.into()
}

/// Makes `path` whole, unless it is there: beside its place first.
fn once(path: &Path, make: impl FnOnce(&Path) -> Result<(), Failure>) -> Result<(), Failure> {
    if path.exists() {
        return Ok(());
    }
    let ending = path.extension().unwrap_or_default().to_string_lossy().into_owned();
    let beside = path.with_extension(format!("{}.partial.{ending}", std::process::id()));
    make(&beside)?;
    fs::rename(&beside, path).map_err(io("write", path))
}

fn write_rows(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<(), Failure> {
    let write = || {
        let mut out = BufWriter::new(File::create(path)?);
        write(&mut out)?;
        out.flush()
    };
    write().map_err(io("write", path))
}

fn write_json(path: &Path, value: &Value) -> Result<(), Failure> {
    fs::write(path, value.to_string()).map_err(io("write", path))
}

fn write_model(folder: &Path, shape: &Shape) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(io("create", folder))?;
    write_json(&folder.join("config.json"), &shape.config())?;
    let (tokenizer, settings) = tokenizers::of(shape);
    write_json(&folder.join("tokenizer.json"), &tokenizer)?;
    write_json(&folder.join("tokenizer_config.json"), &settings)?;
    write_tensors(&folder.join("model.safetensors"), shape.tensors())
}

fn write_tensors(path: &Path, tensors: Vec<Tensor>) -> Result<(), Failure> {
    let views = (0..).zip(tensors).map(|(number, (name, dims))| {
        let is_norm = name.to_lowercase().contains("norm.weight");
        (name.clone(), Random { is_bias: name.ends_with(".bias"), is_norm, dims, stream: Stream::new(SEED, number) })
    });
    let format = [("format".to_owned(), "pt".to_owned())].into();
    let written = safetensors::serialize_to_file(views, Some(format), path);
    written.map_err(|e| io("write", path)(std::io::Error::other(e)))
}

/// A tensor of random numbers that exist while they are written.
struct Random {
    is_bias: bool,
    is_norm: bool,
    dims: Vec<usize>,
    stream: Stream,
}

impl View for Random {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.dims
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut numbers = vec![if self.is_norm { 1.0 } else { 0.0 }; self.dims.iter().product()];
        if !self.is_bias && !self.is_norm {
            self.stream.fill(0, &mut numbers, |u| SPREAD * (u - 0.5));
        }
        Cow::Owned(numbers.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.dims.iter().product::<usize>() * size_of::<f32>()
    }
}

fn write_gguf(folder: &Path, file: &Path, shape: &Shape, recipe: GgufRecipe) -> Result<(), Failure> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let merged = Merged::open(Fused::new(threads)?, folder, None)?;
    let fields = gguf_vocabulary(folder, shape.vocabulary)?;
    merged.write_gguf(file, recipe, fields, &mut |_, _| true)?;
    Ok(())
}

/// An adapter of rank 8 beside every linear map, in the form of PEFT.
fn write_adapter(folder: &Path, shape: &Shape) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(io("create", folder))?;
    let task = if shape.family == Family::Bert { "SEQ_CLS" } else { "CAUSAL_LM" };
    let config = json!({"peft_type": "LORA", "task_type": task, "r": RANK, "lora_alpha": 2 * RANK, "lora_dropout": 0.0,
        "bias": "none", "fan_in_fan_out": false, "inference_mode": true, "base_model_name_or_path": shape.name,
        "target_modules": shape.targets()});
    write_json(&folder.join("adapter_config.json"), &config)?;
    let mut tensors = Vec::new();
    for layer in 0..shape.layers {
        for (module, out, inside) in shape.linears() {
            let path = format!("base_model.model.{}", shape.module(layer, module));
            tensors.push((format!("{path}.lora_A.weight"), vec![RANK, inside]));
            tensors.push((format!("{path}.lora_B.weight"), vec![out, RANK]));
        }
    }
    write_tensors(&folder.join("adapter_model.safetensors"), tensors)
}
