//! The front of a GGUF file: metadata and the places of the tensors.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{Array, Fault, Kind, Value, value::decode};

type Result<T> = std::result::Result<T, Fault>;

/// Arrays may hold arrays this deep; no known file nests them at all.
const DEPTH: usize = 4;

/// What a file says before its numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Header<'a> {
    /// The version of the format.
    pub version: u32,
    /// Metadata by key.
    pub fields: BTreeMap<Cow<'a, str>, Value<'a>>,
    /// The tensors in the order of the file.
    pub tensors: Vec<TensorInfo<'a>>,
}

/// A tensor's name, shape and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its dimensions, the slowest first: rows before columns (files have them the other way round).
    pub dims: Vec<usize>,
    /// The number of its format, a `ggml` type.
    pub format: u32,
    /// Its first byte in the file; how many bytes it has follows from shape and format, and is not checked here.
    pub start: usize,
}

impl<'a> Header<'a> {
    /// Reads the front of `bytes`, which is a whole file.
    ///
    /// # Errors
    /// [`Fault`], where anything announced is not there.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor { bytes, at: 0 };
        if cursor.take("the file's mark", 4)? != b"GGUF" {
            return Err(Fault::Magic);
        }
        let version = cursor.u32("the version")?;
        if !(2..=3).contains(&version) {
            return Err(Fault::Version { found: version });
        }
        // A tensor takes a length, a count of dimensions, a format and a place; a key a length, a type and a value.
        let n_tensors = cursor.count("the list of tensors", 24)?;
        let n_fields = cursor.count("the list of metadata keys", 13)?;
        let mut fields = BTreeMap::new();
        for _ in 0..n_fields {
            let key = cursor.text()?;
            let value = cursor.value()?;
            if fields.insert(Cow::Borrowed(key), value).is_some() {
                return Err(Fault::Twice { name: key.to_owned() });
            }
        }
        let mut tensors = Vec::new();
        for _ in 0..n_tensors {
            tensors.push(cursor.tensor()?);
        }
        let alignment = alignment(&fields)?;
        let data = cursor.at.next_multiple_of(alignment);
        let tensors: Vec<TensorInfo<'a>> =
            tensors.into_iter().map(|(info, offset)| placed(info, offset, data, bytes.len())).collect::<Result<_>>()?;
        match twice(&tensors) {
            Some(name) => Err(Fault::Twice { name }),
            None => Ok(Self { version, fields, tensors }),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.fields.get(key)
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }
}

fn alignment(fields: &BTreeMap<Cow<'_, str>, Value<'_>>) -> Result<usize> {
    let Some(value) = fields.get("general.alignment") else { return Ok(32) };
    let found = value.as_u64().unwrap_or_default();
    if found.is_power_of_two() && found <= 1 << 16 { Ok(found as usize) } else { Err(Fault::Alignment { found }) }
}

fn placed<'a>(mut info: TensorInfo<'a>, offset: u64, data: usize, len: usize) -> Result<TensorInfo<'a>> {
    let start = usize::try_from(offset).ok().and_then(|offset| data.checked_add(offset));
    // An empty tensor may stand at the very end, and a file without numbers may end before the padding.
    match start.filter(|start| *start <= len.max(data)) {
        Some(start) => info.start = start,
        None => return Err(Fault::Place { name: info.name.into_owned(), offset }),
    }
    Ok(info)
}

fn twice(tensors: &[TensorInfo<'_>]) -> Option<String> {
    let mut names: Vec<&str> = tensors.iter().map(|t| &*t.name).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0].to_owned())
}

/// A place in the bytes; every step is checked.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, what: &'static str, n: u64) -> Result<&'a [u8]> {
        let ends = Fault::Ends { what, at: self.at, needed: n, left: self.left() };
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n)).ok_or_else(|| ends.clone())?;
        let taken = self.bytes.get(self.at..end).ok_or(ends)?;
        self.at = end;
        Ok(taken)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32> {
        self.take(what, 4).map(|b| b.iter().rev().fold(0, |n, b| n << 8 | u32::from(*b)))
    }

    fn u64(&mut self, what: &'static str) -> Result<u64> {
        self.take(what, 8).map(|b| b.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    /// A number of things of which each takes at least `least` bytes.
    fn count(&mut self, what: &'static str, least: u64) -> Result<u64> {
        let (at, n) = (self.at, self.u64(what)?);
        let needed = n.saturating_mul(least);
        if needed > self.left() as u64 {
            return Err(Fault::Ends { what, at, needed, left: self.left() });
        }
        Ok(n)
    }

    fn text(&mut self) -> Result<&'a str> {
        let at = self.at;
        let len = self.u64("the length of a text")?;
        std::str::from_utf8(self.take("a text", len)?).map_err(|_| Fault::Text { at })
    }

    fn kind(&mut self) -> Result<Kind> {
        let (at, found) = (self.at, self.u32("the type of a value")?);
        Kind::of(found).ok_or(Fault::Kind { at, found })
    }

    fn value(&mut self) -> Result<Value<'a>> {
        let (at, kind) = (self.at, self.kind()?);
        match kind {
            Kind::Text => Ok(Value::Text(Cow::Borrowed(self.text()?))),
            Kind::Array => {
                let (kind, count) = (self.kind()?, self.count("an array", 1)?);
                let from = self.at;
                self.pass(kind, count, 1)?;
                let bytes = Cow::Borrowed(self.bytes.get(from..self.at).unwrap_or_default());
                Ok(Value::Array(Array { kind, count: count as usize, bytes }))
            }
            fixed => {
                let bytes = self.take("a value", fixed.n_bytes().unwrap_or_default() as u64)?;
                decode(fixed, bytes).ok_or(Fault::Kind { at, found: fixed as u32 })
            }
        }
    }

    /// Goes past `count` values, so that everything in them is known to be there.
    fn pass(&mut self, kind: Kind, count: u64, depth: usize) -> Result<()> {
        if depth > DEPTH {
            return Err(Fault::Depth { at: self.at, limit: DEPTH });
        }
        if let Some(width) = kind.n_bytes() {
            return self.take("an array", count.saturating_mul(width as u64)).map(drop);
        }
        for _ in 0..count {
            if kind == Kind::Text {
                self.text()?;
            } else {
                let (kind, count) = (self.kind()?, self.count("an array", 1)?);
                self.pass(kind, count, depth + 1)?;
            }
        }
        Ok(())
    }

    /// A tensor with its place among the numbers.
    fn tensor(&mut self) -> Result<(TensorInfo<'a>, u64)> {
        let name = self.text()?;
        let found = self.u32("the dimensions of a tensor")?;
        if found > 4 {
            return Err(Fault::Dimensions { name: name.to_owned(), found });
        }
        let mut dims = Vec::with_capacity(found as usize);
        for _ in 0..found {
            // More than can be counted is more than the file holds, which comes out when the numbers are asked for.
            dims.push(usize::try_from(self.u64("the dimensions of a tensor")?).unwrap_or(usize::MAX));
        }
        dims.reverse();
        let format = self.u32("the format of a tensor")?;
        let offset = self.u64("the place of a tensor")?;
        Ok((TensorInfo { name: Cow::Borrowed(name), dims, format, start: 0 }, offset))
    }
}
