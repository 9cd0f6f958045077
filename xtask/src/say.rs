//! What these commands say on the terminal, and its colours. Without a terminal, or with `NO_COLOR`, there are none.

use std::env;
use std::io::{self, IsTerminal, Write};

/// Prints a line.
///
/// # Errors
/// A standard output that is closed.
pub fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// What stands out.
#[must_use]
pub fn bold(text: &str) -> String {
    coloured(text, "1")
}

/// What may be read over.
#[must_use]
pub fn faint(text: &str) -> String {
    coloured(text, "2")
}

/// What is well.
#[must_use]
pub fn green(text: &str) -> String {
    coloured(text, "32")
}

/// What is not.
#[must_use]
pub fn red(text: &str) -> String {
    coloured(text, "31")
}

/// What is worth a look.
#[must_use]
pub fn amber(text: &str) -> String {
    coloured(text, "33")
}

/// Whether there is someone who sees colours.
#[must_use]
pub fn has_colours() -> bool {
    io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn coloured(text: &str, code: &str) -> String {
    if has_colours() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}
