//! Paths as people type them, and the places inside the data folder.

use std::path::{Component, Path, PathBuf};

use directories::{BaseDirs, ProjectDirs};

use crate::failure::{invalid, io};
use crate::wire::ApiError;

/// Names the variable that says where everything is kept.
pub(crate) const HOME_VARIABLE: &str = "LORIKEET_HOME";

/// The data folder: the one given, else the one the environment names, else the platform's.
pub(crate) fn data_folder(given: Option<PathBuf>) -> Result<PathBuf, ApiError> {
    let named = || std::env::var_os(HOME_VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
    let platform = || ProjectDirs::from("", "", "lorikeet").map(|dirs| dirs.data_dir().to_owned());
    let folder = given.or_else(named).or_else(platform).ok_or_else(|| {
        invalid("this system tells no folder for data").with_hint(format!("set `{HOME_VARIABLE}` to a folder"))
    })?;
    std::path::absolute(&folder).map_err(io("find", &folder))
}

/// A path as typed, absolute: `~` is the home folder.
pub(crate) fn expand(typed: &str) -> Result<PathBuf, ApiError> {
    let path = Path::new(typed);
    let mut parts = path.components();
    let expanded = match (parts.next(), BaseDirs::new()) {
        (Some(Component::Normal(first)), Some(dirs)) if first == "~" => dirs.home_dir().join(parts.as_path()),
        _ => path.to_owned(),
    };
    std::path::absolute(&expanded).map_err(io("find", &expanded))
}

/// Whether a word is meant as a path rather than as a name.
pub(crate) fn is_path_like(given: &str) -> bool {
    given.contains(['/', '\\']) || given.starts_with(['.', '~'])
}

/// The last part of a path, for names.
pub(crate) fn last_part(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Whether something at `path` may be a model: a folder, or a GGUF file.
pub(crate) fn is_model(path: &Path) -> bool {
    path.is_dir() || path.is_file() && is_gguf(path)
}

/// Whether a path is called as GGUF files are.
pub(crate) fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf"))
}

/// The name of the model at `path`: the folder's, or the file's without its ending.
pub(crate) fn model_name(path: &Path) -> String {
    if is_gguf(path) { path.file_stem().unwrap_or_default().to_string_lossy().into_owned() } else { last_part(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_folder_is_a_tilde() {
        let home = BaseDirs::new().unwrap().home_dir().to_owned();
        assert_eq!(expand("~/a/b").unwrap(), home.join("a/b"));
        assert_eq!(expand("~").unwrap(), home);
        assert!(expand("a").unwrap().is_absolute());
    }

    #[test]
    fn names_and_paths_are_told_apart() {
        assert!(is_path_like("./a") && is_path_like("a/b") && is_path_like("~") && is_path_like(".."));
        assert!(!is_path_like("starter") && !is_path_like("smollm2-135m"));
    }
}
