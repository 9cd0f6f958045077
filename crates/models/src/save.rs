//! Adapters and models on their way out: files that are whole or absent, in the names and keys that PEFT and
//! transformers read.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::HashMap,
    fs::{self, File},
    io::Write,
    path::Path,
};

use lorikeet_kernels::{Backend, Precision, fused::rows::narrow_bf16};
use safetensors::{Dtype, tensor::View};
use serde_json::{Map, Value, json};

use crate::{
    AdapterConfig, AdapterFiles, Architecture, LoraSpec, Model, ModelError, ModelFiles, Result, Targets, Tokens,
    names::{DecoderNames, EncoderNames},
};

/// Writes a file whole or not at all: beside its place, flushed to the disk, then renamed.
///
/// # Errors
/// Where the system refuses; nothing is left behind then.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("partial");
    let written = File::create(&beside).and_then(|mut f| f.write_all(bytes).and_then(|()| f.sync_all()));
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    renamed.inspect_err(|_| drop(fs::remove_file(&beside))).map_err(ModelError::io("write", path))
}

/// Files that travel with a model: how text becomes ids and back.
const COMPANIONS: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
];

impl<B: Backend> Model<B> {
    /// Writes the adapter as PEFT does, into a folder that exists, and compares what is on disk with what is in memory.
    ///
    /// # Errors
    /// Where the disk refuses, or the numbers read back are not the same.
    pub fn save_adapter(&self, folder: &Path, base_model: &str) -> Result<()> {
        let lora = self.lora().ok_or_else(|| ModelError::Unsuited {
            model_type: self.config().model_type.clone(),
            problem: "without an adapter has none to save; save the whole model".to_owned(),
        })?;
        let (task_type, modules_to_save) = match (&self.config().architecture, self.config().labels) {
            (Architecture::Decoder(_), None) => ("CAUSAL_LM", [].as_slice()),
            (Architecture::Decoder(_), Some(_)) => ("SEQ_CLS", [DecoderNames::SCORE].as_slice()),
            (Architecture::Encoder(e), _) => ("SEQ_CLS", EncoderNames::of(e.family).head),
        };
        let config = AdapterConfig {
            lora: LoraSpec { targets: Targets::Named(self.adapted_modules().to_vec()), ..lora.clone() },
            base_model: base_model.to_owned(),
            task_type: task_type.to_owned(),
            modules_to_save: modules_to_save.iter().map(|s| (*s).to_owned()).collect(),
            fan_in_fan_out: matches!(&self.config().architecture, Architecture::Decoder(d) if d.transposed),
        };
        let path = folder.join("adapter_model.safetensors");
        self.write_parameters(&path, Precision::F32)?;
        write_file(&folder.join("adapter_config.json"), pretty(&config.to_json()).as_bytes())?;
        self.compare_with_file(folder, &path)
    }

    fn compare_with_file(&self, folder: &Path, path: &Path) -> Result<()> {
        let files = ModelFiles::open_file(path)?;
        for p in self.parameters() {
            let stored = files.matrix(&p.name)?.map(|m| m.to_f32()).unwrap_or_default();
            let ours = self.backend().download(&p.value)?;
            let same = stored.len() == ours.len() && stored.iter().zip(&ours).all(|(a, b)| a.to_bits() == b.to_bits());
            if !same {
                return Err(ModelError::Readback { path: folder.to_owned(), difference: f32::NAN });
            }
        }
        Ok(())
    }

    /// Compares the logits of this model with what they are when its adapter is read from `folder` again, on `probe`: that the
    /// folder says the same adapter, for every module, and holds the same numbers. The base is not read a second time.
    ///
    /// # Errors
    /// [`ModelError::Readback`] where they differ by more than float noise, [`ModelError::AdapterMismatch`] where the folder
    /// says another adapter.
    pub fn compare_with_adapter(&mut self, folder: &Path, probe: &Tokens) -> Result<f32> {
        let read = AdapterFiles::open(folder)?.over(self.config())?;
        self.check_says_the_same(&read)?;
        let ours = self.backend().download(&self.logits(probe)?)?;
        self.load_adapter(folder)?;
        let theirs = self.backend().download(&self.logits(probe)?)?;
        let difference = ours.iter().zip(&theirs).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        if ours.len() != theirs.len() || difference.is_nan() || difference > 1e-4 {
            return Err(ModelError::Readback { path: folder.to_owned(), difference });
        }
        Ok(difference)
    }

    /// Whether another reader of the adapter would put the same update on every module.
    fn check_says_the_same(&self, read: &AdapterFiles) -> Result<()> {
        let mismatch = |module: &str| ModelError::AdapterMismatch {
            path: read.path.clone(),
            reason: format!("its configuration says something else of `{module}`"),
        };
        let Some(own) = self.lora() else { return Err(mismatch("the model")) };
        let (ours, theirs) = (own.matcher()?, read.config.lora.matcher()?);
        for update in read.updates() {
            let module = update.module;
            if !theirs.covers(module) || ours.rank_and_scale(module) != theirs.rank_and_scale(module) {
                return Err(mismatch(module));
            }
        }
        if own.dora == read.config.lora.dora { Ok(()) } else { Err(mismatch("dora")) }
    }

    /// Writes the whole model, whose every weight is a parameter, with its configuration and the files that travel along.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn save_whole(&self, folder: &Path, precision: Precision, label_names: &[String]) -> Result<()> {
        self.write_parameters(&folder.join("model.safetensors"), precision)?;
        let mut config = self.config().raw.clone();
        if self.config().labels.is_some() {
            let class = classifier_class(&self.config().raw);
            class.map(|class| config.insert("architectures".to_owned(), json!([class])));
        }
        let name = if precision == Precision::F32 { "float32" } else { "bfloat16" };
        for key in ["dtype", "torch_dtype"] {
            if key == "dtype" || config.contains_key(key) {
                config.insert(key.to_owned(), json!(name));
            }
        }
        if !label_names.is_empty() {
            insert_labels(&mut config, label_names);
        }
        write_file(&folder.join("config.json"), pretty(&Value::Object(config)).as_bytes())?;
        copy_companions(&self.config().folder, folder)
    }

    fn write_parameters(&self, path: &Path, precision: Precision) -> Result<()> {
        let precision = if precision == Precision::Bf16 { precision } else { Precision::F32 };
        let tensors = self.parameters().iter().map(|p| {
            let make = || Ok(self.backend().download(&p.value)?);
            (p.name.clone(), p.dims.clone(), make)
        });
        write_tensors_late(path, ("format", "pt".to_owned()), precision, tensors)
    }
}

/// Writes tensors as safetensors, whole or not at all; the numbers of each are asked for when its turn comes, so that no more
/// than one tensor is in memory twice. `note` is a name with a text in the file's metadata.
///
/// # Errors
/// Where the numbers cannot be made or the system refuses; nothing is left behind then.
pub fn write_tensors_late<F: Fn() -> Result<Vec<f32>>>(
    path: &Path,
    note: (&str, String),
    precision: Precision,
    tensors: impl Iterator<Item = (String, Vec<usize>, F)>,
) -> Result<()> {
    let failed = RefCell::new(None);
    let late = tensors.map(|(name, dims, make)| (name, Late { dims, precision, make, failed: &failed }));
    let beside = path.with_extension("partial");
    let metadata = HashMap::from([(note.0.to_owned(), note.1)]);
    let written = safetensors::serialize_to_file(late, Some(metadata), &beside).map_err(|e| match e {
        safetensors::SafeTensorError::IoError(source) => ModelError::io("write", path)(source),
        other => ModelError::BadWeights { path: path.to_owned(), reason: other.to_string() },
    });
    let written = failed.into_inner().map_or(written, Err);
    let synced = written.and_then(|()| {
        let file = File::open(&beside).and_then(|file| file.sync_all());
        file.and_then(|()| fs::rename(&beside, path)).map_err(ModelError::io("write", path))
    });
    synced.inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// A tensor whose numbers are made when they are written.
struct Late<'a, F> {
    dims: Vec<usize>,
    precision: Precision,
    make: F,
    failed: &'a RefCell<Option<ModelError>>,
}

impl<F: Fn() -> Result<Vec<f32>>> View for Late<'_, F> {
    fn dtype(&self) -> Dtype {
        if self.precision == Precision::Bf16 { Dtype::BF16 } else { Dtype::F32 }
    }

    fn shape(&self) -> &[usize] {
        &self.dims
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // Nothing here can fail: after a failure the rest is left empty, and the file is thrown away.
        if self.failed.borrow().is_some() {
            return Cow::Borrowed(&[]);
        }
        match (self.make)() {
            Ok(numbers) => Cow::Owned(encode(&numbers, self.precision)),
            Err(error) => {
                self.failed.replace(Some(error));
                Cow::Borrowed(&[])
            }
        }
    }

    fn data_len(&self) -> usize {
        self.dims.iter().product::<usize>() * self.precision.block_bytes()
    }
}

/// The class that reads a model with its classifier, from the one that the base's file names.
pub(crate) fn classifier_class(config: &Map<String, Value>) -> Option<String> {
    const HEADS: [&str; 7] = [
        "ForSequenceClassification",
        "ForCausalLM",
        "LMHeadModel",
        "ForMaskedLM",
        "ForPreTraining",
        "ForConditionalGeneration",
        "Model",
    ];
    let class = config.get("architectures")?.as_array()?.first()?.as_str()?;
    let family = HEADS.iter().find_map(|head| class.strip_suffix(head))?;
    // Gemma 3 alone has another name for the class of its text model.
    let family = if family == "Gemma3" { "Gemma3Text" } else { family };
    Some(format!("{family}ForSequenceClassification"))
}

/// Copies the files that travel with a model from its folder to another.
///
/// # Errors
/// Where one that is there cannot be copied.
pub fn copy_companions(from: &Path, to: &Path) -> Result<()> {
    for name in COMPANIONS {
        let (source, target) = (from.join(name), to.join(name));
        if source.is_file() && source != target {
            let bytes = fs::read(&source).map_err(ModelError::io("read", &source))?;
            write_file(&target, &bytes)?;
        }
    }
    Ok(())
}

/// Names the classes in a configuration. A decoder that names no padding token gets its end token as one: transformers takes
/// the label from the last token that is no padding, and reads no two texts together without.
pub(crate) fn insert_labels(config: &mut Map<String, Value>, names: &[String]) {
    let by_id: Map<_, _> = names.iter().enumerate().map(|(i, n)| (i.to_string(), json!(n))).collect();
    let by_label: Map<_, _> = names.iter().enumerate().map(|(i, n)| (n.clone(), json!(i))).collect();
    config.insert("id2label".to_owned(), Value::Object(by_id));
    config.insert("label2id".to_owned(), Value::Object(by_label));
    let end = config.get("eos_token_id").and_then(|id| id.as_array().map_or(Some(id), |ids| ids.first()));
    if let Some(end) = end.filter(|id| id.is_u64()).cloned()
        && config.get("pad_token_id").is_none_or(Value::is_null)
    {
        config.insert("pad_token_id".to_owned(), end);
    }
}

/// Numbers as the bytes of a safetensors file: 32-bit floats, or 16-bit ones rounded to the nearest, to even where two are as
/// near.
pub(crate) fn encode(numbers: &[f32], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::F32 => numbers.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Precision::Bf16 => narrow_bf16(numbers),
        _ => numbers.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect(),
    }
}

pub(crate) fn pretty(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
