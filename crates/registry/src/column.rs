//! How Rust values that SQLite has no type for lie in a column: JSON as text, enums as their words.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use serde_json::Value;

/// A JSON document in a TEXT column.
pub(crate) struct Json(pub(crate) Value);

impl FromSql for Json {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Json).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// A borrowed JSON document on its way into a TEXT column.
pub(crate) struct JsonRef<'a>(pub(crate) &'a Value);

impl ToSql for JsonRef<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.0.to_string()))
    }
}

/// A word that a column or a request should not contain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} (one of {known}): `{word}`")]
pub struct UnknownWord {
    /// What the word should have been, such as `run status`.
    pub kind: &'static str,
    /// The words that exist, separated by commas.
    pub known: String,
    /// The word found.
    pub word: String,
}

/// Declares an enum once, with the word of each variant as it stands in a TEXT column.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $kind:literal: $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Every variant, in declaration order.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The word that stands for the variant in the table and in every output.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::column::UnknownWord;

            fn from_str(word: &str) -> std::result::Result<Self, Self::Err> {
                $name::ALL.iter().copied().find(|known| known.as_str() == word).ok_or_else(|| $crate::column::UnknownWord {
                    kind: $kind,
                    known: [$($word),+].join(", "),
                    word: word.to_owned(),
                })
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(rusqlite::types::ToSqlOutput::from(self.as_str()))
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(value: rusqlite::types::ValueRef<'_>) -> rusqlite::types::FromSqlResult<Self> {
                value.as_str()?.parse().map_err(|error| rusqlite::types::FromSqlError::Other(Box::new(error)))
            }
        }
    };
}
pub(crate) use words;
