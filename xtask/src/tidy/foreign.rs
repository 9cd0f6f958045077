//! What no file of the repository names: hosts that packages come from, folders of one machine, tools of one workplace.

use super::Finding;
use super::sources::Source;

/// Written in two parts, so that this file does not name them either.
const FOREIGN: [(&str, &str, &str); 14] = [
    ("crates", ".io", "a package host"),
    ("docs", ".rs/", "a package host"),
    ("npm", "js.", "a package host"),
    ("pypi", ".org", "a package host"),
    ("python", "hosted.org", "a package host"),
    ("deb.", "debian.org", "a package host"),
    ("rust", "up.rs", "a package host"),
    ("pk", "g.go.dev", "a package host"),
    ("/wo", "rk/", "a folder of one machine"),
    ("/ro", "ot/", "a folder of one machine"),
    ("/home", "/runner", "a folder of one machine"),
    ("/tmp/", "team", "a folder of one machine"),
    ("clau", "de code", "a tool of one workplace"),
    ("anth", "ropic", "a tool of one workplace"),
];
/// Written by tools, never by hand.
const LOCK_FILES: [&str; 2] = ["Cargo.lock", "package-lock.json"];

/// Lines that name one.
#[must_use]
pub fn find(files: &[Source]) -> Vec<Finding> {
    let marks: Vec<(String, &str)> = FOREIGN.iter().map(|(a, b, what)| (format!("{a}{b}"), *what)).collect();
    let is_lock = |file: &Source| LOCK_FILES.iter().any(|name| file.path.rsplit('/').next() == Some(name));
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !is_lock(file)) {
        for (number, line) in file.text.to_lowercase().lines().enumerate() {
            for (mark, what) in marks.iter().filter(|(mark, _)| names(line, mark)) {
                findings.push(Finding::new(format!("{}:{}", file.path, number + 1), format!("names {what}: `{mark}`")));
            }
        }
    }
    findings
}

/// A folder counts only where a path begins with it, not in the middle of one.
fn names(line: &str, mark: &str) -> bool {
    line.match_indices(mark).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !mark.starts_with('/') || !before.is_some_and(|c| c.is_alphanumeric() || "._-}".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_is_found_and_a_lock_file_is_not_asked() {
        for (a, b, what) in FOREIGN {
            let text = format!("first\nsee {}{} there\n", a.to_uppercase(), b);
            let findings = find(&[Source::new("README.md", &text), Source::new("ui/package-lock.json", &text)]);
            assert!(!findings.is_empty(), "{a}{b}");
            assert!(findings.iter().all(|f| f.place == "README.md:2"), "{findings:?}");
            assert!(findings.iter().any(|f| f.text.contains(what)));
        }
    }

    #[test]
    fn a_folder_of_the_repository_is_fine() {
        let text = format!("see crates{}{}main", "/wo", "rk/");
        assert_eq!(find(&[Source::new("a.md", &text)]), []);
    }
}
