//! Public-domain books into passages: unpacks, drops headings, and cuts at paragraph ends by the tokenizer's own count.
//! It knows plain text and tokens, not the mix.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use tokenizers::Tokenizer;

/// A passage's text and its length in tokens.
#[derive(Debug, Clone)]
pub struct Passage {
    /// Paragraphs joined by single line breaks.
    pub text: String,
    /// Tokens of `text`.
    pub n_tokens: usize,
}

/// The paragraphs of one gzipped book without its title and headings.
pub fn read_paragraphs(path: &Path) -> Result<Vec<String>> {
    let file = std::fs::File::open(path).with_context(|| format!("cannot open the book: `{}`", path.display()))?;
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .with_context(|| format!("cannot unpack the book: `{}`", path.display()))?;
    let paragraphs = text.split("\n\n").skip(1).map(|paragraph| paragraph.trim().replace('_', ""));
    Ok(paragraphs.filter(|paragraph| is_prose(paragraph)).collect())
}

/// Headings have no lower case (`CHAPTER IV`), or are short and end without punctuation (`The Tale of Peter Rabbit`).
fn is_prose(paragraph: &str) -> bool {
    let has_lower_case = paragraph.chars().any(char::is_lowercase);
    let ends_like_prose = paragraph.ends_with(|c: char| c.is_ascii_punctuation() || c == '—');
    has_lower_case && (ends_like_prose || paragraph.len() > 80) && !paragraph.starts_with("Chapter ")
}

/// Cuts paragraphs into passages of at most `max_tokens`; only a paragraph that is longer by itself is cut inside.
pub fn cut_passages(paragraphs: &[String], tokenizer: &Tokenizer, max_tokens: usize) -> Result<Vec<Passage>> {
    let mut passages = Vec::new();
    let mut open = Passage { text: String::new(), n_tokens: 0 };
    for piece in paragraphs.iter().flat_map(|paragraph| pieces(paragraph, max_tokens)) {
        let n_tokens = super::bpe::count_tokens(tokenizer, piece)?;
        if open.n_tokens + n_tokens + 1 > max_tokens && open.n_tokens > 0 {
            passages.push(std::mem::replace(&mut open, Passage { text: String::new(), n_tokens: 0 }));
        }
        if !open.text.is_empty() {
            open.text.push('\n');
            open.n_tokens += 1;
        }
        open.text.push_str(piece);
        open.n_tokens += n_tokens;
    }
    passages.push(open);
    passages.retain(|passage| passage.n_tokens > 1 && passage.n_tokens <= max_tokens + max_tokens / 4);
    Ok(passages)
}

/// A paragraph as it is, or cut at sentence ends where it is surely too long (3 bytes are at most a token in prose).
fn pieces(paragraph: &str, max_tokens: usize) -> Vec<&str> {
    let max_bytes = max_tokens * 3;
    let mut pieces = Vec::new();
    let mut rest = paragraph;
    while rest.len() > max_bytes {
        let cut = rest
            .char_indices()
            .take_while(|(at, _)| *at < max_bytes)
            .filter(|(at, mark)| matches!(mark, '.' | '!' | '?' | ';') && rest[at + 1..].starts_with(' '));
        let Some((at, _)) = cut.last() else { break };
        pieces.push(&rest[..=at]);
        rest = rest[at + 1..].trim_start();
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_go_and_prose_stays() {
        assert!(!is_prose("CHAPTER IV."));
        assert!(!is_prose("The Tale of Peter Rabbit"));
        assert!(is_prose("And squeezed under the gate!"));
    }

    #[test]
    fn a_long_paragraph_is_cut_at_sentence_ends_and_nothing_is_lost() {
        let paragraph = "One two three. Four five six! Seven eight nine? Ten.".to_owned();
        let cut = pieces(&paragraph, 8);
        assert!(cut.len() > 1 && cut.iter().all(|piece| piece.ends_with(['.', '!', '?'])), "{cut:?}");
        assert_eq!(cut.join(" "), paragraph);
    }
}
