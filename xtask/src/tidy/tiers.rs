//! The window's code in tiers: what a folder of `ui/src` may not import. Only `platform` knows the host, `lib` is pure
//! functions, components go from shared to domain to view and never back.

use super::Finding;
use super::sources::Source;

/// A folder, and the folders it may not import from.
const NOT: [(&str, &[&str]); 6] = [
    ("lib", &["platform", "state", "shared", "charts", "domain", "views"]),
    ("platform", &["state", "shared", "charts", "domain", "views"]),
    ("shared", &["domain", "views"]),
    ("charts", &["domain", "views", "platform"]),
    ("state", &["shared", "charts", "domain", "views"]),
    ("domain", &["views"]),
];
/// How packages of the host begin.
const HOST: &str = "@tauri-apps/";

/// Imports that go up.
#[must_use]
pub fn find(files: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| matches!(file.ending(), "ts" | "svelte")) {
        let Some(folder) = file.path.strip_prefix("ui/src/").map(|rest| rest.split('/').next().unwrap_or_default())
        else {
            continue;
        };
        for (number, line) in file.text.lines().enumerate() {
            if let Some(text) = imported(line).and_then(|from| objection(folder, from)) {
                findings.push(Finding::new(format!("{}:{}", file.path, number + 1), text));
            }
        }
    }
    findings
}

fn imported(line: &str) -> Option<&str> {
    let line = line.trim();
    let rest = line.split_once(" from ").map(|(_, rest)| rest).or_else(|| line.strip_prefix("import "))?;
    let quote = rest.trim_start().chars().next().filter(|c| "'\"".contains(*c))?;
    rest.trim_start()[1..].split(quote).next()
}

fn objection(folder: &str, from: &str) -> Option<String> {
    if from.starts_with(HOST) {
        return (folder != "platform").then(|| format!("only `platform` may know the host: `{from}`"));
    }
    let target = from.rsplit_once("../").map(|(_, rest)| rest.split('/').next().unwrap_or_default())?;
    let (_, not) = NOT.iter().find(|(name, _)| *name == folder)?;
    not.contains(&target).then(|| format!("`{folder}` may not import from `{target}`: `{from}`"))
}

#[cfg(test)]
mod tests {
    use super::super::texts;
    use super::*;

    #[test]
    fn imports_that_go_up_are_found() {
        let files = [
            Source::new("ui/src/lib/a.ts", "import { x } from '../views/Home.svelte';\nimport { y } from './b';\n"),
            Source::new("ui/src/domain/C.svelte", "  import { invoke } from \"@tauri-apps/api/core\";\n"),
            Source::new("ui/src/platform/tauri.ts", "import { invoke } from '@tauri-apps/api/core';\n"),
            Source::new("ui/src/views/D.svelte", "import E from '../domain/E.svelte';\n"),
        ];
        assert_eq!(
            texts(&find(&files)),
            [
                "ui/src/lib/a.ts:1: `lib` may not import from `views`: `../views/Home.svelte`",
                "ui/src/domain/C.svelte:1: only `platform` may know the host: `@tauri-apps/api/core`",
            ]
        );
    }
}
