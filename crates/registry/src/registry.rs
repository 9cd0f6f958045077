//! The open file: two connections, the settings they run under, and the only two ways to reach them.
//!
//! Reads and writes have a connection each, so that a window reading a run's curve never waits for a training process
//! that holds the write lock: under a write-ahead log a reader sees the last committed state at once.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Fault, RegistryError, Result};
use crate::schema;
use crate::{Artifacts, Checkpoints, Datasets, Events, Metrics, Models, Runs, Settings};

/// How long a write waits for another process's write before it gives up. Writes here last milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// How often, and how far apart, switching a new file to the write-ahead log is tried: SQLite does not wait there itself.
const WAL_ATTEMPTS: u32 = 300;
const WAL_PAUSE: Duration = Duration::from_millis(10);

/// Statements kept prepared per connection; the default of 16 is fewer than the tables have.
const N_PREPARED: usize = 64;

/// An open registry. Share it between threads by reference or in an `Arc`.
#[derive(Debug)]
pub struct Registry {
    path: PathBuf,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
}

impl Registry {
    /// Opens the registry at `path`, creating the file and the folders above it where they are missing, and brings an
    /// older file to the current schema.
    ///
    /// # Errors
    /// A folder that cannot be made or written, a damaged file, a file of another program, a schema newer than
    /// [`crate::SCHEMA_VERSION`]; in the last two cases the file is left as it was.
    pub fn open(path: &Path) -> Result<Registry> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| RegistryError::CreateFolder { path: folder.to_path_buf(), source })?;
        }
        let connections = open_both(path).map_err(|fault| fault.explain(path, "opening it"))?;
        let (writer, reader) = connections;
        Ok(Registry { path: path.to_path_buf(), writer: Mutex::new(writer), reader: Mutex::new(reader) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The datasets imported so far.
    pub fn datasets(&self) -> Datasets<'_> {
        Datasets::new(self)
    }

    /// The models seen so far.
    pub fn models(&self) -> Models<'_> {
        Models::new(self)
    }

    /// The runs, finished, going on and waiting.
    pub fn runs(&self) -> Runs<'_> {
        Runs::new(self)
    }

    /// The per-step numbers of runs.
    pub fn metrics(&self) -> Metrics<'_> {
        Metrics::new(self)
    }

    /// Everything else that runs reported.
    pub fn events(&self) -> Events<'_> {
        Events::new(self)
    }

    /// The checkpoints of runs.
    pub fn checkpoints(&self) -> Checkpoints<'_> {
        Checkpoints::new(self)
    }

    /// The files that runs left behind.
    pub fn artifacts(&self) -> Artifacts<'_> {
        Artifacts::new(self)
    }

    /// The app's own settings.
    pub fn settings(&self) -> Settings<'_> {
        Settings::new(self)
    }

    /// Reads the whole file and lists what is wrong with it, empty when nothing is. Slow on a large registry.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub fn check(&self) -> Result<Vec<String>> {
        self.read("checking it", |conn| {
            let mut problems = strings(conn, "PRAGMA integrity_check")?;
            problems.retain(|line| line != "ok");
            let orphans = "SELECT format('row %s of `%s` refers to a missing row of `%s`', rowid, \"table\", parent)
                           FROM pragma_foreign_key_check";
            problems.extend(strings(conn, orphans)?);
            Ok(problems)
        })
    }

    /// Runs `f` on the reading connection.
    pub(crate) fn read<T>(
        &self,
        doing: &'static str,
        f: impl FnOnce(&Connection) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        f(&lock(&self.reader)).map_err(|fault| fault.explain(&self.path, doing))
    }

    /// Runs `f` in a transaction that holds the write lock from its start, and commits when `f` succeeds.
    pub(crate) fn write<T>(
        &self,
        doing: &'static str,
        f: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, Fault>,
    ) -> Result<T> {
        let mut conn = lock(&self.writer);
        transact(&mut conn, f).map_err(|fault| fault.explain(&self.path, doing))
    }
}

/// The present, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn transact<T>(
    conn: &mut Connection,
    f: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, Fault>,
) -> std::result::Result<T, Fault> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let value = f(&tx)?;
    tx.commit()?;
    Ok(value)
}

/// A panic while the lock was held rolled its transaction back on the way out, so the connection is sound.
fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_both(path: &Path) -> std::result::Result<(Connection, Connection), Fault> {
    let mut writer = connect(path)?;
    schema::version(&writer, path)?;
    enter_wal(&writer, path)?;
    schema::migrate(&mut writer, path)?;
    let reader = connect(path)?;
    reader.pragma_update(None, "query_only", true)?;
    Ok((writer, reader))
}

/// `synchronous = NORMAL`: a killed process loses nothing, since what it committed is in the system's hands; a power cut
/// may lose the last moments but never damages the file. A run resumes from its checkpoint folder, which is flushed, and
/// re-reports every step after it, so waiting for the disk at each batch of metrics (`FULL`) would buy nothing.
fn connect(path: &Path) -> std::result::Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.set_prepared_statement_cache_capacity(N_PREPARED);
    Ok(conn)
}

fn enter_wal(conn: &Connection, path: &Path) -> std::result::Result<(), Fault> {
    for attempt in 1.. {
        let switched = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match switched {
            Ok(mode) if mode == "wal" => break,
            Ok(mode) => return Err(RegistryError::NoWriteAheadLog { path: path.to_path_buf(), mode }.into()),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && attempt < WAL_ATTEMPTS => {
                std::thread::sleep(WAL_PAUSE);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn strings(conn: &Connection, sql: &str) -> std::result::Result<Vec<String>, Fault> {
    let mut statement = conn.prepare(sql)?;
    let lines = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(lines)
}

#[cfg(test)]
mod tests;
