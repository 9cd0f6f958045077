//! The small text grammar in which the starter model's conversations are written: word lists with fields, templates
//! with slots and alternatives. It knows nothing of files, tokens or models; `recipe/README.md` describes the notation.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail, ensure};

use super::random::Random;

const MAX_DEPTH: usize = 12;

/// Word lists by name.
#[derive(Debug, Default)]
pub struct Grammar {
    lists: BTreeMap<String, List>,
}

#[derive(Debug)]
struct List {
    fields: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl List {
    fn column(&self, name: &str, field: &str) -> Result<usize> {
        self.fields
            .iter()
            .position(|known| known == field)
            .with_context(|| format!("list `{name}` has no field: `{field}`"))
    }
}

/// The rows already drawn in one conversation: the slot as written -> (list, row).
#[derive(Debug, Default)]
pub struct Draws {
    rows: HashMap<String, usize>,
}

impl Grammar {
    /// Reads word lists: `[name: field, field]`, then a row per line with `;` between fields. `origin` names the file in errors.
    pub fn read_lists(&mut self, text: &str, origin: &str) -> Result<()> {
        let mut current: Option<String> = None;
        for (index, line) in text.lines().enumerate() {
            let place = || format!("in `{origin}`, line {}", index + 1);
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(header) =
                line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|_| !line.contains('|'))
            {
                current = Some(self.open_list(header).with_context(place)?);
                continue;
            }
            let name = current.as_ref().with_context(|| format!("a row stands before any `[list]` {}", place()))?;
            self.add_row(name, line).with_context(place)?;
        }
        Ok(())
    }

    fn open_list(&mut self, header: &str) -> Result<String> {
        let (name, fields) = header.split_once(':').unwrap_or((header, "one"));
        let fields = fields.split(',').map(|field| field.trim().to_owned()).collect();
        let name = name.trim().to_owned();
        ensure!(!self.lists.contains_key(&name), "the list is defined twice: `{name}`");
        self.lists.insert(name.clone(), List { fields, rows: Vec::new() });
        Ok(name)
    }

    fn add_row(&mut self, name: &str, line: &str) -> Result<()> {
        let list = self.lists.get_mut(name).with_context(|| format!("no such list: `{name}`"))?;
        let row: Vec<String> = if list.fields.len() == 1 {
            vec![line.to_owned()]
        } else {
            line.split(';').map(|value| value.trim().to_owned()).collect()
        };
        ensure!(
            row.len() == list.fields.len(),
            "list `{name}` has {} fields, the row has {}: `{line}`",
            list.fields.len(),
            row.len()
        );
        list.rows.push(row);
        Ok(())
    }

    /// The values of one field of a list, as written.
    pub fn values(&self, name: &str, field: &str) -> Result<Vec<&str>> {
        let list = self.lists.get(name).with_context(|| format!("no such list: `{name}`"))?;
        let column = list.column(name, field)?;
        Ok(list.rows.iter().filter_map(|row| row.get(column)).map(String::as_str).collect())
    }

    /// Writes one text of a template; slots already drawn in `draws` keep their value, new ones are drawn apart from them.
    pub fn expand(&self, template: &str, draws: &mut Draws, random: &mut Random) -> Result<String> {
        let raw =
            self.expand_part(template, draws, random, 0).with_context(|| format!("in the template: {template}"))?;
        Ok(settle_articles(&raw))
    }

    fn expand_part(&self, template: &str, draws: &mut Draws, random: &mut Random, depth: usize) -> Result<String> {
        ensure!(depth < MAX_DEPTH, "slots refer to each other without end: `{template}`");
        let mut out = String::with_capacity(template.len() * 2);
        let mut rest = template;
        while let Some(at) = rest.find(['{', '[', '\\']) {
            let (before, from_mark) = rest.split_at(at);
            out.push_str(before);
            let (mark, after) = from_mark.split_at(1);
            rest = match mark {
                "\\" => push_escape(after, &mut out)?,
                "{" => {
                    let (slot, after) = after.split_once('}').context("a slot has no closing `}`")?;
                    out.push_str(&self.fill(slot, draws, random, depth)?);
                    after
                }
                _ => {
                    let (choices, after) = split_choices(after)?;
                    let chosen = choices.get(random.below(choices.len())).copied().unwrap_or_default();
                    out.push_str(&self.expand_part(chosen, draws, random, depth + 1)?);
                    after
                }
            };
        }
        out.push_str(rest);
        Ok(out)
    }

    fn fill(&self, slot: &str, draws: &mut Draws, random: &mut Random, depth: usize) -> Result<String> {
        let lower = slot.to_lowercase();
        let (key, field) = lower.split_once('.').map_or((lower.as_str(), None), |(key, field)| (key, Some(field)));
        let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
        let list = self.lists.get(name).with_context(|| format!("no such list: `{name}`"))?;
        let row = match draws.rows.get(key) {
            Some(row) => *row,
            None => draw_apart(list.rows.len(), name, draws, random)?,
        };
        draws.rows.insert(key.to_owned(), row);
        let column = match field {
            None => 0,
            Some(field) => list.column(name, field)?,
        };
        let value = list.rows.get(row).and_then(|row| row.get(column)).context("a row is shorter than its header")?;
        let text = self.expand_part(value, draws, random, depth + 1)?;
        Ok(if slot.starts_with(char::is_uppercase) { capitalised(&text) } else { text })
    }
}

/// A row of a list that no other slot over the same list has taken in this conversation.
fn draw_apart(n_rows: usize, name: &str, draws: &Draws, random: &mut Random) -> Result<usize> {
    let taken = |row: usize| {
        draws
            .rows
            .iter()
            .any(|(key, drawn)| *drawn == row && key.trim_end_matches(|c: char| c.is_ascii_digit()) == name)
    };
    let free: Vec<usize> = (0..n_rows).filter(|row| !taken(*row)).collect();
    ensure!(!free.is_empty(), "the list has too few rows for all its slots: `{name}`");
    free.get(random.below(free.len())).copied().context("a draw left the list")
}

fn push_escape<'t>(after: &'t str, out: &mut String) -> Result<&'t str> {
    let mut chars = after.chars();
    match chars.next() {
        Some('n') => out.push('\n'),
        Some(mark @ ('{' | '}' | '[' | ']' | '|' | '\\')) => out.push(mark),
        other => bail!("unknown escape after a backslash: `{}`", other.unwrap_or(' ')),
    }
    Ok(chars.as_str())
}

/// Splits `a|[b|c]|d] rest` into its choices and the rest behind the closing bracket.
fn split_choices(text: &str) -> Result<(Vec<&str>, &str)> {
    let (mut choices, mut depth, mut start, mut escaped) = (Vec::new(), 0_usize, 0, false);
    for (at, mark) in text.char_indices() {
        match mark {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => depth += 1,
            ']' if depth == 0 => {
                choices.push(&text[start..at]);
                return Ok((choices, &text[at + 1..]));
            }
            ']' => depth -= 1,
            '|' if depth == 0 => {
                choices.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    bail!("alternatives have no closing bracket: `[{text}`")
}

/// The text with its first letter in upper case.
#[must_use]
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + chars.as_str())
}

/// Turns `a(n) apple` into `an apple` and `A(n) mug` into `A mug`.
fn settle_articles(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("(n) ") {
        out.push_str(before);
        out.push_str(if sounds_like_vowel(after) { "n " } else { " " });
        rest = after;
    }
    out.push_str(rest);
    out
}

fn sounds_like_vowel(text: &str) -> bool {
    let word = text.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default().to_lowercase();
    let consonant_sound = ["uni", "use", "eu", "one"].iter().any(|start| word.starts_with(start));
    let silent_h = ["hour", "honest"].iter().any(|start| word.starts_with(start));
    silent_h || (word.starts_with(['a', 'e', 'i', 'o', 'u']) && !consonant_sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grammar() -> Grammar {
        let mut grammar = Grammar::default();
        grammar
            .read_lists("[animal: one, many]\ndog; dogs\nowl; owls\n[greet]\n[Hello|Hi], {animal}!", "test")
            .expect("lists are well formed");
        grammar
    }

    #[test]
    fn a_slot_keeps_its_row_and_a_second_slot_takes_another() {
        let text = grammar()
            .expand("{animal} {animal.many} {animal2}", &mut Draws::default(), &mut Random::new(3))
            .expect("expands");
        assert!(text == "dog dogs owl" || text == "owl owls dog", "{text}");
    }

    #[test]
    fn articles_follow_the_sound_and_braces_can_be_escaped() {
        let text = grammar()
            .expand("A(n) hour, a(n) unit, a(n) [owl|ape]. \\{\\}", &mut Draws::default(), &mut Random::new(1))
            .expect("expands");
        assert!(text.starts_with("An hour, a unit, an ") && text.ends_with(". {}"), "{text}");
    }

    #[test]
    fn a_missing_list_or_field_is_named() {
        let error = grammar().expand("{shop}", &mut Draws::default(), &mut Random::new(1)).expect_err("no such list");
        assert!(format!("{error:#}").contains("no such list: `shop`"), "{error:#}");
        let error =
            grammar().expand("{animal.colour}", &mut Draws::default(), &mut Random::new(1)).expect_err("no such field");
        assert!(format!("{error:#}").contains("`colour`"), "{error:#}");
    }
}
