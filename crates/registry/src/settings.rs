//! Table `settings`: what the app itself remembers, a JSON value per key (theme, last model, port).
//!
//! Not the settings of a run; those lie with the run.

use rusqlite::OptionalExtension;
use serde_json::Value;

use crate::column::{Json, JsonRef};
use crate::error::Result;
use crate::registry::{Registry, now_ms};
use crate::schema::Migration;

pub(crate) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    sql: "
CREATE TABLE settings (
    key           TEXT    NOT NULL PRIMARY KEY,
    value         TEXT    NOT NULL CHECK (json_valid(value)),
    updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
",
}];

/// Reads and writes of the table; from [`Registry::settings`].
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    registry: &'a Registry,
}

impl<'a> Settings<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Settings { registry }
    }

    /// The value of `key`, if it was ever set.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn get(&self, key: &str) -> Result<Option<Value>> {
        self.registry.read("reading a setting", |conn| {
            let sql = "SELECT value FROM settings WHERE key = ?1";
            let value = conn.prepare_cached(sql)?.query_row([key], |row| row.get::<_, Json>(0)).optional()?;
            Ok(value.map(|json| json.0))
        })
    }

    /// Every setting, by key.
    ///
    /// # Errors
    /// When the registry cannot be read.
    pub fn all(&self) -> Result<Vec<(String, Value)>> {
        self.registry.read("reading the settings", |conn| {
            let mut statement = conn.prepare_cached("SELECT key, value FROM settings ORDER BY key")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, Json>(1)?.0)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Sets `key`, replacing what was there.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn set(&self, key: &str, value: &Value) -> Result<()> {
        self.registry.write("saving a setting", |tx| {
            let sql = "INSERT INTO settings (key, value, updated_at_ms) VALUES (?1, ?2, ?3)
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at_ms = excluded.updated_at_ms";
            tx.prepare_cached(sql)?.execute((key, JsonRef(value), now_ms()))?;
            Ok(())
        })
    }

    /// Forgets `key`; tells whether it was set.
    ///
    /// # Errors
    /// When the registry cannot be written.
    pub fn remove(&self, key: &str) -> Result<bool> {
        self.registry.write("removing a setting", |tx| {
            Ok(tx.prepare_cached("DELETE FROM settings WHERE key = ?1")?.execute([key])? == 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::Registry;

    #[test]
    fn a_setting_is_kept_replaced_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(&folder.path().join("registry.sqlite")).unwrap();
        let settings = registry.settings();
        assert_eq!(settings.get("theme").unwrap(), None);
        settings.set("theme", &json!("dark")).unwrap();
        settings.set("theme", &json!({ "name": "light", "contrast": 2 })).unwrap();
        settings.set("port", &json!(8080)).unwrap();
        let theme = json!({ "name": "light", "contrast": 2 });
        assert_eq!(settings.get("theme").unwrap(), Some(theme.clone()));
        assert_eq!(settings.all().unwrap(), [("port".to_owned(), json!(8080)), ("theme".to_owned(), theme)]);
        assert!(settings.remove("theme").unwrap());
        assert!(!settings.remove("theme").unwrap());
    }
}
