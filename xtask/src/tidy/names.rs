//! Names that say nothing: in file names, folder names, and names of types.

use super::Finding;
use super::rust_text::code_only;
use super::sources::Source;

/// Words that stand for "I did not know what to call it".
const EMPTY: [&str; 9] = ["manager", "service", "helper", "helpers", "util", "utils", "utility", "common", "misc"];
const TYPE_WORDS: [&str; 7] = ["struct", "enum", "trait", "type", "union", "interface", "class"];

/// Files and types with such a name.
#[must_use]
pub fn find(files: &[Source]) -> Vec<Finding> {
    let code = files.iter().filter(|file| file.is_code());
    code.flat_map(|file| path_findings(file).into_iter().chain(type_findings(file))).collect()
}

fn path_findings(file: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.path.ends_with("/mod.rs") {
        findings.push(Finding::new(&file.path, "a module's file is named after the module, not `mod.rs`"));
    }
    for part in file.path.split('/') {
        let stem = part.split('.').next().unwrap_or_default();
        if let Some(word) = empty_word(stem) {
            findings.push(Finding::new(&file.path, format!("a name that says nothing: `{word}`")));
        }
    }
    findings
}

fn type_findings(file: &Source) -> Vec<Finding> {
    let text = if file.is_rust() { code_only(&file.text) } else { file.text.clone() };
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> =
            line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let is_type = TYPE_WORDS.contains(&pair[0]) && pair[1].starts_with(char::is_uppercase);
            if let Some(word) = empty_word(pair[1]).filter(|_| is_type) {
                let place = format!("{}:{}", file.path, number + 1);
                findings.push(Finding::new(place, format!("`{}` says nothing with: `{word}`", pair[1])));
            }
        }
    }
    findings
}

/// The first empty word of `CamelCase`, `snake_case` or `kebab-case`.
fn empty_word(name: &str) -> Option<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if c.is_uppercase() || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.into_iter().find(|word| EMPTY.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::texts;
    use super::*;

    #[test]
    fn empty_names_are_found() {
        let files = [
            Source::new("crates/a/src/mod.rs", ""),
            Source::new("ui/src/common/list.ts", ""),
            Source::new("crates/a/src/file_helpers.rs", ""),
            Source::new(
                "crates/a/src/b.rs",
                "// struct InComment\npub struct RunManager;\nlet manager = 1; // struct XManager",
            ),
            Source::new("ui/src/c.ts", "export interface UserService {}"),
        ];
        assert_eq!(
            texts(&find(&files)),
            [
                "crates/a/src/mod.rs: a module's file is named after the module, not `mod.rs`",
                "ui/src/common/list.ts: a name that says nothing: `common`",
                "crates/a/src/file_helpers.rs: a name that says nothing: `helpers`",
                "crates/a/src/b.rs:2: `RunManager` says nothing with: `manager`",
                "ui/src/c.ts:1: `UserService` says nothing with: `service`",
            ]
        );
    }

    #[test]
    fn words_within_words_are_fine() {
        let files = [Source::new("crates/a/src/serving.rs", "struct Utilisation; struct Served; enum Commonest {}")];
        assert_eq!(find(&files), []);
    }
}
