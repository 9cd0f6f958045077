//! How long files and functions are.

use super::Finding;
use super::rust_text::{code_only, code_without_tests, functions};
use super::sources::Source;

/// Above this a file is worth a look.
const TYPICAL_FILE: usize = 300;
/// Above this a file gives its reason in its header, in a line with [`REASON`].
const LONGEST_FILE: usize = 600;
/// Lines of a function at most.
const LONGEST_FUNCTION: usize = 60;
/// How the reason begins.
const REASON: &str = "Long because";

/// Files and functions that are too long.
#[must_use]
pub fn find(files: &[Source]) -> Vec<Finding> {
    let written = files.iter().filter(|file| file.is_code() && !file.text.starts_with("// Generated"));
    written.flat_map(|file| file_findings(file).into_iter().chain(function_findings(file))).collect()
}

fn file_findings(file: &Source) -> Option<Finding> {
    let n_lines = file.text.lines().count();
    let header = file.text.lines().take_while(|line| !line.trim().is_empty()).collect::<String>();
    let mend = format!("{n_lines} lines: split it, or give the reason in its header (`{REASON} …`)");
    match n_lines {
        n if n > LONGEST_FILE && !header.contains(REASON) => Some(Finding::new(&file.path, mend)),
        n if n > TYPICAL_FILE && n <= LONGEST_FILE => Some(Finding::warning(&file.path, format!("{n} lines"))),
        _ => None,
    }
}

/// A long function is against the rules where it ships, and worth a look where it is a test's table of cases.
fn function_findings(file: &Source) -> Vec<Finding> {
    if !file.is_rust() {
        return Vec::new();
    }
    let shipped = if file.lies_among_tests() { String::new() } else { code_without_tests(&file.text) };
    let ships = |name: &str| functions(&shipped).iter().any(|function| function.name == name);
    let long = functions(&code_only(&file.text)).into_iter().filter(|function| function.lines.len() > LONGEST_FUNCTION);
    long.map(|function| {
        let place = format!("{}:{}", file.path, function.lines.start);
        let text = format!("`{}` has {} lines, at most {LONGEST_FUNCTION}", function.name, function.lines.len());
        Finding { warns: !ships(&function.name), ..Finding::new(place, text) }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::texts;
    use super::*;

    fn file(header: &str, n_lines: usize) -> Source {
        Source::new("a.rs", &format!("{header}\n\n{}", "// line\n".repeat(n_lines - 2)))
    }

    #[test]
    fn a_long_file_gives_its_reason() {
        assert!(find(&[file("//! A.", 300)]).is_empty());
        assert!(find(&[file("//! A.", 301)])[0].warns);
        let findings = find(&[file("//! A.", 601)]);
        assert!(!findings[0].warns && findings[0].text.contains("give the reason"));
        assert!(find(&[file("//! A. Long because it is one table.", 601)]).is_empty());
    }

    #[test]
    fn a_long_function_is_found() {
        let text = |n: usize| format!("//! A.\nfn f() {{\n{}}}\n", "    g();\n".repeat(n));
        assert!(find(&[Source::new("a.rs", &text(58))]).is_empty());
        let findings = find(&[Source::new("a.rs", &text(59))]);
        assert_eq!(texts(&findings), ["a.rs:2: `f` has 61 lines, at most 60"]);
        assert!(!findings[0].warns);
        assert!(find(&[Source::new("tests/a.rs", &text(59))])[0].warns);
    }
}
