//! The `lorikeet` binary driven from outside: words in, exit code and both outputs back, with a data folder of its own that
//! goes away with the test.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

/// Names the binary, where it is not beside the test's own executable.
const VARIABLE: &str = "LORIKEET_BIN";

/// The binary: the one `LORIKEET_BIN` names, else the one beside the test's own executable.
///
/// # Panics
/// Where it was not built.
pub fn binary() -> PathBuf {
    let beside = || {
        let test = env::current_exe().expect("a test knows its executable");
        let profile = test.parent().and_then(Path::parent).expect("a test lies in `target/<profile>/deps`");
        profile.join(format!("lorikeet{}", env::consts::EXE_SUFFIX))
    };
    let binary = env::var_os(VARIABLE).map_or_else(beside, PathBuf::from);
    assert!(binary.is_file(), "`{}` is missing: run `cargo build -p lorikeet-cli` first", binary.display());
    binary
}

/// A terminal with an empty data folder.
pub struct Terminal {
    folder: TempDir,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub error: String,
}

impl Default for Terminal {
    fn default() -> Self {
        Self::new()
    }
}

impl Terminal {
    /// A fresh one.
    ///
    /// # Panics
    /// Where no temporary folder can be made.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    /// A place for the test's own files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The data folder; made by the first command.
    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// A command that is not started yet.
    pub fn command<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Command {
        let mut command = Command::new(binary());
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("LORIKEET_HOME", self.home()).env("COLUMNS", "100").env("NO_COLOR", "1");
        // Whatever other programs fetched on this computer is none of a test's business.
        command.env("HF_HUB_CACHE", self.path("hub-cache")).env_remove("LORIKEET_LOG");
        command
    }

    /// Runs the words, separated by blanks, to their end.
    pub fn run(&self, words: &str) -> Ended {
        self.run_words(words.split_whitespace())
    }

    /// Runs the words to their end.
    ///
    /// # Panics
    /// Where the binary cannot be started.
    pub fn run_words<W: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = W>) -> Ended {
        Ended::from(self.command(words).output().expect("the binary can be started"))
    }

    /// What lies in the data folder or anywhere below it and is a file, relative, sorted; without the registry.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.home(), &self.home(), &mut found);
        found.retain(|file| !file.starts_with("registry.sqlite"));
        found.sort();
        found
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
    let Ok(entries) = folder.read_dir() else { return };
    for path in entries.map(|entry| entry.expect("a folder can be read").path()) {
        if path.is_dir() {
            collect(root, &path, found);
        } else {
            let inside = path.strip_prefix(root).expect("a file lies below the root");
            found.push(inside.to_string_lossy().into_owned());
        }
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the output is UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), error: text(output.stderr) }
    }
}

impl Ended {
    /// The same, where it ended with 0.
    ///
    /// # Panics
    /// Where it did not.
    #[must_use]
    pub fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "standard error: {}\nstandard output: {}", self.error, self.out);
        self
    }

    /// The same, where it ended with this code.
    ///
    /// # Panics
    /// Where it did not.
    #[must_use]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "standard error: {}\nstandard output: {}", self.error, self.out);
        self
    }

    /// The one JSON document on standard output.
    ///
    /// # Panics
    /// Where there is none, or more.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("no JSON document ({e}): {}\n{}", self.out, self.error))
    }

    /// The JSON documents on standard output, one a line.
    ///
    /// # Panics
    /// Where a line is none.
    pub fn json_lines(&self) -> Vec<Value> {
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"));
        self.out.lines().map(read).collect()
    }

    /// The last JSON document on standard output, whether one a line or one over several lines.
    ///
    /// # Panics
    /// Where there is none.
    pub fn last_json(&self) -> Value {
        let documents = serde_json::Deserializer::from_str(&self.out).into_iter::<Value>();
        let read = documents.map(|document| document.unwrap_or_else(|e| panic!("no JSON ({e}): {}", self.out)));
        read.last().unwrap_or_else(|| panic!("nothing on standard output: {}", self.error))
    }
}
