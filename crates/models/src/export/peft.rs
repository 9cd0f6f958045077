//! An adapter as PEFT keeps it: what is PEFT's already goes out byte for byte, every other form in PEFT's names.

use std::{fs, path::Path};

use safetensors::{Dtype, tensor::TensorView};

use crate::{
    AdapterFiles, AdapterForm, ModelError, Result,
    adapter_files::PEFT_WEIGHTS,
    save::{pretty, write_file},
};

const CONFIG: &str = "adapter_config.json";

/// Writes `adapter` into `folder`, which exists.
///
/// # Errors
/// Where the disk refuses.
pub fn write_peft(adapter: &AdapterFiles, folder: &Path) -> Result<()> {
    if adapter.form == AdapterForm::Peft {
        for name in [CONFIG, PEFT_WEIGHTS] {
            let source = adapter.path.join(name);
            write_file(&folder.join(name), &fs::read(&source).map_err(ModelError::io("read", &source))?)?;
        }
        return Ok(());
    }
    write_file(&folder.join(CONFIG), pretty(&adapter.config.to_json()).as_bytes())?;
    let tensors = adapter.tensors.iter().map(|(name, t)| (name.clone(), t.dims.clone(), t.numbers.clone()));
    write_tensors(&folder.join(PEFT_WEIGHTS), tensors.collect(), "pt")
}

/// Writes tensors of 32-bit floats, each with name, shape and numbers, as one safetensors file; `format` is what its metadata
/// says of who reads it.
///
/// # Errors
/// Where a shape does not fit its numbers, or the disk refuses.
pub fn write_tensors(path: &Path, tensors: Vec<(String, Vec<usize>, Vec<f32>)>, format: &str) -> Result<()> {
    let bad = |e: safetensors::SafeTensorError| ModelError::BadWeights { path: path.to_owned(), reason: e.to_string() };
    let stored: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, dims, numbers)| (name, dims, numbers.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = stored.iter().map(|(name, dims, bytes)| Ok((name, TensorView::new(Dtype::F32, dims.clone(), bytes)?)));
    let views = views.collect::<std::result::Result<Vec<_>, _>>().map_err(bad)?;
    let metadata = std::collections::HashMap::from([("format".to_owned(), format.to_owned())]);
    write_file(path, &safetensors::serialize(views, Some(metadata)).map_err(bad)?)
}
