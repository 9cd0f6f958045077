//! The pointer and keyboard of the display, for what happens outside the page: which window has the keyboard, a file dragged
//! from another program, the system's file chooser.
//!
//! A desktop's window manager gives the keyboard to a window that opens, and back to it when its dialog closes. A bare display
//! leaves that to chance (to where the pointer happens to lie), so the tests do here what a window manager would.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    page::id,
    window::{SOON, Window, until},
};

/// The title of the program's window.
const TITLE: &str = "Lorikeet";

/// A corner of the display that no window reaches.
const NOWHERE: (i32, i32) = (1599, 999);

/// Runs xdotool; its answer, or `None` where it failed.
pub fn xdotool(words: &[&str]) -> Option<String> {
    let output = Command::new("xdotool").args(words).output().expect("xdotool can be started");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The topmost visible window with this title. The search does not look at capitals, and GTK's own little windows (those of
/// tooltips and drags) bear the program's name: the whole title has to match.
pub fn window_titled(title: &str) -> Option<String> {
    let found = xdotool(&["search", "--onlyvisible", "--name", &format!("^{title}$")])?;
    found.lines().last().map(str::to_owned)
}

/// Waits until the window of the test before is gone, and puts the pointer where it touches nothing.
pub async fn clear_display() {
    until("no window of another test", SOON, async || window_titled(TITLE).is_none().then_some(())).await;
    move_to(NOWHERE.0, NOWHERE.1);
}

/// A window of another program from which a file can be dragged; it ends with the value.
struct DragSource {
    process: Child,
    at: (i32, i32),
    said: Arc<Mutex<Vec<String>>>,
}

impl DragSource {
    /// Shows the window in the upper right corner of the display, above everything.
    async fn show(file: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("window/drag_source.py");
        let (x, y) = (1520, 20);
        // The system's own, which has the binding; another one may come first in the path.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(file).args([x.to_string(), y.to_string()]);
        let quiet = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = quiet.spawn().expect("python3 can be started");
        let (said, lines) = (Arc::new(Mutex::new(Vec::new())), BufReader::new(process.stdout.take().unwrap()).lines());
        let heard = Arc::clone(&said);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line)));
        let source = Self { process, at: (x + 35, y + 35), said };
        let ready = async || source.last().is_some().then_some(());
        until("the drag source; it needs GTK 3 for Python", SOON, ready).await;
        source
    }

    /// What it said last.
    fn last(&self) -> Option<String> {
        self.said.lock().unwrap().last().cloned()
    }
}

impl Drop for DragSource {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn move_to(x: i32, y: i32) {
    // A move that the display did not take is followed by others; what depends on it is waited for.
    let _ = xdotool(&["mousemove", &x.to_string(), &y.to_string()]);
}

impl Window {
    /// Gives the keyboard to the window and waits until the page knows.
    pub async fn take_keyboard(&self) {
        let has_it = async || {
            if self.script("return document.hasFocus()").await == true {
                return Some(());
            }
            let window = window_titled(TITLE)?;
            xdotool(&["windowfocus", &window]);
            None
        };
        self.wait("the keyboard", SOON, has_it).await;
    }

    /// Drags `file` from another program onto the middle of the window and lets it go there once it is welcome.
    pub async fn drop_file(&self, file: &Path) {
        let source = DragSource::show(file).await;
        let (x, y) = self.middle_on_screen();
        move_to(source.at.0, source.at.1);
        xdotool(&["mousedown", "1"]).unwrap();
        // A drag begins, and is noticed by what lies below, only while the pointer moves.
        let mut n_moves = 0;
        let over = format!("{}[data-state=\"over\"]", id("drop-target"));
        self.wait("a file over the page that it would take", SOON, async || {
            n_moves += 1;
            let share = n_moves.min(12);
            let between = |from: i32, to: i32| from + (to - from) * share / 12 + n_moves % 3;
            move_to(between(source.at.0, x), between(source.at.1, y));
            let is_welcome = source.last().as_deref() == Some("welcome");
            (n_moves > 12 && is_welcome && self.has(&over).await).then_some(())
        })
        .await;
        xdotool(&["mouseup", "1"]).unwrap();
        let taken =
            ["reading", "ready", "refused"].map(|state| format!("{}[data-state=\"{state}\"]", id("drop-target")));
        self.wait("the dropped file on the page", SOON, async || {
            assert_ne!(source.last().as_deref(), Some("lost"), "the drag said {:?}", source.said.lock().unwrap());
            self.has(&taken.join(", ")).await.then_some(())
        })
        .await;
        move_to(NOWHERE.0, NOWHERE.1);
        self.take_keyboard().await;
    }

    fn middle_on_screen(&self) -> (i32, i32) {
        let window = window_titled(TITLE).expect("the window has its title");
        let shape = xdotool(&["getwindowgeometry", "--shell", &window]).unwrap();
        let number = |name: &str| -> i32 {
            let line = shape.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.parse().unwrap()
        };
        (number("X=") + number("WIDTH=") / 2, number("Y=") + number("HEIGHT=") / 2)
    }

    /// Writes `path` into the system's file chooser with this title, until the page shows what `chosen` selects. The chooser
    /// passes over keys while it still reads its folder.
    pub async fn choose_in_system_dialog(&self, title: &str, path: &Path, chosen: &str) {
        let path = path.to_string_lossy();
        let dialog = self.wait("the file chooser", SOON, async || window_titled(title)).await;
        for _ in 0..6 {
            let has_it = async || {
                let is_focused = xdotool(&["getwindowfocus"]).as_ref() == Some(&dialog);
                is_focused.then_some(()).or_else(|| xdotool(&["windowfocus", &dialog]).and(None))
            };
            self.wait("the keyboard for the file chooser", SOON, has_it).await;
            xdotool(&[
                "key", "ctrl+l", "sleep", "0.3", "key", "ctrl+a", "sleep", "0.1", "type", "--delay", "25", &path,
            ]);
            xdotool(&["sleep", "0.6", "key", "Return"]);
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                if self.has(chosen).await {
                    return self.after_dialog(title).await;
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
        panic!("the file chooser did not take the path; the page shows:\n{}", self.shown().await);
    }

    /// Waits until the dialog is gone, and takes the keyboard back.
    async fn after_dialog(&self, title: &str) {
        self.wait("the dialog closes", SOON, async || window_titled(title).is_none().then_some(())).await;
        self.take_keyboard().await;
    }
}
