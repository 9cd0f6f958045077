//! The one place that writes to standard output and standard error. Knows text and JSON; knows no command.
//!
//! Standard output carries what was asked for (tables, answers, JSON); standard error carries what a person should know
//! beside it (errors, hints, progress). Whoever closes our output early (`| head`) ends the output, not the work.

use std::io::{self, ErrorKind, IsTerminal, Write};

use serde::Serialize;

use crate::failure::Failure;

/// Writes results, as text or as JSON.
pub struct Printer {
    json: bool,
    /// Whether the reader has gone; nothing more is written then.
    closed: bool,
}

impl Printer {
    /// A printer for one command.
    pub fn new(json: bool) -> Self {
        Self { json, closed: false }
    }

    /// Whether JSON was asked for.
    pub fn wants_json(&self) -> bool {
        self.json
    }

    /// One line of text.
    pub fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        self.write(&[text.as_ref(), "\n"])
    }

    /// A piece of text as it comes, without a line end.
    pub fn piece(&mut self, text: &str) -> Result<(), Failure> {
        self.write(&[text])
    }

    /// A JSON document over several lines.
    pub fn document(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(Failure::unwritable)?;
        self.line(text)
    }

    /// A JSON document on one line, for streams.
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(Failure::unwritable)?;
        self.line(text)
    }

    /// The answer: as JSON when asked for, otherwise as `text` says.
    pub fn answer<T: Serialize>(&mut self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if self.json { self.document(value) } else { self.piece(&ended(text(value))) }
    }

    fn write(&mut self, parts: &[&str]) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let written = parts.iter().try_for_each(|part| out.write_all(part.as_bytes())).and_then(|()| out.flush());
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(())
            }
            written => written.map_err(Failure::Output),
        }
    }
}

/// The text with a line end.
fn ended(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// A line for a person on standard error. It is lost when standard error is closed: there is nowhere left to say so.
pub fn note(text: impl AsRef<str>) {
    let written = writeln!(io::stderr().lock(), "{}", text.as_ref());
    drop(written);
}

/// Whether a person watches standard error, so that bars may be drawn there.
pub fn can_draw() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Whether a person reads standard output as it comes.
pub fn is_read_live() -> bool {
    io::stdout().is_terminal()
}
