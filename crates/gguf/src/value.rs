//! Metadata values: borrowed from a file when read, owned when written.

use std::borrow::Cow;

/// The types of metadata values, with the numbers they have in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
#[repr(u32)]
pub enum Kind {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    Text = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl Kind {
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::Text,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    /// The type with this number.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// Bytes of a value; `None` for texts and arrays, whose length varies.
    pub fn n_bytes(self) -> Option<usize> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text | Self::Array => None,
        }
    }
}

/// A metadata value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    Text(Cow<'a, str>),
    Array(Array<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl<'a> Value<'a> {
    /// A text that is owned.
    pub fn text(text: impl Into<String>) -> Value<'static> {
        Value::Text(Cow::Owned(text.into()))
    }

    /// Its type.
    pub fn kind(&self) -> Kind {
        match self {
            Value::U8(_) => Kind::U8,
            Value::I8(_) => Kind::I8,
            Value::U16(_) => Kind::U16,
            Value::I16(_) => Kind::I16,
            Value::U32(_) => Kind::U32,
            Value::I32(_) => Kind::I32,
            Value::F32(_) => Kind::F32,
            Value::Bool(_) => Kind::Bool,
            Value::Text(_) => Kind::Text,
            Value::Array(_) => Kind::Array,
            Value::U64(_) => Kind::U64,
            Value::I64(_) => Kind::I64,
            Value::F64(_) => Kind::F64,
        }
    }

    /// A whole number that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U8(n) => Some(n.into()),
            Value::U16(n) => Some(n.into()),
            Value::U32(n) => Some(n.into()),
            Value::U64(n) => Some(n),
            Value::I8(n) => n.try_into().ok(),
            Value::I16(n) => n.try_into().ok(),
            Value::I32(n) => n.try_into().ok(),
            Value::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }

    /// A number.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::F32(n) => Some(n.into()),
            Value::F64(n) => Some(n),
            Value::I8(n) => Some(n.into()),
            Value::I16(n) => Some(n.into()),
            Value::I32(n) => Some(n.into()),
            Value::I64(n) => Some(n as f64),
            _ => self.as_u64().map(|n| n as f64),
        }
    }

    /// Yes or no.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(yes) = self { Some(*yes) } else { None }
    }

    /// A text.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// An array.
    pub fn as_array(&self) -> Option<&Array<'a>> {
        if let Value::Array(array) = self { Some(array) } else { None }
    }

    /// The bytes it has in a file, without its type.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Value::U8(n) => out.push(*n),
            Value::I8(n) => out.extend(n.to_le_bytes()),
            Value::U16(n) => out.extend(n.to_le_bytes()),
            Value::I16(n) => out.extend(n.to_le_bytes()),
            Value::U32(n) => out.extend(n.to_le_bytes()),
            Value::I32(n) => out.extend(n.to_le_bytes()),
            Value::F32(n) => out.extend(n.to_le_bytes()),
            Value::Bool(yes) => out.push(u8::from(*yes)),
            Value::Text(text) => encode_text(text, out),
            Value::Array(array) => {
                out.extend((array.kind as u32).to_le_bytes());
                out.extend((array.count as u64).to_le_bytes());
                out.extend(&*array.bytes);
            }
            Value::U64(n) => out.extend(n.to_le_bytes()),
            Value::I64(n) => out.extend(n.to_le_bytes()),
            Value::F64(n) => out.extend(n.to_le_bytes()),
        }
    }
}

/// A text as it is written: its length, then its bytes.
pub(crate) fn encode_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// Values of one type, as they lie in the file; nothing is unpacked before it is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<'a> {
    pub(crate) kind: Kind,
    pub(crate) count: usize,
    pub(crate) bytes: Cow<'a, [u8]>,
}

impl<'a> Array<'a> {
    /// An array of texts.
    pub fn of_texts<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Array<'static> {
        let (mut bytes, mut count) = (Vec::new(), 0);
        for text in texts {
            encode_text(text.as_ref(), &mut bytes);
            count += 1;
        }
        Array { kind: Kind::Text, count, bytes: Cow::Owned(bytes) }
    }

    /// An array of floats.
    pub fn of_f32(numbers: &[f32]) -> Array<'static> {
        let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        Array { kind: Kind::F32, count: numbers.len(), bytes: Cow::Owned(bytes) }
    }

    /// An array of whole numbers.
    pub fn of_i32(numbers: &[i32]) -> Array<'static> {
        let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        Array { kind: Kind::I32, count: numbers.len(), bytes: Cow::Owned(bytes) }
    }

    /// The type of its values.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// How many values.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its texts; none where it holds something else.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let mut rest = if self.kind == Kind::Text { &*self.bytes } else { &[] };
        std::iter::from_fn(move || {
            let (len, behind) = rest.split_first_chunk::<8>()?;
            let (text, behind) = behind.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)?;
            rest = behind;
            // Texts were checked when the file was read.
            std::str::from_utf8(text).ok()
        })
    }

    /// Its numbers; none where it holds something else.
    pub fn numbers(&self) -> impl Iterator<Item = f64> {
        let width = self.kind.n_bytes().unwrap_or(1);
        let bytes = if self.kind.n_bytes().is_some() { &*self.bytes } else { &[] };
        bytes.chunks_exact(width).filter_map(|bytes| decode(self.kind, bytes)?.as_f64())
    }
}

/// A value of a fixed length.
pub(crate) fn decode(kind: Kind, bytes: &[u8]) -> Option<Value<'static>> {
    Some(match kind {
        Kind::U8 => Value::U8(*bytes.first()?),
        Kind::I8 => Value::I8(*bytes.first()? as i8),
        Kind::U16 => Value::U16(u16::from_le_bytes(bytes.try_into().ok()?)),
        Kind::I16 => Value::I16(i16::from_le_bytes(bytes.try_into().ok()?)),
        Kind::U32 => Value::U32(u32::from_le_bytes(bytes.try_into().ok()?)),
        Kind::I32 => Value::I32(i32::from_le_bytes(bytes.try_into().ok()?)),
        Kind::F32 => Value::F32(f32::from_le_bytes(bytes.try_into().ok()?)),
        Kind::Bool => Value::Bool(*bytes.first()? != 0),
        Kind::U64 => Value::U64(u64::from_le_bytes(bytes.try_into().ok()?)),
        Kind::I64 => Value::I64(i64::from_le_bytes(bytes.try_into().ok()?)),
        Kind::F64 => Value::F64(f64::from_le_bytes(bytes.try_into().ok()?)),
        Kind::Text | Kind::Array => return None,
    })
}
