//! An adapter as it lies on disk, in any of the forms people have: a folder of PEFT's, one of MLX's, or a GGUF file. Whatever
//! the form, it is handed on in PEFT's names and shapes, so that nothing above this file knows more than one.
//!
//! MLX keeps both halves transposed, `lora_a` (in, R) and `lora_b` (R, out), and multiplies by `scale` as it stands; PEFT
//! keeps A (R, in) and B (out, R) and multiplies by alpha / R. GGUF has one alpha for all, divides by each module's own rank,
//! and keeps the rows of B in the order it keeps the base's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use lorikeet_gguf::{Header, Mapped, Value as Field, locate};
use lorikeet_kernels::HostMatrix;

use serde_json::{Map, Value};

use crate::{
    AdapterConfig, Architecture, LoraSpec, Matcher, ModelConfig, ModelError, ModelFiles, Result, Targets,
    gguf::{self, Change, GgufNames},
    names::PEFT_PREFIX,
};

/// PEFT's file of settings, and MLX's.
const CONFIG: &str = "adapter_config.json";
/// PEFT's weights.
pub(crate) const PEFT_WEIGHTS: &str = "adapter_model.safetensors";
/// MLX's weights.
pub(crate) const MLX_WEIGHTS: &str = "adapters.safetensors";
/// What a pickle would be called; it is not read, because reading one runs it.
const PICKLE: &str = "adapter_model.bin";

/// In which form an adapter lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterForm {
    /// `adapter_config.json` with `adapter_model.safetensors`.
    Peft,
    /// `adapter_config.json` with `adapters.safetensors`.
    Mlx,
    /// A GGUF file that says it is an adapter.
    Gguf,
}

impl AdapterForm {
    /// The form of what lies at `path`; `None` where that is no adapter.
    pub fn of(path: &Path) -> Option<Self> {
        if path.join(CONFIG).is_file() {
            return Some(if path.join(MLX_WEIGHTS).is_file() { AdapterForm::Mlx } else { AdapterForm::Peft });
        }
        let file = locate(path).ok().flatten().filter(|file| file.extension().is_some_and(|end| end == "gguf"))?;
        let mapped = Mapped::open(&file).ok()?;
        let is_adapter = mapped.header().ok()?.text("general.type") == Some("adapter");
        is_adapter.then_some(AdapterForm::Gguf)
    }
}

/// A tensor of an adapter, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterTensor {
    /// Shape on disk.
    pub dims: Vec<usize>,
    /// Numbers.
    pub numbers: Vec<f32>,
}

/// An adapter in PEFT's names.
#[derive(Clone, Debug)]
pub struct AdapterFiles {
    /// Where it lies.
    pub path: PathBuf,
    /// In which form.
    pub form: AdapterForm,
    /// What it is.
    pub config: AdapterConfig,
    /// Its tensors by PEFT's names.
    pub tensors: BTreeMap<String, AdapterTensor>,
    matcher: Matcher,
    /// Names of those whose rows are still in GGUF's order, which takes the base's size of a head to undo.
    paired: BTreeSet<String>,
}

impl AdapterFiles {
    /// Reads the adapter at `path`.
    ///
    /// # Errors
    /// Where there is none, it is damaged, or it asks for something that is not built.
    pub fn open(path: &Path) -> Result<Self> {
        match AdapterForm::of(path) {
            Some(AdapterForm::Peft) => Self::peft(path),
            Some(AdapterForm::Mlx) => Self::mlx(path),
            Some(AdapterForm::Gguf) => Self::gguf(path),
            None => Err(ModelError::NoAdapter { path: path.to_owned() }),
        }
    }

    fn peft(path: &Path) -> Result<Self> {
        let config = AdapterConfig::read(path)?;
        let weights = path.join(PEFT_WEIGHTS);
        if !weights.is_file() && path.join(PICKLE).is_file() {
            let feature = format!("{PICKLE}, a pickle; save it again as {PEFT_WEIGHTS}");
            return Err(ModelError::AdapterFeature { path: path.to_owned(), feature });
        }
        let tensors = read_all(&ModelFiles::open_file(&weights)?)?;
        Self::whole_of(path, AdapterForm::Peft, config, tensors)
    }

    fn mlx(path: &Path) -> Result<Self> {
        let file = path.join(CONFIG);
        let text = fs::read_to_string(&file).map_err(ModelError::io("read", &file))?;
        let raw: Map<String, Value> = serde_json::from_str(&text).map_err(ModelError::json(&file))?;
        let refused = |feature: String| Err(ModelError::AdapterFeature { path: path.to_owned(), feature });
        match raw.get("fine_tune_type").and_then(Value::as_str) {
            None | Some("lora") => {}
            Some(kind) => return refused(format!("fine_tune_type: {kind}")),
        }
        let scale = raw.get("lora_parameters").and_then(|p| p.get("scale")).and_then(Value::as_f64);
        let needed_by = || "an MLX adapter".to_owned();
        let missing =
            || ModelError::MissingKey { path: file.clone(), key: "lora_parameters.scale", needed_by: needed_by() };
        let scale = scale.ok_or_else(missing)?;
        let base = raw.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut found = BTreeMap::new();
        for (name, tensor) in read_all(&ModelFiles::open_file(&path.join(MLX_WEIGHTS))?)? {
            let Some((module, half)) = name.rsplit_once('.').and_then(|(m, h)| Some((m, half_of(h)?))) else {
                return refused(format!("the tensor {name}"));
            };
            let key = format!("{PEFT_PREFIX}{}.{half}.weight", huggingface_path(module));
            found.insert(key, tensor.transposed());
        }
        let config = described(path, base, &found, |_| scale)?;
        Self::whole_of(path, AdapterForm::Mlx, config, found)
    }

    fn gguf(path: &Path) -> Result<Self> {
        let file = locate(path)?.unwrap_or_else(|| path.to_owned());
        let mapped = Arc::new(Mapped::open(&file)?);
        let header = mapped.header()?;
        let refused = |feature: String| ModelError::AdapterFeature { path: file.clone(), feature };
        match header.text("adapter.type") {
            Some("lora") => {}
            other => return Err(refused(format!("adapter.type: {}", other.unwrap_or("none")))),
        }
        let alpha = header.get("adapter.lora.alpha").and_then(Field::as_f64);
        let alpha = alpha.ok_or_else(|| refused("no adapter.lora.alpha".to_owned()))?;
        let (tensors, paired) = gguf_tensors(&file, &mapped, &header)?;
        let base = header.text("general.base_model.0.name").unwrap_or_default().to_owned();
        let config = described(path, base, &tensors, |rank| alpha / rank as f64)?;
        Ok(Self { paired, ..Self::whole_of(path, AdapterForm::Gguf, config, tensors)? })
    }

    /// The same with every row where the base that `config` describes has it.
    ///
    /// # Errors
    /// Where the rows are not whole heads of that base.
    pub fn over(mut self, config: &ModelConfig) -> Result<Self> {
        let Architecture::Decoder(spec) = &config.architecture else { return Ok(self) };
        for name in std::mem::take(&mut self.paired) {
            let Some(tensor) = self.tensors.get_mut(&name) else { continue };
            let (rows, columns) = tensor.rows_and_columns();
            let stored = HostMatrix::from_f32(&tensor.numbers, rows, columns)?;
            let mismatch = || ModelError::AdapterMismatch {
                path: self.path.clone(),
                reason: format!("the rows of `{name}` are not whole heads of {}", spec.head_dim),
            };
            let ordered = Change::Pairs.into_hugging_face(stored, spec.head_dim).map_err(|_| mismatch())?;
            tensor.numbers = ordered.to_f32();
        }
        Ok(self)
    }

    fn whole_of(
        path: &Path,
        form: AdapterForm,
        config: AdapterConfig,
        tensors: BTreeMap<String, AdapterTensor>,
    ) -> Result<Self> {
        let matcher = config.lora.matcher()?;
        Ok(Self { path: path.to_owned(), form, config, tensors, paired: BTreeSet::new(), matcher })
    }

    /// The modules with a low-rank update, with A and B of each.
    pub fn updates(&self) -> impl Iterator<Item = Update<'_>> {
        self.tensors.iter().filter_map(|(name, a)| {
            let module = name.strip_prefix(PEFT_PREFIX)?.strip_suffix(".lora_A.weight")?;
            let b = self.tensors.get(&format!("{PEFT_PREFIX}{module}.lora_B.weight"))?;
            let magnitude = self.tensors.get(&format!("{PEFT_PREFIX}{module}.lora_magnitude_vector"));
            let (_, scale) = self.matcher.rank_and_scale(module);
            Some(Update { module, a, b, magnitude, scale })
        })
    }

    /// Tensors that were trained whole, such as a classifier, by their names in the model.
    pub fn whole(&self) -> impl Iterator<Item = (&str, &AdapterTensor)> {
        self.tensors.iter().filter_map(|(name, tensor)| {
            let name = name.strip_prefix(PEFT_PREFIX)?;
            (!name.contains(".lora_")).then_some((name, tensor))
        })
    }
}

/// The low-rank update of one module.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// Path of the module in the model.
    pub module: &'a str,
    /// A (R, in).
    pub a: &'a AdapterTensor,
    /// B (out, R).
    pub b: &'a AdapterTensor,
    /// Magnitudes (out) of DoRA.
    pub magnitude: Option<&'a AdapterTensor>,
    /// Factor of B A.
    pub scale: f32,
}

impl Update<'_> {
    /// `R`.
    pub fn rank(&self) -> usize {
        self.a.dims.first().copied().unwrap_or_default()
    }
}

impl AdapterTensor {
    /// Rows and columns; a vector is one row.
    pub fn rows_and_columns(&self) -> (usize, usize) {
        match self.dims.as_slice() {
            [rows, columns] => (*rows, *columns),
            _ => (1, self.numbers.len()),
        }
    }

    /// The same with rows for columns.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let (rows, columns) = self.rows_and_columns();
        Self { dims: vec![columns, rows], numbers: transpose(&self.numbers, rows, columns) }
    }
}

/// Rows for columns.
pub(crate) fn transpose(numbers: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| numbers[r * columns + c])).collect()
}

/// The tensors of a GGUF adapter by PEFT's names, and which of them are in GGUF's order of rows.
fn gguf_tensors(
    path: &Path,
    file: &Arc<Mapped>,
    header: &Header<'_>,
) -> Result<(BTreeMap<String, AdapterTensor>, BTreeSet<String>)> {
    let names = GgufNames::of_file(header)?;
    let (mut tensors, mut paired) = (BTreeMap::new(), BTreeSet::new());
    for info in &header.tensors {
        let bad = |reason: String| ModelError::BadGguf { path: path.to_owned(), reason };
        let parts = info.name.rsplit_once('.').and_then(|(base, half)| Some((base, half_of(half)?)));
        let found = parts.and_then(|(base, half)| Some((names.to_hugging_face(base)?, half)));
        let Some(((base, change), half)) = found else {
            return Err(bad(format!("`{}` belongs to no module that is known", info.name)));
        };
        let precision =
            gguf::precision_of(info.format).map_err(|format| bad(format!("`{}` is {format}", info.name)))?;
        let [rows, columns] = info.dims.as_slice() else {
            return Err(bad(format!("`{}` is no matrix", info.name)));
        };
        let n_bytes = precision.row_bytes(*columns).and_then(|n| n.checked_mul(*rows));
        let end = n_bytes.and_then(|n| info.start.checked_add(n)).filter(|end| *end <= (**file).as_ref().len());
        let end = end.ok_or_else(|| bad(format!("`{}` does not lie in the file", info.name)))?;
        let matrix = HostMatrix::new(file.clone(), info.start..end, precision, *rows, *columns)?;
        let module = base.strip_suffix(".weight").unwrap_or(&base);
        let name = format!("{PEFT_PREFIX}{module}.{half}.weight");
        if half == "lora_B" && change == Change::Pairs {
            paired.insert(name.clone());
        }
        tensors.insert(name, AdapterTensor { dims: info.dims.clone(), numbers: matrix.to_f32() });
    }
    Ok((tensors, paired))
}

fn read_all(files: &ModelFiles) -> Result<BTreeMap<String, AdapterTensor>> {
    let names: Vec<String> = files.names().map(str::to_owned).collect();
    let mut found = BTreeMap::new();
    for name in names {
        let dims = files.shape(&name).unwrap_or_default().to_vec();
        if let Some(matrix) = files.matrix(&name)? {
            found.insert(name, AdapterTensor { dims, numbers: matrix.to_f32() });
        }
    }
    Ok(found)
}

fn half_of(mlx: &str) -> Option<&'static str> {
    match mlx {
        "lora_a" => Some("lora_A"),
        "lora_b" => Some("lora_B"),
        _ => None,
    }
}

/// GPT-2's blocks stand below `transformer` in the Hugging Face class and below `model` in MLX's; all others agree.
const MLX_NAMES: [(&str, &str); 1] = [("transformer.h.", "model.h.")];

/// MLX's path of a module.
pub(crate) fn mlx_path(module: &str) -> String {
    renamed(module, MLX_NAMES)
}

fn huggingface_path(module: &str) -> String {
    renamed(module, MLX_NAMES.map(|(ours, theirs)| (theirs, ours)))
}

fn renamed(module: &str, names: [(&str, &str); 1]) -> String {
    let found = names.iter().find_map(|(from, to)| Some(format!("{to}{}", module.strip_prefix(from)?)));
    found.unwrap_or_else(|| module.to_owned())
}

/// PEFT's settings for an adapter of another form: its modules by their whole paths, the commonest rank, and where a module
/// differs its own rank and alpha. `scale` is the factor of a module of rank `R`.
fn described(
    path: &Path,
    base_model: String,
    tensors: &BTreeMap<String, AdapterTensor>,
    scale: impl Fn(usize) -> f64,
) -> Result<AdapterConfig> {
    let mut ranks = BTreeMap::new();
    for (name, tensor) in tensors {
        if let Some(module) = name.strip_prefix(PEFT_PREFIX).and_then(|n| n.strip_suffix(".lora_A.weight")) {
            ranks.insert(module.to_owned(), tensor.rows_and_columns().0);
        }
    }
    let commonest = ranks.values().copied().max_by_key(|rank| ranks.values().filter(|r| *r == rank).count());
    let Some(rank) = commonest.filter(|rank| *rank > 0) else {
        return Err(ModelError::NoAdapter { path: path.to_owned() });
    };
    let modules: BTreeSet<String> = ranks.keys().cloned().collect();
    let alpha = scale(rank) * rank as f64;
    let mut lora = LoraSpec::new(rank, alpha, Targets::Named(modules.into_iter().collect()), 0);
    for (module, own) in ranks.into_iter().filter(|(_, own)| *own != rank) {
        lora.alpha_pattern.push((module.clone(), scale(own) * own as f64));
        lora.rank_pattern.push((module, own));
    }
    Ok(AdapterConfig {
        lora,
        base_model,
        task_type: "CAUSAL_LM".to_owned(),
        modules_to_save: Vec::new(),
        fan_in_fan_out: false,
    })
}
