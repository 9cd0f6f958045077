//! `lorikeet embed`: texts as vectors.

use std::fs;

use lorikeet_api::wire::{EmbedRequest, Embeddings};

use super::{Session, name_or_path};
use crate::{
    args::EmbedArgs,
    failure::Failure,
    table::{Edge, Table},
};

/// Characters of a text that are shown.
const SHOWN_CHARS: usize = 48;

/// Embeds and prints.
pub fn run(session: &mut Session<'_>, args: EmbedArgs) -> Result<(), Failure> {
    let texts = match &args.file {
        None => args.texts,
        Some(file) => {
            let content = fs::read_to_string(file)
                .map_err(|error| Failure::words(format!("cannot read `{}`: {error}", file.display())))?;
            content.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
    };
    let request =
        EmbedRequest { model: name_or_path(args.model)?, adapter: args.adapter.map(name_or_path).transpose()?, texts };
    let texts = request.texts.clone();
    let embeddings = lorikeet_api::embedding::embed(&session.app, request)?;
    session.printer.answer(&embeddings, |found| text(&texts, found))
}

/// How like the first the texts are; the vectors themselves are for programs.
fn text(texts: &[String], found: &Embeddings) -> String {
    let (n, dimensions) = (found.embeddings.len(), found.n_dimensions);
    let mut said = format!("{n} x {dimensions} numbers ({} of the tokens); `--json` prints them\n", found.pooling);
    let Some((first, [_, ..])) = found.embeddings.split_first() else { return said };
    let mut table = Table::new([("TEXT", Edge::Left), ("LIKE THE FIRST", Edge::Right)]);
    for (text, vector) in texts.iter().zip(&found.embeddings) {
        let product: f64 = first.iter().zip(vector).map(|(a, b)| f64::from(a * b)).sum();
        table.row([shortened(text), format!("{product:.3}")]);
    }
    said.push('\n');
    said.push_str(&table.text());
    said
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_compared_with_the_first() {
        let embeddings = vec![vec![1.0, 0.0], vec![0.6, 0.8]];
        let found = Embeddings {
            embeddings,
            n_dimensions: 2,
            pooling: "mean".into(),
            n_tokens: 9,
            n_truncated: 0,
            seconds: 0.1,
        };
        let texts = ["rain".to_owned(), "sun ".repeat(20)];
        let shown = text(&texts, &found);
        // What stands between blanks of the table.
        let cells = |line: usize| -> Vec<String> {
            let parts = shown.lines().nth(line).unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty());
            parts.map(str::to_owned).collect()
        };
        assert_eq!(cells(0), ["2 x 2 numbers (mean of the tokens); `--json` prints them"]);
        assert_eq!(cells(2), ["TEXT", "LIKE THE FIRST"]);
        assert_eq!(cells(3), ["rain", "1.000"]);
        assert_eq!(cells(4), ["sun ".repeat(12) + "…", "0.600".to_owned()]);
    }
}
