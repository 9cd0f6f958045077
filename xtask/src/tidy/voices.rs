//! The engine has no voice: outside tests nothing prints with a macro (the doors write to a stream they hold), nothing is
//! unwrapped, and nobody silences the lints that say so.

use super::Finding;
use super::rust_text::{code_without_tests, test_modules};
use super::sources::Source;

const WORDS: [&str; 9] =
    ["println!", "eprintln!", "print!", "eprint!", "dbg!", ".unwrap()", ".expect(", "todo!", "unimplemented!"];
const LINTS: [&str; 8] = [
    "print_stdout",
    "print_stderr",
    "dbg_macro",
    "unwrap_used",
    "expect_used",
    "clippy::panic",
    "clippy::todo",
    "clippy::all",
];

/// Places in code that ships.
#[must_use]
pub fn find(files: &[Source]) -> Vec<Finding> {
    let only_for_tests = files_of_test_modules(files);
    // A build script speaks to Cargo by printing.
    let ships = |file: &&Source| file.is_rust() && !file.lies_among_tests() && !file.path.ends_with("build.rs");
    let shipped = files.iter().filter(ships).filter(|file| !only_for_tests.contains(&file.path));
    shipped.flat_map(in_file).collect()
}

fn in_file(file: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in code_without_tests(&file.text).lines().enumerate() {
        let place = || format!("{}:{}", file.path, number + 1);
        for word in WORDS.iter().filter(|word| contains_word(line, word)) {
            findings.push(Finding::new(place(), format!("outside tests there is no: `{word}`")));
        }
        let silences = line.contains("allow(") || line.contains("#[expect(") || line.contains("#![expect(");
        for lint in LINTS.iter().filter(|lint| silences && line.contains(*lint)) {
            findings.push(Finding::new(place(), format!("silences a lint of the house: `{lint}`")));
        }
    }
    findings
}

/// Whether it is there and not the end of a longer word (`eprint!` holds `print!`).
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        word.starts_with('.') || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Files that are only compiled for tests because their parent says so.
fn files_of_test_modules(files: &[Source]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.is_rust());
    rust.flat_map(|file| {
        let stem = file.path.strip_suffix(".rs").unwrap_or_default();
        let folder = stem.rsplit_once('/').map_or("", |(folder, _)| folder);
        let modules = test_modules(&file.text);
        modules.into_iter().flat_map(move |name| [format!("{folder}/{name}.rs"), format!("{stem}/{name}.rs")])
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::texts;
    use super::*;

    #[test]
    fn a_voice_below_the_doors_is_found() {
        let text = "#![allow(clippy::print_stdout)]\nfn f() { println!(\"x\"); a.unwrap(); }\n\
                    #[cfg(test)]\nmod tests { fn g() { b.unwrap(); } }\n";
        assert_eq!(
            texts(&find(&[Source::new("crates/a/src/lib.rs", text)])),
            [
                "crates/a/src/lib.rs:1: silences a lint of the house: `print_stdout`",
                "crates/a/src/lib.rs:2: outside tests there is no: `println!`",
                "crates/a/src/lib.rs:2: outside tests there is no: `.unwrap()`",
            ]
        );
    }

    #[test]
    fn tests_may_speak() {
        let files = [
            Source::new("crates/a/src/lib.rs", "#[cfg(test)]\nmod reference;\n"),
            Source::new("crates/a/src/reference.rs", "fn f() { a.unwrap(); }"),
            Source::new("crates/a/tests/b.rs", "fn f() { println!(\"x\"); }"),
            Source::new(
                "crates/a/src/c.rs",
                "// println!\nconst A: &str = \"println!\"; fn blueprint() { my_print!() }",
            ),
        ];
        assert_eq!(find(&files), []);
    }
}
