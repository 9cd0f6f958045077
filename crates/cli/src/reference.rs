//! `docs/cli.md`: every sub-command with its help, made from the same words that the program parses. The committed file is
//! held against them; `cargo xtask docs` writes it.

use std::{env, fs, path::PathBuf};

use clap::{Command, CommandFactory};

use crate::args::Cli;

/// Columns of a help text in the file.
const N_COLUMNS: usize = 100;

fn reference() -> String {
    let mut command = Cli::command().term_width(N_COLUMNS).version("");
    command.build();
    let mut text =
        "# The `lorikeet` command line\n\nMade from the program's own words; see `crates/cli/src/reference.rs`.\n"
            .to_owned();
    describe(&mut command, "lorikeet", &mut text);
    text
}

fn describe(command: &mut Command, name: &str, text: &mut String) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    *text += &format!("\n## `{name}`\n\n```text\n{}\n```\n", lines.join("\n").trim());
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help") {
        let name = format!("{name} {}", inner.get_name());
        describe(inner, &name, text);
    }
}

#[test]
fn the_committed_reference_is_current() {
    is_current("cli.md", reference());
}

#[test]
fn the_committed_compatibility_reference_is_current() {
    is_current("compatibility.md", lorikeet_api::compatibility());
}

fn is_current(name: &str, made: String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    if env::var("LORIKEET_REFERENCE").is_ok_and(|value| value == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(committed == made, "docs/{name} is not current: run `cargo xtask docs`");
}
