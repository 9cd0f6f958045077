//! Writing a GGUF file, whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::{GgufError, Result, Value, value::encode_text};

/// Tensors begin at multiples of this.
const ALIGNMENT: usize = 32;

/// A tensor that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorPlan {
    /// Its name.
    pub name: String,
    /// Its dimensions, the slowest first: rows before columns.
    pub dims: Vec<usize>,
    /// The number of its format, a `ggml` type.
    pub format: u32,
    /// Bytes of its numbers.
    pub n_bytes: usize,
}

/// Writes `fields` and `tensors` to `path`, in version 3 of the format: beside its place, flushed to the disk, then renamed.
/// `fill` is asked for the bytes of one tensor after the other, by index, so that they need not be in memory together.
///
/// # Errors
/// Where the system or `fill` refuses, or `fill` gives other than the announced bytes; nothing is left behind then.
pub fn write<E: From<GgufError>>(
    path: &Path,
    fields: &[(String, Value<'_>)],
    tensors: &[TensorPlan],
    fill: impl FnMut(usize) -> std::result::Result<Vec<u8>, E>,
) -> std::result::Result<(), E> {
    let beside = path.with_extension("partial");
    let written = write_beside(&beside, fields, tensors, fill)
        .and_then(|()| Ok(fs::rename(&beside, path).map_err(GgufError::io("write", path))?));
    written.inspect_err(|_| drop(fs::remove_file(&beside)))
}

fn write_beside<E: From<GgufError>>(
    path: &Path,
    fields: &[(String, Value<'_>)],
    tensors: &[TensorPlan],
    mut fill: impl FnMut(usize) -> std::result::Result<Vec<u8>, E>,
) -> std::result::Result<(), E> {
    let refused = || GgufError::io("write", path);
    let mut file = BufWriter::new(File::create(path).map_err(refused())?);
    let front = front(fields, tensors);
    file.write_all(&front).map_err(refused())?;
    pad(&mut file, front.len()).map_err(refused())?;
    for (i, plan) in tensors.iter().enumerate() {
        let bytes = fill(i)?;
        check(path, plan, bytes.len())?;
        file.write_all(&bytes).map_err(refused())?;
        pad(&mut file, bytes.len()).map_err(refused())?;
    }
    let file = file.into_inner().map_err(|e| refused()(e.into_error()))?;
    Ok(file.sync_all().map_err(refused())?)
}

fn check(path: &Path, plan: &TensorPlan, found: usize) -> Result<()> {
    if found == plan.n_bytes {
        return Ok(());
    }
    Err(GgufError::Written { path: path.to_owned(), name: plan.name.clone(), expected: plan.n_bytes, found })
}

/// Everything before the numbers.
fn front(fields: &[(String, Value<'_>)], tensors: &[TensorPlan]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((fields.len() as u64).to_le_bytes());
    for (key, value) in fields {
        encode_text(key, &mut out);
        out.extend((value.kind() as u32).to_le_bytes());
        value.encode(&mut out);
    }
    let mut offset = 0u64;
    for plan in tensors {
        encode_text(&plan.name, &mut out);
        out.extend((plan.dims.len() as u32).to_le_bytes());
        plan.dims.iter().rev().for_each(|d| out.extend((*d as u64).to_le_bytes()));
        out.extend(plan.format.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset += plan.n_bytes.next_multiple_of(ALIGNMENT) as u64;
    }
    out
}

fn pad(file: &mut impl Write, len: usize) -> io::Result<()> {
    file.write_all(&[0; ALIGNMENT][..len.next_multiple_of(ALIGNMENT) - len])
}
