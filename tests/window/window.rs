//! A window of its own for one test: a fresh data folder, the driver, the program. All of it ends with the test, also where
//! the test fails.

use std::{
    env,
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use lorikeet_registry::{Page, Registry, RunFilter};
use serde_json::json;
use tempfile::TempDir;
use thirtyfour::{Capabilities, prelude::*};
use tokio::{net::TcpStream, time::sleep};

use crate::pointer::clear_display;

/// How long something may take that a person would wait for without wondering.
pub const SOON: Duration = Duration::from_secs(40);
/// How long a model may take to train or to answer on a busy computer.
pub const LATER: Duration = Duration::from_secs(120);

/// A program and everything it started: one process group, ended with the value.
pub struct Group(Child);

impl Group {
    /// Starts `command` in a group of its own. Nothing it says is kept, so that what outlives it holds no pipe open.
    pub fn start(command: &mut Command) -> Self {
        let quiet = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(quiet.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", quiet.get_program())))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // An error says that the group has ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// The window's data folder and the folder of files a person might have.
pub struct Desk {
    folder: TempDir,
}

impl Desk {
    /// An empty one.
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir_all(folder.path().join("files")).unwrap();
        Self { folder }
    }

    /// `LORIKEET_HOME` of the window.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Where other programs keep what they fetched from a hub, as the window is told.
    pub fn hub_cache(&self) -> PathBuf {
        self.folder.path().join("hub-cache")
    }

    /// Writes a file into the folder of a person's files.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join("files").join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A copy of the first `n_rows` lines of a sample that comes with the program.
    pub fn sample(&self, name: &str, n_rows: usize) -> PathBuf {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/samples").join(name);
        let text = std::fs::read_to_string(&sample).unwrap_or_else(|e| panic!("{}: {e}", sample.display()));
        self.file(name, &text.lines().take(n_rows).map(|line| format!("{line}\n")).collect::<String>())
    }

    /// What the window has written down.
    pub fn registry(&self) -> Registry {
        Registry::open(&self.home().join("registry.sqlite")).unwrap()
    }

    /// Runs the command line on the same data folder; it has to succeed.
    pub fn lorikeet(&self, words: &[&str]) -> Output {
        let output =
            Command::new(built("LORIKEET_BIN")).args(words).env("LORIKEET_HOME", self.home()).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// A completed run of the starter model on `n_rows` rows of a sample, made through the command line. Returns its name.
    pub fn trained(&self, sample: &str, n_rows: usize, n_steps: u32) -> String {
        let data = self.sample(sample, n_rows);
        let steps = n_steps.to_string();
        let data = data.to_string_lossy();
        self.lorikeet(&["train", "--model", "starter", "--data", &data, "--steps", &steps, "--json"]);
        let runs = self.registry().runs().list(&RunFilter::default(), Page::first(10)).unwrap();
        runs.rows[0].id.clone()
    }
}

/// An open window.
pub struct Window {
    /// Speaks to the page.
    pub driver: WebDriver,
    /// Where the window keeps what it makes.
    pub desk: Desk,
    // After the driver: the session is said good-bye to before its processes end.
    _processes: Group,
}

impl Window {
    /// Opens the program on a fresh data folder.
    pub async fn open() -> Self {
        Self::open_on(Desk::new(), &[]).await
    }

    /// Opens the program on `desk`, with further `variables` around it.
    pub async fn open_on(desk: Desk, variables: &[(&str, &str)]) -> Self {
        clear_display().await;
        let (port, native_port) = (free_port(), free_port());
        let mut command = Command::new("tauri-driver");
        command.args(["--port", &port.to_string(), "--native-port", &native_port.to_string()]);
        command.env("HF_HUB_CACHE", desk.hub_cache());
        command.env("LORIKEET_HOME", desk.home()).env("GDK_BACKEND", "x11").envs(variables.iter().copied());
        for (name, folder) in [("XDG_DATA_HOME", "data"), ("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache")] {
            command.env(name, desk.folder.path().join(folder));
        }
        let processes = Group::start(&mut command);
        until("the driver listens", SOON, async || TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
        let mut wishes = Capabilities::default();
        wishes.set("browserName", "wry").unwrap();
        wishes.set("tauri:options", json!({ "application": built("LORIKEET_DESKTOP_BIN") })).unwrap();
        let driver = WebDriver::new(&format!("http://127.0.0.1:{port}"), wishes).await.unwrap();
        let window = Self { driver, desk, _processes: processes };
        window.take_keyboard().await;
        window
    }

    /// Closes the window.
    pub async fn close(self) {
        self.driver.quit().await.unwrap();
    }
}

/// A program that was built for the tests.
///
/// # Panics
/// Where the variable is not set.
fn built(variable: &str) -> PathBuf {
    let path = env::var_os(variable).unwrap_or_else(|| panic!("`{variable}` is not set; `cargo xtask test` sets it"));
    PathBuf::from(path)
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none after `limit`.
pub async fn until<T>(what: &str, limit: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        let is_late = Instant::now() > end;
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(!is_late, "after {} s still not so: {what}", limit.as_secs());
        sleep(Duration::from_millis(60)).await;
    }
}
