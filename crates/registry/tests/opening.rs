//! Opening where it cannot work: every refusal says what and where, and leaves the file as it was.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise; a child process answers by printing"
)]

#[path = "support/rows.rs"]
mod rows;

use std::path::Path;

use lorikeet_registry::{Registry, RegistryError};
use rusqlite::Connection;

/// The message with the changing folder replaced, so that it can be compared.
fn message(error: &RegistryError, folder: &Path) -> String {
    error.to_string().replace(&folder.display().to_string(), "FOLDER")
}

#[test]
fn missing_folders_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data/lorikeet/registry.sqlite");
    let registry = Registry::open(&path).unwrap();
    assert_eq!(registry.path(), path);
    assert_eq!(registry.check().unwrap(), Vec::<String>::new());
    assert!(path.is_file());
}

#[test]
fn what_was_written_is_there_after_opening_again() {
    let (folder, registry) = rows::empty();
    let id = rows::running(&registry).id;
    let path = registry.path().to_path_buf();
    drop(registry);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["registry.sqlite"], "the last one out tidies up the log");
    assert_eq!(Registry::open(&path).unwrap().runs().get(&id).unwrap().id, id);
}

#[test]
fn a_file_in_place_of_the_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), "a file").unwrap();
    let error = Registry::open(&folder.path().join("data/registry.sqlite")).unwrap_err();
    assert!(matches!(error, RegistryError::CreateFolder { .. }));
    assert!(
        message(&error, folder.path()).starts_with("cannot create the data folder `FOLDER/data`; choose"),
        "{error}"
    );
}

#[test]
fn a_folder_in_place_of_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    std::fs::create_dir(&path).unwrap();
    let error = Registry::open(&path).unwrap_err();
    assert!(matches!(error, RegistryError::NotWritable { .. }), "{error}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    let text = "not a database, but long enough to have a header of a hundred bytes. ".repeat(20);
    std::fs::write(&path, &text).unwrap();
    let error = Registry::open(&path).unwrap_err();
    insta::assert_snapshot!(message(&error, folder.path()));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_damaged_registry_is_refused_or_found_out() {
    let (_folder, registry) = rows::empty();
    let path = registry.path().to_path_buf();
    rows::running(&registry);
    drop(registry);
    let whole = std::fs::read(&path).unwrap();
    // The root page behind its header: the schema itself is unreadable.
    let mut root = whole.clone();
    root[100..2000].fill(0xA5);
    std::fs::write(&path, &root).unwrap();
    let error = Registry::open(&path).unwrap_err();
    assert!(matches!(error, RegistryError::Damaged { .. }), "{error}");
    // Cut in half: the schema is readable, tables are not.
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = Registry::open(&path).and_then(|registry| registry.runs().get("run-1").map(|_| ())).unwrap_err();
    assert!(matches!(error, RegistryError::Damaged { .. }), "{error}");
    // A page in the middle: the registry opens, `check` finds it.
    let mut middle = whole.clone();
    let page = whole.len() / 4096 / 2 * 4096;
    middle[page..page + 4096].fill(0xA5);
    std::fs::write(&path, &middle).unwrap();
    let found = Registry::open(&path).and_then(|registry| registry.check());
    assert!(found.as_ref().map_or(true, |problems| !problems.is_empty()), "{found:?}");
}

#[test]
fn another_programs_database_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.sqlite");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE notes (text TEXT); PRAGMA user_version = 3").unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Registry::open(&path).unwrap_err();
    insta::assert_snapshot!(message(&error, folder.path()));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_schema_is_left_alone() {
    let (folder, registry) = rows::empty();
    let path = registry.path().to_path_buf();
    drop(registry);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Registry::open(&path).unwrap_err();
    assert!(matches!(error, RegistryError::TooNew { found: 9, .. }));
    insta::assert_snapshot!(message(&error, folder.path()));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn an_unknown_word_in_a_row_is_named() {
    let (folder, registry) = rows::empty();
    rows::running(&registry);
    let conn = Connection::open(registry.path()).unwrap();
    conn.execute_batch("PRAGMA ignore_check_constraints = ON; UPDATE runs SET status = 'resting'").unwrap();
    let error = registry.runs().get("run-1").unwrap_err();
    insta::assert_snapshot!(message(&error, folder.path()));
}

/// Root may write anywhere, so this test runs itself again as a user that may not.
#[cfg(unix)]
mod without_permission {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;

    /// Set in the process that tries to open.
    const FOLDER: &str = "LORIKEET_TEST_READ_ONLY";
    const NOBODY: u32 = 65_534;

    fn mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Tries every place and prints what each answers.
    fn open_all(folder: &Path) {
        for place in ["empty/registry.sqlite", "empty/deeper/registry.sqlite", "full/registry.sqlite"] {
            match Registry::open(&folder.join(place)) {
                Ok(_) => println!("OPENED {place}"),
                Err(error) => println!("REFUSED {}", message(&error, folder)),
            }
        }
    }

    /// This test's binary where anybody may run it.
    fn runnable_copy(folder: &Path) -> PathBuf {
        let copy = folder.join("test-binary");
        std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        mode(&copy, 0o755);
        copy
    }

    #[test]
    fn a_read_only_folder_is_named() {
        if let Some(folder) = std::env::var_os(FOLDER) {
            return open_all(Path::new(&folder));
        }
        let folder = tempfile::tempdir().unwrap();
        let full = folder.path().join("full/registry.sqlite");
        drop(Registry::open(&full).unwrap());
        std::fs::create_dir(folder.path().join("empty")).unwrap();
        let binary = runnable_copy(folder.path());
        mode(&full, 0o444);
        for path in ["full", "empty", "."] {
            mode(&folder.path().join(path), 0o555);
        }
        let mut again = Command::new(binary);
        again.args(["--exact", "without_permission::a_read_only_folder_is_named", "--nocapture"]);
        again.env(FOLDER, folder.path()).current_dir("/");
        let probe = folder.path().join("probe");
        if std::fs::write(&probe, "").is_ok() {
            std::fs::remove_file(&probe).unwrap();
            again.uid(NOBODY).gid(NOBODY);
        }
        let output = again.output().unwrap();
        for path in [".", "full", "empty"] {
            mode(&folder.path().join(path), 0o755);
        }
        let printed = String::from_utf8(output.stdout).unwrap();
        let answers: Vec<&str> = printed
            .lines()
            .filter_map(|line| line.find("REFUSED").or(line.find("OPENED")).map(|at| &line[at..]))
            .collect();
        insta::assert_snapshot!(answers.join("\n"));
    }
}
