//! The README's commands exist: `cargo xtask …` is parsed by these commands' own parser, `lorikeet …` is held against
//! `docs/cli.md` (which a test holds against the program), and addresses against the server's routes.

use clap::Parser;

use super::Finding;
use super::sources::Source;
use super::text_of;
use crate::Xtask;

const README: &str = "README.md";
const REFERENCE: &str = "docs/cli.md";

/// Commands of the README that do not exist.
#[must_use]
pub fn find(files: &[Source]) -> Vec<Finding> {
    let readme = text_of(files, README);
    let reference = text_of(files, REFERENCE);
    let routes: String =
        files.iter().filter(|file| file.path.starts_with("crates/server/src/")).map(|f| f.text.as_str()).collect();
    let mut findings = Vec::new();
    if readme.is_empty() {
        findings.push(Finding::new(README, "there is none"));
    }
    for (number, command) in commands(&readme) {
        if let Some(text) = objection(&command, &reference, &routes) {
            findings.push(Finding::new(format!("{README}:{number}"), text));
        }
    }
    findings
}

/// The commands of blocks marked `sh`, each with the number of its first line; a line that ends with `\` goes on.
fn commands(readme: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let (mut inside, mut goes_on) = (false, false);
    for (number, line) in readme.lines().enumerate() {
        if line.starts_with("```") {
            (inside, goes_on) = (line.trim() == "```sh", false);
            continue;
        }
        let text = line.split(" # ").next().unwrap_or_default().trim();
        if !inside || text.is_empty() || text.starts_with('#') {
            continue;
        }
        let words = text.trim_end_matches('\\').trim();
        match found.last_mut().filter(|_| goes_on) {
            Some((_, command)) => *command = format!("{command} {words}"),
            None => found.push((number + 1, words.to_owned())),
        }
        goes_on = text.ends_with('\\');
    }
    found
}

fn objection(command: &str, reference: &str, routes: &str) -> Option<String> {
    let words = split(command);
    let mut rest = words.iter().map(String::as_str);
    match (rest.next(), rest.clone().next()) {
        (Some("cargo"), Some("xtask")) => xtask(&words[1..]),
        (Some("lorikeet"), _) => lorikeet(&words[1..], reference),
        (Some("curl"), _) => {
            words.iter().filter(|word| word.starts_with("http://")).find_map(|word| route(word, routes))
        }
        _ => None,
    }
}

fn xtask(words: &[String]) -> Option<String> {
    let error = Xtask::try_parse_from(words).err()?;
    let is_wrong = error.use_stderr();
    is_wrong.then(|| format!("`cargo {}` is not understood: {}", words.join(" "), first_line(&error.to_string())))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The sub-command has a section, and its flags are named there.
fn lorikeet(words: &[String], reference: &str) -> Option<String> {
    let sections = sections(reference);
    let n_words = words.iter().take_while(|word| word.chars().all(|c| c.is_ascii_lowercase())).count();
    let known = (1..=n_words).rev().find_map(|n| {
        let name = format!("lorikeet {}", words[..n].join(" "));
        sections.iter().find(|(section, _)| *section == name)
    });
    let Some((name, section)) = known else {
        return Some(format!("{REFERENCE} has no section for: `lorikeet {}`", words.join(" ")));
    };
    let flags =
        words.iter().filter(|word| word.starts_with("--")).map(|word| word.split('=').next().unwrap_or_default());
    let mut unknown =
        flags.filter(|flag| !section.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == *flag));
    unknown.next().map(|flag| format!("`{name}` has no flag: `{flag}`"))
}

/// The sections `` ## `lorikeet …` `` with their text.
fn sections(reference: &str) -> Vec<(String, &str)> {
    let parts = reference.split("\n## `").skip(1);
    parts.filter_map(|part| part.split_once('`').map(|(name, text)| (name.to_owned(), text))).collect()
}

fn route(address: &str, routes: &str) -> Option<String> {
    let path = address.splitn(4, '/').nth(3).map(|path| format!("/{path}"))?;
    (!routes.contains(&format!("\"{path}\""))).then(|| format!("the server has no route: `{path}`"))
}

/// Words between spaces; quotes keep together.
fn split(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            (_, c) => words.last_mut().into_iter().for_each(|word| word.push(c)),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::super::texts;
    use super::*;

    const CLI: &str = "# CLI\n\n## `lorikeet train`\n\n```text\n--model <M>  --learning-rate <X>\n```\n\n## `lorikeet data import`\n\n--name\n";

    fn findings(readme: &str) -> Vec<String> {
        let files = [
            Source::new("README.md", readme),
            Source::new("docs/cli.md", CLI),
            Source::new("crates/server/src/routes.rs", ".route(\"/v1/models\", get(models))"),
        ];
        texts(&find(&files))
    }

    #[test]
    fn commands_that_do_not_exist_are_found() {
        let readme = "```sh\ncargo xtask dmo # a comment\nlorikeet trian --model a\nlorikeet train --model a \\\n  --rate 3\n\
                      curl http://127.0.0.1:8384/v1/modles\n```\n\ncargo xtask nonsense in text\n";
        let found = findings(readme);
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].starts_with("README.md:2: `cargo xtask dmo` is not understood"), "{}", found[0]);
        assert_eq!(found[1], "README.md:3: docs/cli.md has no section for: `lorikeet trian --model a`");
        assert_eq!(found[2], "README.md:4: `lorikeet train` has no flag: `--rate`");
        assert_eq!(found[3], "README.md:6: the server has no route: `/v1/modles`");
    }

    #[test]
    fn commands_that_exist_are_fine() {
        let readme = "```sh\ncargo xtask tidy\nlorikeet data import \"my file.jsonl\" --name x\n\
                      curl -s http://127.0.0.1:8384/v1/models\n```\n";
        assert_eq!(findings(readme), [] as [&str; 0]);
    }

    #[test]
    fn a_missing_readme_is_found() {
        assert_eq!(texts(&find(&[])), ["README.md: there is none"]);
    }
}
