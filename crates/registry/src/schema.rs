//! From an empty file to the newest schema, one numbered migration after the other.
//!
//! The tables write their own migrations; this file only puts them in order. A migration that was ever released is never
//! edited: a change is a new one with the next number. The number reached is SQLite's `user_version`, and
//! `application_id` marks the file as ours. Reading the number and migrating happen under one write lock, because two
//! processes may meet a new file in the same moment (the reason for not using a migration crate: those known read the
//! number before they lock).

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::{Fault, RegistryError};
use crate::{artifacts, checkpoints, datasets, events, metrics, models, runs, settings};

/// One step of one table. Steps with the same version are applied together, in the order of [`TABLES`].
pub(crate) struct Migration {
    /// The schema version this step belongs to, counted from 1.
    pub(crate) version: u32,
    /// The statements.
    pub(crate) sql: &'static str,
}

/// The newest schema version this build knows.
pub const SCHEMA_VERSION: u32 = 1;

/// `LORI` in ASCII: what the header of a registry file carries.
const APPLICATION_ID: i32 = 0x4C4F_5249;

/// Every table's migrations; a table stands after those it refers to.
const TABLES: &[&[Migration]] = &[
    settings::MIGRATIONS,
    datasets::MIGRATIONS,
    models::MIGRATIONS,
    runs::MIGRATIONS,
    metrics::MIGRATIONS,
    events::MIGRATIONS,
    checkpoints::MIGRATIONS,
    artifacts::MIGRATIONS,
];

/// The version of a file that is ours or still empty.
///
/// # Errors
/// A foreign or too new file is refused, before anything was written to it.
pub(crate) fn version(conn: &Connection, path: &Path) -> Result<u32, Fault> {
    let (found, application_id, n_objects): (i64, i32, i64) = conn.query_row(
        "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)
         FROM pragma_user_version, pragma_application_id",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let empty = application_id == 0 && found == 0 && n_objects == 0;
    if application_id != APPLICATION_ID && !empty {
        return Err(RegistryError::Foreign { path: path.to_path_buf(), application_id }.into());
    }
    match u32::try_from(found) {
        Ok(version) if version <= SCHEMA_VERSION => Ok(version),
        _ => Err(RegistryError::TooNew { path: path.to_path_buf(), found, known: SCHEMA_VERSION }.into()),
    }
}

/// Brings the file to [`SCHEMA_VERSION`], all steps or none.
pub(crate) fn migrate(conn: &mut Connection, path: &Path) -> Result<(), Fault> {
    if version(conn, path)? == SCHEMA_VERSION {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let reached = version(&tx, path)?;
    for next in reached + 1..=SCHEMA_VERSION {
        for migration in steps(next) {
            tx.execute_batch(migration.sql)?;
        }
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    tx.commit()?;
    Ok(())
}

fn steps(version: u32) -> impl Iterator<Item = &'static Migration> {
    TABLES.iter().copied().flatten().filter(move |migration| migration.version == version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_version_has_a_step_and_every_table_counts_upwards() {
        for version in 1..=SCHEMA_VERSION {
            assert!(steps(version).count() > 0, "nothing happens in version {version}");
        }
        for table in TABLES {
            assert!(table.windows(2).all(|pair| pair[0].version < pair[1].version));
            assert!(table.iter().all(|step| (1..=SCHEMA_VERSION).contains(&step.version)));
        }
    }

    #[test]
    fn released_migrations_are_not_edited() {
        let text: String = (1..=SCHEMA_VERSION)
            .flat_map(|version| steps(version).map(move |step| format!("-- version {version}\n{}\n", step.sql.trim())))
            .collect();
        insta::assert_snapshot!("migrations", text);
    }
}
