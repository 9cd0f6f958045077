//! How byte-level vocabularies cut a text before they merge: GGUF files keep only a name, and llama.cpp knows by the name what
//! to do. The same table serves reading and writing.

use serde_json::{Value, json};

/// A way of cutting texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Splits {
    /// The names in GGUF files; the first one is written.
    pub names: &'static [&'static str],
    pub cuts: Cuts,
    /// A piece that is a token as a whole is not merged from its parts.
    pub ignore_merges: bool,
    /// Texts begin with the beginning token, where a file does not say.
    pub adds_begin: bool,
    /// Texts are brought into Unicode's composed form first.
    pub composes: bool,
}

/// What is cut.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cuts {
    /// GPT-2's words, as the byte-level step of the tokenizers library knows them.
    Words,
    /// Every digit by itself, then [`Cuts::Words`].
    DigitsAndWords,
    /// At each of these expressions in turn.
    At(&'static [&'static str]),
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// What llama.cpp does for files that name nothing.
const DEFAULT: [&str; 4] = [
    r"[\p{P}\$\+<=>\^~\|]+",
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
];

/// Every way that is known.
pub(super) const KNOWN: [Splits; 7] = [
    plain(&["gpt-2", "phi-2", "jina-es", "jina-de", "mpt", "olmo", "jais", "roberta-bpe"], Cuts::Words),
    plain(&["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"], Cuts::DigitsAndWords),
    Splits {
        ignore_merges: true,
        adds_begin: true,
        ..plain(&["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"], Cuts::At(&[LLAMA3]))
    },
    plain(&["dbrx", "smaug-bpe"], Cuts::At(&[LLAMA3])),
    Splits { composes: true, ..plain(&["qwen2", "stablelm2", "deepseek-r1-qwen"], Cuts::At(&[QWEN2])) },
    Splits { ignore_merges: true, adds_begin: true, ..plain(&["tekken"], Cuts::At(&[TEKKEN])) },
    plain(&["default"], Cuts::At(&DEFAULT)),
];

const fn plain(names: &'static [&'static str], cuts: Cuts) -> Splits {
    Splits { names, cuts, ignore_merges: false, adds_begin: false, composes: false }
}

impl Splits {
    /// The way with this name.
    pub fn named(name: &str) -> Option<&'static Splits> {
        KNOWN.iter().find(|splits| splits.names.contains(&name))
    }

    /// `pre_tokenizer` of `tokenizer.json`.
    pub fn pre_tokenizer(&self) -> Value {
        let bytes = |words: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": words});
        let sequence = |steps: Vec<Value>| json!({"type": "Sequence", "pretokenizers": steps});
        match &self.cuts {
            Cuts::Words => bytes(true),
            Cuts::DigitsAndWords => sequence(vec![json!({"type": "Digits", "individual_digits": true}), bytes(true)]),
            Cuts::At(expressions) => {
                let cut = |at: &&str| json!({"type": "Split", "pattern": {"Regex": at}, "behavior": "Isolated", "invert": false});
                sequence(expressions.iter().map(cut).chain([bytes(false)]).collect())
            }
        }
    }

    /// The way that `tokenizer.json` describes, where GGUF has a name for it.
    pub fn of(pre_tokenizer: &Value, ignore_merges: bool) -> Option<&'static Splits> {
        let cuts = cuts_in(pre_tokenizer);
        let same = |splits: &&Splits| cuts_in(&splits.pre_tokenizer()) == cuts;
        let exact = KNOWN.iter().filter(same).find(|splits| splits.ignore_merges == ignore_merges);
        exact.or_else(|| KNOWN.iter().find(same))
    }
}

/// Whether the `pre_tokenizer` of `tokenizer.json` is known, all of which cut a text before a blank that stands alone: none has an
/// expression in which a blank follows something else.
pub(crate) fn cuts_at_blanks(pre_tokenizer: &Value) -> bool {
    Splits::of(pre_tokenizer, false).is_some()
}

/// What is cut, step by step: expressions, `digits`, `words`.
fn cuts_in(pre_tokenizer: &Value) -> Vec<String> {
    match pre_tokenizer["type"].as_str() {
        Some("Sequence") => pre_tokenizer["pretokenizers"].as_array().into_iter().flatten().flat_map(cuts_in).collect(),
        Some("Split") => vec![pre_tokenizer["pattern"]["Regex"].as_str().unwrap_or_default().to_owned()],
        Some("Digits") => vec!["digits".to_owned()],
        Some("ByteLevel") if pre_tokenizer["use_regex"].as_bool().unwrap_or(true) => vec!["words".to_owned()],
        Some("ByteLevel") => Vec::new(),
        other => vec![format!("{other:?}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_found_again() {
        for splits in &KNOWN {
            assert_eq!(Splits::of(&splits.pre_tokenizer(), splits.ignore_merges), Some(splits));
            assert!(splits.names.iter().all(|name| Splits::named(name) == Some(splits)));
        }
        assert_eq!(Splits::of(&json!({"type": "Whitespace"}), false), None);
        assert_eq!(Splits::named("something else"), None);
    }
}
