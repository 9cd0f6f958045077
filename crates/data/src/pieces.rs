//! Encodes a text in pieces that are looked up before they are computed: texts are made of few words, and a tokenizer spends most
//! of its time on preparing to merge them again.
//!
//! A text may be cut where a blank stands between two characters that are none: vocabularies over bytes begin a new word
//! there, whatever stands to the left, so that the pieces' tokens one behind the other are the text's. Which tokenizers do so
//! is read from their description ([`is_separable`]); all others encode texts whole.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use tokenizers::{AddedToken, ModelWrapper};

use crate::gguf::cuts_at_blanks;
use crate::tokenizer::Encoded;

/// Most pieces that a table keeps; a full one begins anew.
const MOST_KEPT: usize = 1 << 16;
/// Longer pieces are hardly ever met again.
const LONGEST_KEPT: usize = 48;

/// A token of a piece: its id, and where it begins and ends in the piece.
type Token = (u32, u16, u16);

/// Pieces with their tokens.
#[derive(Debug, Default)]
struct Table {
    /// Where the tokens of a piece lie.
    known: HashMap<Box<str>, (u32, u32)>,
    tokens: Vec<Token>,
}

/// Tables of pieces, one for each thread that encodes at a time.
#[derive(Debug, Default)]
pub(crate) struct Pieces(Mutex<Vec<Table>>);

impl Pieces {
    /// The tokens of `text`; what is not known yet is asked of `encode`.
    pub(crate) fn encode<E>(
        &self,
        text: &str,
        mut encode: impl FnMut(&str) -> Result<Encoded, E>,
    ) -> Result<Encoded, E> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        let found = table.encode(text, &mut encode);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(table);
        found
    }
}

impl Table {
    fn encode<E>(&mut self, text: &str, encode: &mut impl FnMut(&str) -> Result<Encoded, E>) -> Result<Encoded, E> {
        let mut all = Encoded::default();
        let n = text.len() / 3;
        (all.ids, all.starts, all.ends) = (Vec::with_capacity(n), Vec::with_capacity(n), Vec::with_capacity(n));
        let mut from = 0;
        while from < text.len() {
            let to = next_cut(text, from);
            let piece = text.get(from..to).unwrap_or_default();
            if let Some((first, last)) = self.known.get(piece) {
                let tokens = self.tokens.get(*first as usize..*last as usize).unwrap_or_default();
                all.ids.extend(tokens.iter().map(|token| token.0));
                all.starts.extend(tokens.iter().map(|token| from + token.1 as usize));
                all.ends.extend(tokens.iter().map(|token| from + token.2 as usize));
            } else {
                let fresh = encode(piece)?;
                self.keep(piece, &fresh);
                all.ids.extend(&fresh.ids);
                all.starts.extend(fresh.starts.iter().map(|place| from + place));
                all.ends.extend(fresh.ends.iter().map(|place| from + place));
            }
            from = to;
        }
        Ok(all)
    }

    fn keep(&mut self, piece: &str, encoded: &Encoded) {
        if piece.len() > LONGEST_KEPT {
            return;
        }
        if self.known.len() >= MOST_KEPT {
            self.known.clear();
            self.tokens.clear();
        }
        let first = self.tokens.len() as u32;
        let places = encoded.starts.iter().zip(&encoded.ends).map(|(start, end)| (*start as u16, *end as u16));
        self.tokens.extend(encoded.ids.iter().zip(places).map(|(id, (start, end))| (*id, start, end)));
        self.known.insert(piece.into(), (first, self.tokens.len() as u32));
    }
}

/// The first place behind `from` where the text may be cut; its end if there is none.
fn next_cut(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b' ')) {
        at += found;
        let is_alone = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_graphic());
        // Beyond ASCII there are blanks too: only plain neighbours are sure to be none.
        if is_alone(bytes.get(at.wrapping_sub(1))) && is_alone(bytes.get(at + 1)) {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Whether the tokens of a text are those of its pieces, when nothing is put around the text.
pub(crate) fn is_separable(tokenizer: &tokenizers::Tokenizer) -> bool {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return false };
    let is_empty = |text: &Option<String>| text.as_deref().unwrap_or_default().is_empty();
    let merges_pieces_alone =
        model.dropout.is_none() && is_empty(&model.continuing_subword_prefix) && is_empty(&model.end_of_word_suffix);
    let described = |value: Option<Value>| value.unwrap_or_default();
    let cuts = described(tokenizer.get_pre_tokenizer().and_then(|steps| serde_json::to_value(steps).ok()));
    let normalizer = described(tokenizer.get_normalizer().and_then(|steps| serde_json::to_value(steps).ok()));
    let after = described(tokenizer.get_post_processor().and_then(|steps| serde_json::to_value(steps).ok()));
    let composes_only = normalizer.is_null() || normalizer["type"] == "NFC";
    let prefixes = |value: &Value| value["type"] == "ByteLevel" && value["add_prefix_space"] == true;
    let steps = |value: &Value, name: &str| value[name].as_array().is_some_and(|steps| steps.iter().any(prefixes));
    let puts_blank =
        [(&after, "processors"), (&cuts, "pretokenizers")].iter().any(|(v, name)| prefixes(v) || steps(v, name));
    let added = tokenizer.get_added_tokens_decoder();
    let is_plain = |token: &AddedToken| {
        !(token.lstrip || token.rstrip || token.single_word || token.content.contains(char::is_whitespace))
    };
    merges_pieces_alone && composes_only && !puts_blank && cuts_at_blanks(&cuts) && added.values().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_before_single_blanks() {
        let text = "one two  three\n four é five";
        let mut cuts = vec![0];
        while *cuts.last().unwrap() < text.len() {
            cuts.push(next_cut(text, *cuts.last().unwrap()));
        }
        let pieces: Vec<&str> = cuts.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect();
        assert_eq!(pieces, ["one", " two  three\n four é five"]);
        assert_eq!(next_cut("a b c", 1), 3);
    }

    /// Texts in which blanks, digits, apostrophes, marks and special tokens meet.
    fn awkward(seed: u64) -> String {
        const PARTS: [&str; 24] = [
            "it",
            "'s",
            " don't",
            " 12345",
            "  ",
            "\n",
            " \n",
            "\n\n ",
            ".",
            " .",
            "...",
            " (x)",
            "\t",
            "é",
            " e\u{301}",
            "\u{301}",
            " 日本",
            "\u{a0}",
            " \u{a0}",
            "<|im_end|>",
            " <|endoftext|>",
            " a",
            "B",
            " \u{1f600}",
        ];
        let stream = |n: u64| crate::random_bits(seed, n, 3) as usize % PARTS.len();
        (0..40).map(|n| PARTS[stream(n)]).collect()
    }

    #[test]
    fn pieces_give_the_tokens_of_the_whole() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut folders = vec![root.join("models/starter")];
        if let Some(shared) = std::env::var_os("LORIKEET_SHARED") {
            folders.extend(["gpt2", "qwen2.5"].map(|name| std::path::Path::new(&shared).join("tokenizers").join(name)));
        }
        for folder in folders {
            let bytes = std::fs::read(folder.join("tokenizer.json")).unwrap();
            let whole = tokenizers::Tokenizer::from_bytes(bytes).unwrap();
            assert!(is_separable(&whole), "{}", folder.display());
            let pieces = Pieces::default();
            for seed in 0..300 {
                let text = awkward(seed);
                let encode = |text: &str| whole.encode(text, false).map(|encoding| Encoded::from(&encoding));
                let (found, expected) = (pieces.encode(&text, encode).unwrap(), encode(&text).unwrap());
                assert_eq!(found, expected, "{}: {text:?}", folder.display());
            }
        }
    }

    #[test]
    fn a_full_table_begins_anew() {
        let mut table = Table::default();
        let mut encode =
            |text: &str| Ok::<_, ()>(Encoded { ids: vec![text.len() as u32], starts: vec![0], ends: vec![text.len()] });
        for i in 0..MOST_KEPT + 10 {
            let text = format!("w{i} x");
            let encoded = table.encode(&text, &mut encode).unwrap();
            assert_eq!(encoded.ends, [text.len() - 2, text.len()]);
        }
        assert!(table.known.len() < MOST_KEPT && table.tokens.len() == table.known.len());
    }
}
