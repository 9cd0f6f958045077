//! The pointer and keyboard of the display, for what happens outside the page: a file dragged from another program, the
//! system's file chooser.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::{
    page::id,
    window::{SOON, Window},
};

/// Runs xdotool; its answer, or `None` where it failed.
pub fn xdotool(words: &[&str]) -> Option<String> {
    let output = Command::new("xdotool").args(words).output().expect("xdotool can be started");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The topmost visible window whose title begins with `title`.
pub fn window_titled(title: &str) -> Option<String> {
    let found = xdotool(&["search", "--onlyvisible", "--name", &format!("^{title}")])?;
    found.lines().last().map(str::to_owned)
}

/// A window of another program from which a file can be dragged; it ends with the value.
struct DragSource {
    process: Child,
    at: (i32, i32),
}

impl DragSource {
    /// Shows the window in the upper right corner of the display, above everything.
    fn show(file: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("window/drag_source.py");
        let (x, y) = (1520, 20);
        // The system's own, which has the binding; another one may come first in the path.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(file).args([x.to_string(), y.to_string()]);
        let quiet = command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = quiet.spawn().expect("python3 can be started");
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "the drag source did not open; it needs GTK 3 for Python");
        Self { process, at: (x + 35, y + 35) }
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
    /// Drags `file` from another program onto the middle of the window and lets it go there, until the page takes it: a
    /// display without a window manager now and then loses a drag.
    pub async fn drop_file(&self, file: &Path) {
        let taken =
            ["reading", "ready", "refused"].map(|state| format!("{}[data-state=\"{state}\"]", id("drop-target")));
        for _ in 0..3 {
            self.drag_and_let_go(file).await;
            let end = Instant::now() + Duration::from_secs(8);
            while Instant::now() < end {
                if self.has(&taken.join(", ")).await {
                    return;
                }
                sleep(Duration::from_millis(60)).await;
            }
        }
        panic!("no dropped file arrives; the page shows:\n{}", self.shown().await);
    }

    async fn drag_and_let_go(&self, file: &Path) {
        let source = DragSource::show(file);
        let (x, y) = self.middle_on_screen();
        move_to(source.at.0, source.at.1);
        xdotool(&["mousedown", "1"]).unwrap();
        // A drag begins, and is noticed by what lies below, only while the pointer moves.
        let mut n_moves = 0;
        let over = format!("{}[data-state=\"over\"]", id("drop-target"));
        self.wait("a file over the page", SOON, async || {
            n_moves += 1;
            let share = n_moves.min(12);
            let between = |from: i32, to: i32| from + (to - from) * share / 12 + n_moves % 3;
            move_to(between(source.at.0, x), between(source.at.1, y));
            (n_moves > 12 && self.has(&over).await).then_some(())
        })
        .await;
        xdotool(&["sleep", "0.3", "mouseup", "1"]).unwrap();
    }

    fn middle_on_screen(&self) -> (i32, i32) {
        let window = window_titled("Lorikeet").expect("the window has its title");
        let shape = xdotool(&["getwindowgeometry", "--shell", &window]).unwrap();
        let number = |name: &str| -> i32 {
            let line = shape.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.parse().unwrap()
        };
        (number("X=") + number("WIDTH=") / 2, number("Y=") + number("HEIGHT=") / 2)
    }

    /// Writes `path` into the system's file chooser with this title, which loses keys until it has the focus.
    pub async fn choose_in_system_dialog(&self, title: &str, path: &Path, chosen: &str) {
        let path = path.to_string_lossy();
        for _ in 0..6 {
            let Some(dialog) = window_titled(title) else {
                sleep(Duration::from_millis(200)).await;
                continue;
            };
            xdotool(&["windowfocus", "--sync", &dialog]);
            xdotool(&["key", "--window", &dialog, "ctrl+l", "sleep", "0.3"]);
            xdotool(&["key", "ctrl+a", "sleep", "0.1", "type", "--delay", "25", &path]);
            xdotool(&["sleep", "0.6", "key", "Return"]);
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                if self.has(chosen).await {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
            }
        }
        panic!("the file chooser did not take the path; the page shows:\n{}", self.shown().await);
    }
}
