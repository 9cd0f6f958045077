//! A model's weights, memory-mapped where they lie and never written to.
#![allow(unsafe_code)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use lorikeet_gguf::Mapped;
use lorikeet_kernels::{HostMatrix, Precision, random::Stream};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};

use crate::{
    ModelError, Result,
    gguf::{self, Change, GgufNames},
    quantise::Quantise,
};

/// Where the numbers of a model come from.
pub enum WeightSource {
    /// Files on disk.
    Files(ModelFiles),
    /// Nowhere yet: fresh random numbers, for training from scratch.
    Fresh {
        /// The folder, for messages.
        folder: PathBuf,
        /// Seed of the random numbers.
        seed: u64,
        /// Standard deviation of matrices.
        deviation: f32,
    },
}

/// The weights of a model in one or several safetensors files, or in a GGUF file; under Hugging Face's names either way.
pub struct ModelFiles {
    path: PathBuf,
    is_gguf: bool,
    quantise: Option<Quantise>,
    tensors: BTreeMap<String, Entry>,
}

struct Entry {
    /// The file, where it is safetensors.
    mapped: Option<Arc<MappedFile>>,
    bytes: Arc<dyn AsRef<[u8]> + Send + Sync>,
    path: Arc<Path>,
    range: Range<usize>,
    /// The precision, or the name of a format that is not read.
    format: std::result::Result<Precision, String>,
    shape: Vec<usize>,
    /// What must happen to the stored numbers, for heads of this size.
    change: (Change, usize),
}

struct MappedFile(Mmap);

impl MappedFile {
    /// Drops pages from memory that hold nothing but these bytes.
    #[cfg(unix)]
    fn let_go(&self, range: &Range<usize>) {
        const PAGE: usize = 1 << 16;
        let (from, to) = (range.start.next_multiple_of(PAGE), range.end / PAGE * PAGE);
        if from < to {
            // SAFETY: the pages of a read-only map of a file hold nothing that is not in the file. Advice may be refused, and
            // then nothing is lost but memory.
            let _ = unsafe { self.0.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, from, to - from) };
        }
    }

    #[cfg(not(unix))]
    fn let_go(&self, _: &Range<usize>) {}
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// What PyTorch calls weights that it has pickled.
const PICKLES: [&str; 3] = ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.bin"];

/// Whether a file begins as pickles do: by themselves, or in the ZIP archive that PyTorch wraps around them. The same bytes
/// may be the length of a safetensors header, which has a brace behind them.
fn is_pickle(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..]) && bytes.get(8) != Some(&b'{')
}

/// Fails for a pickle, whatever it is called.
pub(crate) fn refuse_pickle(path: &Path, bytes: &[u8]) -> Result<()> {
    if is_pickle(bytes) { Err(ModelError::Pickle { path: path.to_owned() }) } else { Ok(()) }
}

impl ModelFiles {
    /// Maps the weights of the model at `path`: a folder with `model.safetensors`, or the shards that
    /// `model.safetensors.index.json` names, or a single GGUF file; or the path of a GGUF file.
    ///
    /// # Errors
    /// Where there are none, or one of them is cut off.
    pub fn open(path: &Path) -> Result<Self> {
        if let Some(file) = lorikeet_gguf::locate(path)? {
            return Self::open_gguf(&file);
        }
        let mut tensors = BTreeMap::new();
        for file in weight_files(path)? {
            map_file(&file, &mut tensors)?;
        }
        Ok(Self { path: path.to_owned(), is_gguf: false, quantise: None, tensors })
    }

    /// Maps one safetensors file.
    ///
    /// # Errors
    /// Where it cannot be read or is cut off.
    pub fn open_file(path: &Path) -> Result<Self> {
        let mut tensors = BTreeMap::new();
        map_file(path, &mut tensors)?;
        Ok(Self { path: path.to_owned(), is_gguf: false, quantise: None, tensors })
    }

    /// Maps one GGUF file.
    ///
    /// # Errors
    /// Where it cannot be read, is cut off, or is of a family that is not known.
    pub fn open_gguf(path: &Path) -> Result<Self> {
        let file = Arc::new(Mapped::open(path)?);
        refuse_pickle(path, (*file).as_ref())?;
        let header = file.header()?;
        let names = GgufNames::of_file(&header)?;
        let entries = gguf::file_entries(&header, names, path, (*file).as_ref().len())?;
        let head_dim = gguf::head_dim(&header, names);
        let shared: Arc<Path> = path.into();
        let entry = |e: gguf::FileEntry| {
            let change = (e.change, head_dim);
            (
                e.name,
                Entry {
                    mapped: None,
                    bytes: file.clone(),
                    path: shared.clone(),
                    range: e.range,
                    format: e.format,
                    shape: e.dims,
                    change,
                },
            )
        };
        Ok(Self {
            path: path.to_owned(),
            is_gguf: true,
            quantise: None,
            tensors: entries.into_iter().map(entry).collect(),
        })
    }

    /// The same files, for a model whose base is kept in fewer bits.
    pub fn quantised(mut self, quantise: Option<Quantise>) -> Self {
        self.quantise = quantise;
        self
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|e| e.shape.as_slice())
    }

    /// Whether a weight that Hugging Face stores transposed lies here with its outputs as rows, as in GGUF.
    pub(crate) fn is_upright(&self, name: &str) -> bool {
        self.tensors.get(name).is_some_and(|e| e.change.0 == Change::Transposed)
    }

    /// The tensor `name` as rows and columns: a vector is one row, more than two dimensions are folded into the columns.
    ///
    /// # Errors
    /// Where its numbers are in a format that is not read. A missing tensor is `Ok(None)`.
    pub fn matrix(&self, name: &str) -> Result<Option<HostMatrix>> {
        let Some(entry) = self.tensors.get(name) else { return Ok(None) };
        let precision = match &entry.format {
            Ok(precision) => *precision,
            Err(found) => {
                let path = entry.path.to_path_buf();
                return Err(ModelError::WeightFormat { path, name: name.to_owned(), found: found.clone() });
            }
        };
        let (rows, cols) = match entry.shape.as_slice() {
            [] => (1, 1),
            [n] => (1, *n),
            // A hostile header may announce more columns than can be counted, beside no rows.
            [rows, rest @ ..] => (*rows, rest.iter().fold(1, |n: usize, d| n.saturating_mul(*d))),
        };
        let stored = HostMatrix::new(entry.bytes.clone(), entry.range.clone(), precision, rows, cols)?;
        let (change, head_dim) = entry.change;
        change.into_hugging_face(stored, head_dim).map(Some)
    }

    /// The name of the precision in which most bytes are stored, such as `bf16` or `q4_k`.
    pub fn main_precision(&self) -> &'static str {
        let mut bytes: BTreeMap<Precision, usize> = BTreeMap::new();
        for entry in self.tensors.values() {
            if let Ok(precision) = &entry.format {
                *bytes.entry(*precision).or_default() += entry.range.len();
            }
        }
        bytes.into_iter().max_by_key(|(_, n)| *n).map_or("f32", |(precision, _)| precision.name())
    }

    /// Bytes of all tensors together.
    pub fn n_bytes(&self) -> usize {
        self.tensors.values().map(|e| e.range.len()).sum()
    }

    /// Numbers of all tensors together.
    pub fn n_parameters(&self) -> usize {
        // A hostile header may announce more numbers than can be counted, beside none.
        let n_numbers = |e: &Entry| e.shape.iter().fold(1, |n: usize, d| n.saturating_mul(*d));
        self.tensors.values().map(n_numbers).fold(0, usize::saturating_add)
    }
}

/// The weight files of a folder, in a fixed order.
fn weight_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (single, index) = (folder.join(SINGLE), folder.join(INDEX));
    if single.is_file() {
        return Ok(vec![single]);
    }
    if !index.is_file() {
        return match PICKLES.map(|name| folder.join(name)).into_iter().find(|path| path.is_file()) {
            Some(path) => Err(ModelError::Pickle { path }),
            None => Err(ModelError::NoModel { path: folder.to_owned() }),
        };
    }
    let text = std::fs::read_to_string(&index).map_err(ModelError::io("read", &index))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(ModelError::json(&index))?;
    let map = value.get("weight_map").and_then(|m| m.as_object());
    let Some(map) = map else {
        let needed_by = "a model in several files".to_owned();
        return Err(ModelError::MissingKey { path: index, key: "weight_map", needed_by });
    };
    let names: BTreeSet<&str> = map.values().filter_map(|v| v.as_str()).collect();
    match names.iter().find(|n| Path::new(n).components().count() != 1) {
        Some(bad) => Err(ModelError::BadValue {
            path: index,
            key: "weight_map".to_owned(),
            value: (*bad).to_owned(),
            problem: "is not a file in the same folder".to_owned(),
        }),
        None => Ok(names.into_iter().map(|n| folder.join(n)).collect()),
    }
}

fn map_file(path: &Path, tensors: &mut BTreeMap<String, Entry>) -> Result<()> {
    let file = File::open(path).map_err(ModelError::io("read", path))?;
    // SAFETY: the file is opened read-only and treated as plain bytes; a file that another program cuts short while it is
    // mapped ends this process with a bus error, as in every program that maps model files.
    let map = unsafe { Mmap::map(&file) }.map_err(ModelError::io("map", path))?;
    let bad = |reason: String| ModelError::BadWeights { path: path.to_owned(), reason };
    refuse_pickle(path, &map)?;
    let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|e| bad(e.to_string()))?;
    let start = header + size_of::<u64>();
    let (file, path): (_, Arc<Path>) = (Arc::new(MappedFile(map)), path.into());
    for (name, info) in metadata.tensors() {
        let range = start + info.data_offsets.0..start + info.data_offsets.1;
        if range.end > file.0.len() {
            return Err(bad(format!("`{name}` ends at byte {}, the file at {}", range.end, file.0.len())));
        }
        let format = match info.dtype {
            Dtype::F32 => Ok(Precision::F32),
            Dtype::F16 => Ok(Precision::F16),
            Dtype::BF16 => Ok(Precision::Bf16),
            other => Err(format!("{other:?}")),
        };
        let (shape, change) = (info.shape.clone(), (Change::Same, 0));
        let mapped = Some(file.clone());
        let entry = Entry { mapped, bytes: file.clone(), path: path.clone(), range, format, shape, change };
        tensors.insert(name, entry);
    }
    Ok(())
}

/// BLAKE3 of a model: its configuration and weight files, or its GGUF file, each with its name, as hexadecimal digits.
///
/// # Errors
/// Where a file cannot be read.
pub fn hash_folder(folder: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let files = match lorikeet_gguf::locate(folder)? {
        Some(file) => vec![file],
        None => std::iter::once(folder.join("config.json")).chain(weight_files(folder)?).collect(),
    };
    for path in files {
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        let file = File::open(&path).map_err(ModelError::io("read", &path))?;
        hasher.update_reader(file).map_err(ModelError::io("read", &path))?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}

impl WeightSource {
    /// How a frozen base is kept.
    pub(crate) fn quantise(&self) -> Option<Quantise> {
        if let WeightSource::Files(files) = self { files.quantise } else { None }
    }

    /// Gives back the memory in which the file's bytes of the tensor of one of `names` lie; they are read again when they
    /// are asked for.
    pub(crate) fn let_go(&self, names: &[String]) {
        let WeightSource::Files(files) = self else { return };
        let Some(entry) = names.iter().find_map(|name| files.tensors.get(name)) else { return };
        if let Some(file) = &entry.mapped {
            file.let_go(&entry.range);
        }
    }

    /// Whether the numbers come from a GGUF file, which is read and never trained whole.
    pub(crate) fn is_gguf(&self) -> bool {
        matches!(self, WeightSource::Files(files) if files.is_gguf)
    }

    /// The folder, for messages.
    pub fn folder(&self) -> &Path {
        match self {
            WeightSource::Files(files) => &files.path,
            WeightSource::Fresh { folder, .. } => folder,
        }
    }

    /// The first of `names` that exists, checked to be `rows` x `cols`. Fresh weights are made for the first name: ones for
    /// a norm's weight, zeros for a bias, normal numbers for matrices.
    pub(crate) fn find(&self, names: &[String], rows: usize, cols: usize) -> Result<Option<HostMatrix>> {
        match self {
            WeightSource::Files(files) => {
                for name in names {
                    let Some(matrix) = files.matrix(name)? else { continue };
                    if (matrix.rows(), matrix.cols()) != (rows, cols) {
                        let (path, found) = (files.path.clone(), files.shape(name).unwrap_or_default().to_vec());
                        let expected = if rows == 1 && found.len() == 1 { vec![cols] } else { vec![rows, cols] };
                        return Err(ModelError::WeightShape { path, name: name.clone(), expected, found });
                    }
                    return Ok(Some(matrix));
                }
                Ok(None)
            }
            WeightSource::Fresh { seed, deviation, .. } => {
                let name = names.first().map(String::as_str).unwrap_or_default();
                Ok(Some(fresh(name, *seed, *deviation, rows, cols)?))
            }
        }
    }
}

/// The stream of random numbers that belongs to a name: the same whatever else a model holds.
pub(crate) fn stream_of(seed: u64, name: &str) -> Stream {
    let digest = blake3::hash(name.as_bytes());
    let mut word = [0u8; 8];
    word.copy_from_slice(&digest.as_bytes()[..8]);
    Stream::new(seed, u64::from_le_bytes(word))
}

fn fresh(name: &str, seed: u64, deviation: f32, rows: usize, cols: usize) -> Result<HostMatrix> {
    let stream = stream_of(seed, name);
    let n = rows * cols;
    let numbers: Vec<f32> = match (name.ends_with(".bias"), rows) {
        (true, _) => vec![0.0; n],
        (false, 1) => vec![1.0; n],
        _ => (0..n as u64).map(|i| deviation * stream.normal(i)).collect(),
    };
    Ok(HostMatrix::from_f32(&numbers, rows, cols)?)
}
