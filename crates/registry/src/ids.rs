//! Readable ids: made from a name, unique by a counter, found again by their beginning.

use rusqlite::{Connection, OptionalExtension};

use crate::error::{Fault, RegistryError};

/// The longest slug made from a name; a counter may follow it.
const MAX_SLUG_BYTES: usize = 40;

/// How many ids an ambiguous prefix lists.
const N_AMBIGUOUS_SHOWN: usize = 5;

/// How many of the newest ids are compared for the nearest one.
const N_COMPARED: u32 = 10_000;

/// Below this similarity (0 to 1) an id is not offered as the one that was meant.
const MIN_SIMILARITY: f64 = 0.6;

/// The shortest beginning of a hash that is looked up; shorter ones are more likely a mistyped id.
const MIN_HASH_PREFIX: usize = 8;

/// A table whose rows are named by readable ids. Every such table has the columns `number`, `id` and `name`.
pub(crate) struct IdSpace {
    /// The table.
    pub(crate) table: &'static str,
    /// What a row is called in messages.
    pub(crate) noun: &'static str,
    /// Whether the table has a `hash` that also finds a row.
    pub(crate) hashed: bool,
}

/// Lower-case ASCII letters and digits, words joined by `-`; `fallback` when the name has none of them.
pub fn slug(name: &str, fallback: &str) -> String {
    let mut slug = String::new();
    for letter in name.chars() {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= MAX_SLUG_BYTES {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { fallback.to_owned() } else { slug.to_owned() }
}

impl IdSpace {
    /// The slug of `name`, followed by `-2`, `-3`, … when it is taken. Call it inside the transaction that uses the id.
    pub(crate) fn unique_slug(&self, conn: &Connection, name: &str) -> Result<String, Fault> {
        let base = slug(name, self.noun);
        let mut taken = conn.prepare_cached(&format!("SELECT 1 FROM {} WHERE id = ?1", self.table))?;
        let mut candidate = base.clone();
        for n in 2_u32.. {
            if !taken.exists([&candidate])? {
                break;
            }
            candidate = format!("{base}-{n}");
        }
        Ok(candidate)
    }

    /// The full id that `given` stands for: an id, a hash, a name, or the beginning of exactly one id or hash.
    pub(crate) fn resolve(&self, conn: &Connection, given: &str) -> Result<String, Fault> {
        if let Some(id) = self.exact(conn, given)? {
            return Ok(id);
        }
        let mut matches = self.beginning(conn, "id", given)?;
        if matches.is_empty() && self.hashed && given.len() >= MIN_HASH_PREFIX {
            matches = self.beginning(conn, "hash", &given.to_ascii_lowercase())?;
        }
        match matches.len() {
            0 => Err(self.not_found(conn, given)?.into()),
            1 => Ok(matches.swap_remove(0)),
            _ => Err(RegistryError::Ambiguous { noun: self.noun, prefix: given.to_owned(), matches }.into()),
        }
    }

    /// The row with exactly this id, else hash, else name; of several the newest.
    fn exact(&self, conn: &Connection, given: &str) -> Result<Option<String>, Fault> {
        let columns: &[&str] = if self.hashed { &["id", "hash", "name"] } else { &["id", "name"] };
        for column in columns {
            let sql = format!("SELECT id FROM {} WHERE {column} = ?1 ORDER BY number DESC LIMIT 1", self.table);
            let id = conn.prepare_cached(&sql)?.query_row([given], |row| row.get(0)).optional()?;
            if id.is_some() {
                return Ok(id);
            }
        }
        Ok(None)
    }

    /// Ids whose `column` begins with `given`. Ids and hashes hold only characters that sort before `~`.
    fn beginning(&self, conn: &Connection, column: &str, given: &str) -> Result<Vec<String>, Fault> {
        if given.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!(
            "SELECT id FROM {} WHERE {column} >= ?1 AND {column} < ?1 || '~' ORDER BY id LIMIT {N_AMBIGUOUS_SHOWN}",
            self.table
        );
        let mut statement = conn.prepare_cached(&sql)?;
        let ids = statement.query_map([given], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        Ok(ids)
    }

    /// The error for an id that is not there, with the most similar one that is.
    pub(crate) fn not_found(&self, conn: &Connection, given: &str) -> Result<RegistryError, Fault> {
        let sql = format!("SELECT id FROM {} ORDER BY number DESC LIMIT {N_COMPARED}", self.table);
        let mut statement = conn.prepare_cached(&sql)?;
        let ids = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
        let nearest = ids
            .into_iter()
            .map(|id| (strsim::normalized_damerau_levenshtein(given, &id), id))
            .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, id)| id);
        Ok(RegistryError::NotFound { noun: self.noun, id: given.to_owned(), nearest })
    }
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn slugs_are_short_plain_and_never_empty() {
        assert_eq!(slug("Customer Mails (2024).csv", "dataset"), "customer-mails-2024-csv");
        assert_eq!(slug("  --Ünïcode__näme", "dataset"), "n-code-n-me");
        assert_eq!(slug("数据", "dataset"), "dataset");
        assert_eq!(slug("", "model"), "model");
        let long = slug(&"word ".repeat(30), "dataset");
        assert!(long.len() <= 40 && !long.ends_with('-'), "{long}");
    }
}
