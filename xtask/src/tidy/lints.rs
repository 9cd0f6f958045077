//! Every package stands under the lints of the workspace.

use super::Finding;
use super::sources::Source;

/// Manifests that do not take the lints over.
#[must_use]
pub fn find(files: &[Source]) -> Vec<Finding> {
    let manifests = files.iter().filter(|file| file.path.rsplit('/').next() == Some("Cargo.toml"));
    let without =
        manifests.filter(|file| file.text.lines().any(|line| line.trim() == "[package]") && !inherits(&file.text));
    without.map(|file| Finding::new(&file.path, "must say `[lints]`, and below it `workspace = true`")).collect()
}

fn inherits(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim);
    lines.by_ref().any(|line| line == "[lints]") && lines.next() == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_without_the_lints_is_found() {
        let files = [
            Source::new("crates/a/Cargo.toml", "[package]\n[lints]\nworkspace = true\n"),
            Source::new("crates/b/Cargo.toml", "[package]\n[dependencies]\nx.workspace = true\n"),
            Source::new("Cargo.toml", "[workspace]\n"),
        ];
        let places: Vec<String> = find(&files).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["crates/b/Cargo.toml"]);
    }
}
