//! A base with an adapter added to its weights: one tensor at a time, in 32-bit floats, narrowed once at the end. Two weights
//! are never in memory together, and the base is read where it lies.
//!
//! `W' = W + s B A` (Hu et al., "LoRA", 2021); with magnitudes `m`, `W' = m (W + s B A) / |W + s B A|` over each row (Liu et
//! al., "DoRA", 2024).

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use lorikeet_kernels::{Backend, Fused, Precision};
use safetensors::{Dtype, tensor::View};
use serde_json::{Map, Value, json};

use crate::{
    AdapterFiles, Architecture, ModelConfig, ModelError, ModelFiles, Result, Update,
    adapter_files::transpose,
    names::{base_prefixes, spellings},
    save::{classifier_class, copy_companions, encode, insert_labels, pretty, write_file},
};

/// What stands outside a body, whatever its prefix.
const HEADS: [&str; 7] = ["lm_head.", "score.", "classifier.", "pre_classifier.", "cls.", "predictions.", "vocab_"];

/// The weights of a base under an adapter.
pub struct Merged {
    backend: Fused,
    config: ModelConfig,
    base: ModelFiles,
    adapter: Option<AdapterFiles>,
    /// The base's name of each tensor by the name it goes out with; `None` for one that only the adapter has.
    names: BTreeMap<String, Option<String>>,
}

impl Merged {
    /// The model in `base`, under the adapter in `adapter` where one is given.
    ///
    /// # Errors
    /// Where one of them cannot be read, or the adapter has an update for a module that the base lacks.
    pub fn open(backend: Fused, base: &Path, adapter: Option<&Path>) -> Result<Self> {
        let config = ModelConfig::read(base, None)?;
        let adapter = adapter.map(|path| AdapterFiles::open(path)?.over(&config)).transpose()?;
        let files = ModelFiles::open(base)?;
        let prefixes = base_prefixes(&config.architecture);
        let own = prefixes.first().copied().unwrap_or_default();
        let is_foreign = !files.names().any(|name| name.starts_with(own));
        let replaced: Vec<String> = adapter.iter().flat_map(|a| a.whole().map(|(name, _)| name.to_owned())).collect();
        let mut names = BTreeMap::new();
        for name in files.names() {
            // A head that gives labels takes the place of the one that gives tokens.
            if name.starts_with("lm_head.") && replaced.iter().any(|r| r.starts_with("score.")) {
                continue;
            }
            // A body that was published alone has another prefix or none; with a head every program looks for the class's own.
            let is_head = HEADS.iter().any(|head| name.starts_with(head)) || replaced.iter().any(|r| r == name);
            let rest = prefixes.iter().skip(1).filter(|_| is_foreign && !is_head).find_map(|p| name.strip_prefix(p));
            names.insert(rest.map_or_else(|| name.to_owned(), |rest| format!("{own}{rest}")), Some(name.to_owned()));
        }
        for name in replaced {
            names.entry(name).or_insert(None);
        }
        let merged = Self { backend, config, base: files, adapter, names };
        merged.check_updates()?;
        Ok(merged)
    }

    fn check_updates(&self) -> Result<()> {
        let Some(adapter) = &self.adapter else { return Ok(()) };
        for update in adapter.updates() {
            let mismatch = |reason| ModelError::AdapterMismatch { path: adapter.path.clone(), reason };
            let Some(name) = self.names.keys().find(|name| self.is_weight_of(name, update.module)) else {
                return Err(mismatch(format!("the model has no `{}`", update.module)));
            };
            let (expected, found) = (self.shape(name), [update.b.rows_and_columns().0, update.a.rows_and_columns().1]);
            let found = if self.is_transposed(name) { [found[1], found[0]] } else { found };
            if expected != found {
                return Err(mismatch(format!("`{}` is for {found:?} instead of {expected:?}", update.module)));
            }
        }
        Ok(())
    }

    /// What the base's folder says.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// The names of all tensors, as they go out.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// The shape of a tensor; empty for one that is not there.
    pub fn shape(&self, name: &str) -> Vec<usize> {
        match self.whole(name) {
            Some(tensor) => tensor.dims.clone(),
            None => self.stored(name).and_then(|name| self.base.shape(name)).unwrap_or_default().to_vec(),
        }
    }

    /// The number format a tensor has in the base; what only the adapter has is 32-bit.
    ///
    /// # Errors
    /// Where the base has it in a format that is not read.
    pub fn precision(&self, name: &str) -> Result<Precision> {
        let Some(stored) = self.stored(name).filter(|_| self.whole(name).is_none()) else { return Ok(Precision::F32) };
        Ok(self.base.matrix(stored)?.map_or(Precision::F32, |matrix| matrix.precision()))
    }

    /// The numbers of a tensor with its update.
    ///
    /// # Errors
    /// Where the base has it in a format that is not read.
    pub fn tensor(&self, name: &str) -> Result<Vec<f32>> {
        if let Some(tensor) = self.whole(name) {
            return Ok(tensor.numbers.clone());
        }
        let missing = || ModelError::MissingWeight { path: self.config.folder.clone(), name: name.to_owned() };
        let matrix = self.base.matrix(self.stored(name).ok_or_else(missing)?)?.ok_or_else(missing)?;
        let (rows, columns, weight) = (matrix.rows(), matrix.cols(), matrix.to_f32());
        match self.update_of(name) {
            Some(update) if self.is_transposed(name) => {
                let weight = transpose(&weight, rows, columns);
                Ok(transpose(&self.added(weight, columns, rows, update)?, columns, rows))
            }
            Some(update) => self.added(weight, rows, columns, update),
            None => Ok(weight),
        }
    }

    fn added(&self, weight: Vec<f32>, out: usize, inside: usize, update: Update<'_>) -> Result<Vec<f32>> {
        let be = &self.backend;
        let rank = update.rank();
        let mut merged = be.upload(weight, out, inside)?;
        let a = be.upload(update.a.numbers.clone(), rank, inside)?;
        let b = be.upload(update.b.numbers.clone(), out, rank)?;
        be.run(|| be.add_matmul_nn(&mut merged, update.scale, &b, &a))?;
        let mut numbers = be.download(&merged)?;
        if let Some(magnitude) = update.magnitude {
            for (row, m) in numbers.chunks_mut(inside.max(1)).zip(&magnitude.numbers) {
                let norm = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt();
                row.iter_mut().for_each(|v| *v = (f64::from(*v) * f64::from(*m) / norm) as f32);
            }
        }
        Ok(numbers)
    }

    fn stored(&self, name: &str) -> Option<&str> {
        self.names.get(name)?.as_deref()
    }

    fn whole(&self, name: &str) -> Option<&crate::AdapterTensor> {
        self.adapter.as_ref()?.whole().find(|(own, _)| *own == name).map(|(_, tensor)| tensor)
    }

    fn update_of(&self, name: &str) -> Option<Update<'_>> {
        self.adapter.as_ref()?.updates().find(|update| self.is_weight_of(name, update.module))
    }

    /// Whether `name` is the weight of `module`, which may have another prefix in the file.
    fn is_weight_of(&self, name: &str, module: &str) -> bool {
        let Some(path) = name.strip_suffix(".weight") else { return false };
        path == module || spellings(base_prefixes(&self.config.architecture), module).iter().any(|other| other == path)
    }

    /// GPT-2 keeps its linear maps as (in, out), except in GGUF files.
    fn is_transposed(&self, name: &str) -> bool {
        let lies = matches!(&self.config.architecture, Architecture::Decoder(spec) if spec.transposed);
        lies && !self.stored(name).is_some_and(|stored| self.base.is_upright(stored))
    }

    /// Writes the model into `folder`, which exists: weights in `precision` (each in its own where none is given),
    /// configuration, and what travels along. `tell` hears how many bytes of how many are done, and ends the work by
    /// returning false.
    ///
    /// # Errors
    /// Where a weight cannot be read, the disk refuses, or the work was ended ([`ModelError::Stopped`]).
    pub fn write(
        &self,
        folder: &Path,
        precision: Option<Precision>,
        label_names: &[String],
        tell: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<()> {
        let path = folder.join("model.safetensors");
        let beside = path.with_extension("partial");
        let written = self.write_weights(&beside, precision, tell);
        written.inspect_err(|_| drop(fs::remove_file(&beside)))?;
        fs::rename(&beside, &path).map_err(ModelError::io("write", &path))?;
        let config = self.written_config(precision, label_names);
        write_file(&folder.join("config.json"), pretty(&Value::Object(config)).as_bytes())?;
        copy_companions(&self.config.folder, folder)
    }

    fn write_weights(
        &self,
        path: &Path,
        precision: Option<Precision>,
        tell: &mut dyn FnMut(u64, u64) -> bool,
    ) -> Result<()> {
        let mut views = Vec::new();
        for name in self.names() {
            let precision = match precision {
                Some(precision) => precision,
                None => self.precision(name)?,
            };
            // Safetensors have no blocks: weights that were stored in them go out as 16-bit floats.
            let precision = if precision.is_blocks() { Precision::F16 } else { precision };
            views.push((name, self.shape(name), precision));
        }
        let total = views.iter().map(|(_, dims, p)| (dims.iter().product::<usize>() * p.block_bytes()) as u64).sum();
        let progress = RefCell::new(Progress { done: 0, total, tell, failed: None });
        let lazy = views.into_iter().map(|(name, dims, precision)| {
            let view = Lazy { merged: self, name, dims, precision, progress: &progress };
            (name, view)
        });
        let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let done = safetensors::serialize_to_file(lazy, Some(metadata), path);
        if let Some(error) = progress.into_inner().failed {
            return Err(error);
        }
        done.map_err(|e| match e {
            safetensors::SafeTensorError::IoError(source) => {
                ModelError::Io { action: "write", path: path.to_owned(), source }
            }
            other => ModelError::BadWeights { path: path.to_owned(), reason: other.to_string() },
        })?;
        let file = fs::File::open(path).map_err(ModelError::io("read", path))?;
        file.sync_all().map_err(ModelError::io("write", path))
    }

    fn written_config(&self, precision: Option<Precision>, label_names: &[String]) -> Map<String, Value> {
        let mut config = self.config.raw.clone();
        if let Some(precision) = precision {
            let name = match precision {
                Precision::F32 => "float32",
                Precision::Bf16 => "bfloat16",
                _ => "float16",
            };
            for key in ["dtype", "torch_dtype"] {
                if key == "dtype" || config.contains_key(key) {
                    config.insert(key.to_owned(), json!(name));
                }
            }
        }
        if !label_names.is_empty() {
            insert_labels(&mut config, label_names);
        }
        if self.adapter.as_ref().is_some_and(|adapter| adapter.whole().next().is_some()) {
            let class = classifier_class(&config);
            class.map(|class| config.insert("architectures".to_owned(), json!([class])));
        }
        config
    }
}

/// How far the writing is, and why it could not go on.
struct Progress<'a> {
    done: u64,
    total: u64,
    tell: &'a mut dyn FnMut(u64, u64) -> bool,
    failed: Option<ModelError>,
}

/// A tensor that is computed when its turn to be written comes.
struct Lazy<'a, 'p> {
    merged: &'a Merged,
    name: &'a str,
    dims: Vec<usize>,
    precision: Precision,
    progress: &'a RefCell<Progress<'p>>,
}

impl View for Lazy<'_, '_> {
    fn dtype(&self) -> Dtype {
        match self.precision {
            Precision::F32 => Dtype::F32,
            Precision::Bf16 => Dtype::BF16,
            _ => Dtype::F16,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.dims
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut progress = self.progress.borrow_mut();
        // Nothing in this trait can fail: after a failure the rest is left empty, and the file is thrown away.
        if progress.failed.is_some() {
            return Cow::Borrowed(&[]);
        }
        let bytes = self.merged.tensor(self.name).map(|numbers| encode(&numbers, self.precision));
        progress.done += self.data_len() as u64;
        let (done, total) = (progress.done, progress.total);
        let goes_on = (progress.tell)(done, total);
        match bytes {
            Ok(bytes) if goes_on => Cow::Owned(bytes),
            Ok(_) => {
                progress.failed = Some(ModelError::Stopped);
                Cow::Borrowed(&[])
            }
            Err(error) => {
                progress.failed = Some(error);
                Cow::Borrowed(&[])
            }
        }
    }

    fn data_len(&self) -> usize {
        self.dims.iter().product::<usize>() * self.precision.block_bytes()
    }
}
