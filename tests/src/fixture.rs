//! A parity fixture: the inputs and results that transformers and PEFT recorded for one tiny model, as they lie in a folder
//! (`fixture.json`, `fixture.safetensors`, `model/`, `adapter/`). Reads; compares nothing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lorikeet_models::{Spans, Tokens};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Marks a token that is not supervised, for the model.
pub const IGNORED: u32 = u32::MAX;

/// A recorded tensor: whole numbers or floats, row by row.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Sizes of the dimensions.
    pub dims: Vec<usize>,
    /// The numbers, where they are floats.
    pub floats: Vec<f32>,
    /// The numbers, where they are whole.
    pub integers: Vec<i64>,
}

/// One folder of recorded numbers.
pub struct Fixture {
    /// Name of the folder.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// `fixture.json`.
    pub facts: Value,
    /// `fixture.safetensors`.
    pub tensors: BTreeMap<String, Recorded>,
}

/// A recorded batch without its padding.
pub struct Batch {
    /// What the model reads.
    pub tokens: Tokens,
    /// The next token at each token, or the label of each sequence.
    pub targets: Vec<u32>,
    /// Where each token stood in the padded batch: row times length plus column.
    pub places: Vec<usize>,
}

impl Fixture {
    /// Every fixture below `root`, by name.
    ///
    /// # Panics
    /// Where one cannot be read.
    pub fn all(root: &Path) -> Vec<Fixture> {
        let entries = fs::read_dir(root).expect("the fixtures' folder can be listed");
        let mut folders: Vec<PathBuf> = entries.map(|e| e.expect("an entry can be read").path()).collect();
        folders.retain(|f| f.join("fixture.json").is_file());
        folders.sort();
        folders.iter().map(|f| Self::read(f)).collect()
    }

    /// The fixture in `folder`.
    ///
    /// # Panics
    /// Where it cannot be read.
    pub fn read(folder: &Path) -> Fixture {
        let text = fs::read_to_string(folder.join("fixture.json")).expect("fixture.json can be read");
        let facts = serde_json::from_str(&text).expect("fixture.json is JSON");
        let tensors = read_tensors(&folder.join("fixture.safetensors"));
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Fixture { name, folder: folder.to_owned(), facts, tensors }
    }

    /// The folder of the base model.
    pub fn model_folder(&self) -> PathBuf {
        self.folder.join(self.facts["model"].as_str().unwrap_or("model"))
    }

    /// The PEFT adapter called `name` (`adapter`, `adapter_trained`), where it was recorded.
    pub fn adapter_folder(&self, name: &str) -> Option<PathBuf> {
        Some(self.folder.join(name)).filter(|f| f.join("adapter_config.json").is_file())
    }

    /// Recorded floats.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        self.tensors.get(name).map(|t| t.floats.as_slice())
    }

    /// A number of `fixture.json` at a JSON pointer.
    pub fn number(&self, pointer: &str) -> Option<f64> {
        self.facts.pointer(pointer).and_then(Value::as_f64)
    }

    /// A list of numbers of `fixture.json` at a JSON pointer, where it is one.
    pub fn numbers(&self, pointer: &str) -> Option<Vec<f64>> {
        self.facts.pointer(pointer)?.as_array()?.iter().map(Value::as_f64).collect()
    }

    /// The recorded gradients by the parameter's name.
    pub fn gradients(&self) -> BTreeMap<&str, &Recorded> {
        self.tensors.iter().filter_map(|(n, t)| Some((n.strip_prefix("grad.")?, t))).collect()
    }

    /// The batches: one, or the micro-batches in their order.
    pub fn batches(&self) -> Vec<Batch> {
        if self.tensors.contains_key("input_ids") {
            return vec![self.batch("")];
        }
        let prefixes = (0..).map(|i| format!("micro{i}."));
        let present = prefixes.take_while(|p| self.tensors.contains_key(&format!("{p}input_ids")));
        present.map(|p| self.batch(&p)).collect()
    }

    /// The batch whose tensors begin with `prefix`.
    ///
    /// # Panics
    /// Where it is not there.
    pub fn batch(&self, prefix: &str) -> Batch {
        let tensor = |name: &str| self.tensors.get(&format!("{prefix}{name}"));
        let ids = tensor("input_ids").expect("a batch has `input_ids`");
        let length = *ids.dims.last().expect("`input_ids` is two-dimensional");
        let at = |name: &str, place: usize| tensor(name).map(|t| t.integers[place]);
        let visible = |place: &usize| at("attention_mask", *place) != Some(0);
        let places: Vec<usize> = (0..ids.integers.len()).filter(visible).collect();
        // A sequence is a row of the batch or, in a packed row, a segment.
        let owner = |place: usize| (place / length, at("segment_ids", place).unwrap_or(0));
        let mut starts: Vec<usize> =
            (0..places.len()).filter(|n| *n == 0 || owner(places[*n]) != owner(places[*n - 1])).collect();
        starts.push(places.len());
        let position = |n: usize| n - starts.iter().rev().find(|s| **s <= n).expect("the first start is 0");
        let tokens = Tokens {
            ids: places.iter().map(|p| ids.integers[*p] as u32).collect(),
            positions: (0..places.len()).map(|n| position(n) as u32).collect(),
            token_types: places.iter().map(|p| at("token_type_ids", *p).unwrap_or(0) as u32).collect(),
            spans: Spans::from_starts(&starts),
        };
        let labels = tensor("labels").expect("a batch has `labels`");
        let target = |label: i64| u32::try_from(label).unwrap_or(IGNORED);
        let targets = if labels.dims.len() == 1 {
            labels.integers.iter().map(|l| target(*l)).collect()
        } else {
            let follows = |n: usize| places.get(n + 1).filter(|next| owner(**next) == owner(places[n]));
            (0..places.len()).map(|n| follows(n).map_or(IGNORED, |next| target(labels.integers[*next]))).collect()
        };
        Batch { tokens, targets, places }
    }
}

/// The tensors of a safetensors file.
///
/// # Panics
/// Where it cannot be read.
pub fn read_tensors(path: &Path) -> BTreeMap<String, Recorded> {
    let bytes = fs::read(path).expect("the tensors can be read");
    let file = SafeTensors::deserialize(&bytes).expect("the tensors are whole");
    file.iter().map(|(name, view)| (name.to_owned(), recorded(view.dtype(), view.shape(), view.data()))).collect()
}

fn recorded(dtype: Dtype, dims: &[usize], data: &[u8]) -> Recorded {
    let mut tensor = Recorded { dims: dims.to_vec(), ..Recorded::default() };
    match dtype {
        Dtype::F32 => tensor.floats = data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect(),
        Dtype::I64 => tensor.integers = data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect(),
        Dtype::U8 => tensor.integers = data.iter().map(|b| i64::from(*b)).collect(),
        other => panic!("a fixture holds {other:?}"),
    }
    tensor
}
