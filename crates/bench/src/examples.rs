//! Made-up examples: texts of exactly so many tokens for training, and conversations whose words are as unevenly common as
//! those of a language for reading. The same on every computer.

use std::io::{self, Write};

use lorikeet_models::random::Stream;
use serde_json::json;

use crate::shape::{Family, Shape};

const SEED: u64 = 7;
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxy";
/// Letters of a made-up word.
const WORD: usize = 7;

/// A text of `n` tokens in the vocabulary of `crate::tokenizers`: bytes, or words.
pub fn text(shape: &Shape, n: usize, number: u64) -> String {
    let stream = Stream::new(SEED, number);
    let draw = |i: usize, below: usize| (stream.uniform(i as u64) * below as f32) as usize;
    match shape.family {
        Family::Bert => {
            let words: Vec<String> = (0..n).map(|i| format!("w{}", 1000 + draw(i, shape.vocabulary - 1000))).collect();
            words.join(" ")
        }
        Family::Llama | Family::Qwen2 => {
            let byte =
                |i: usize| if i % (WORD + 1) == WORD { b' ' } else { LETTERS[draw(i, LETTERS.len()) % LETTERS.len()] };
            (0..n).map(|i| char::from(byte(i))).collect()
        }
    }
}

/// Writes `n` examples of `tokens` tokens each, those counted that a tokenizer adds.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_texts(out: &mut impl Write, shape: &Shape, n: usize, tokens: usize) -> io::Result<()> {
    for number in 0..n {
        let row = match shape.family {
            Family::Bert => {
                json!({"text": text(shape, tokens - 2, number as u64), "label": (["low", "high"])[number % 2]})
            }
            Family::Llama | Family::Qwen2 => json!({"text": text(shape, tokens - 1, number as u64)}),
        };
        writeln!(out, "{row}")?;
    }
    Ok(())
}

/// Words of the made-up language, the commonest first.
fn language() -> Vec<String> {
    const SYLLABLES: [&str; 32] = [
        "ka", "ri", "to", "ne", "sol", "mi", "ra", "ven", "lo", "pe", "tin", "da", "mor", "el", "shi", "bu", "an",
        "ter", "ing", "con", "ly", "pre", "est", "ou", "gra", "ble", "wi", "th", "er", "qu", "ad", "ion",
    ];
    let stream = Stream::new(SEED, 1);
    let draw = |i: u64| SYLLABLES[(stream.uniform(i) * 32.0) as usize % 32];
    (0..30_000_u64).map(|i| (0..1 + i % 4).map(|j| draw(i * 4 + j)).collect()).collect()
}

/// Writes conversations of a question and an answer, about `bytes` bytes of JSON lines.
///
/// # Errors
/// Where `out` cannot be written.
pub fn write_conversations(out: &mut impl Write, bytes: u64) -> io::Result<()> {
    let (words, stream) = (language(), Stream::new(SEED, 2));
    let (mut next, mut written) = (0_u64, 0);
    let mut draw = || {
        next += 1;
        stream.uniform(next)
    };
    while written < bytes {
        let mut speak = |n: usize| {
            let mut text = String::new();
            for i in 0..n {
                // The rank of a word whose frequency falls with its rank (Zipf's law) is exponential in a uniform number.
                let rank = (words.len() as f32).powf(draw()) as usize;
                text.push_str(words.get(rank).map_or("", String::as_str));
                text.push_str(if i % 11 == 10 {
                    ". "
                } else if i % 31 == 30 {
                    ",\n"
                } else {
                    " "
                });
            }
            format!("{text}{}", (draw() * 1e4) as u32)
        };
        let (question, answer) = (speak(24), speak(120));
        let row =
            json!({"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]});
        let line = row.to_string();
        written += line.len() as u64 + 1;
        writeln!(out, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_long_as_asked_for_and_always_the_same() {
        let (decoder, encoder) = (crate::shape::SMALL, crate::shape::MINILM);
        assert_eq!(text(&decoder, 255, 3).len(), 255);
        assert_eq!(text(&encoder, 126, 3).split(' ').count(), 126);
        assert_eq!(text(&decoder, 40, 1), text(&decoder, 40, 1));
        assert_ne!(text(&decoder, 40, 1), text(&decoder, 40, 2));
    }

    #[test]
    fn conversations_are_rows_of_about_the_size_asked_for() {
        let mut out = Vec::new();
        write_conversations(&mut out, 100_000).unwrap();
        assert!((100_000..103_000).contains(&out.len()), "{}", out.len());
        let rows: Vec<serde_json::Value> =
            out.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).unwrap()).collect();
        assert!(rows.iter().all(|row| row["messages"][1]["content"].as_str().is_some_and(|text| text.len() > 200)));
    }
}
