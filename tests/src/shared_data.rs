//! Where the test material lies that is not part of the repository: `$LORIKEET_SHARED`, else `shared` beside the
//! repository. A developer without it sees which tests were skipped; a continuous build must have it.

use std::path::{Path, PathBuf};

/// The material at `inside` (such as `parity/fixtures`), or `None`, said aloud, where there is none.
///
/// # Panics
/// Where it is missing although `CI` is set: a build that skips its reference values has tested nothing.
pub fn find(inside: &str) -> Option<PathBuf> {
    let path = root().join(inside);
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "`{}` is missing; set `LORIKEET_SHARED`", path.display());
    println!("skipped: `{}` is missing; set `LORIKEET_SHARED` to the folder with the test material", path.display());
    None
}

fn root() -> PathBuf {
    match std::env::var_os("LORIKEET_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    }
}
