//! The list of what is measured. A name is a letter, and what is special after a dash.

use crate::shape::{MINILM, QWEN, SMALL, SMOL, Shape};

/// How the model's matrices are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// In 32-bit floats.
    F32,
    /// In a GGUF file, in blocks of 8 bits.
    Q8_0,
    /// In a GGUF file, in the mixture of 4 to 6 bits that llama.cpp calls `Q4_K_M`.
    Q4KM,
}

impl Stored {
    /// As names spell it.
    pub fn name(self) -> &'static str {
        match self {
            Stored::F32 => "f32",
            Stored::Q8_0 => "q8_0",
            Stored::Q4KM => "q4_k_m",
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Trains a LoRA of rank 8 on all linear layers.
    Train {
        /// Examples of a step.
        batch: usize,
        /// Tokens of an example.
        tokens: usize,
        /// Whether every block is computed again in the backward.
        recompute: bool,
    },
    /// Writes 128 tokens after a short prompt.
    Write {
        /// Whether an adapter of rank 8 stands beside every linear layer.
        adapter: bool,
    },
    /// Reads a prompt of so many tokens.
    Read {
        /// Tokens of the prompt.
        tokens: usize,
    },
    /// Imports, dresses, tokenizes and packs a file of conversations.
    Import {
        /// Bytes of the file.
        bytes: u64,
    },
}

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Its name: a letter, and what is special.
    pub name: &'static str,
    /// What a person reads.
    pub title: &'static str,
    /// The model.
    pub shape: Shape,
    /// How it is stored.
    pub stored: Stored,
    /// What is done with it.
    pub work: Work,
    /// Whether a person who asks nothing special waits for it.
    pub is_usual: bool,
}

const fn training(
    name: &'static str,
    title: &'static str,
    shape: Shape,
    (batch, tokens): (usize, usize),
    recompute: bool,
) -> Workload {
    let work = Work::Train { batch, tokens, recompute };
    Workload { name, title, shape, stored: Stored::F32, work, is_usual: !recompute }
}

const fn over(name: &'static str, title: &'static str, stored: Stored) -> Workload {
    Workload { stored, is_usual: false, ..training(name, title, SMOL, (2, 256), false) }
}

const fn writing(name: &'static str, title: &'static str, stored: Stored, adapter: bool) -> Workload {
    Workload { name, title, shape: SMOL, stored, work: Work::Write { adapter }, is_usual: !adapter }
}

const fn reading(name: &'static str, title: &'static str, stored: Stored) -> Workload {
    Workload {
        name,
        title,
        shape: SMOL,
        stored,
        work: Work::Read { tokens: 512 },
        is_usual: matches!(stored, Stored::F32),
    }
}

/// Every workload, in the order of a table.
pub const WORKLOADS: &[Workload] = &[
    training("a", "train a small Llama, 8 x 256 tokens", SMALL, (8, 256), false),
    training("a-recompute", "the same, blocks computed again", SMALL, (8, 256), true),
    Workload { is_usual: false, ..training("a-long", "the same in short steps of 16 tokens", SMALL, (1, 16), false) },
    training("b", "train SmolLM2 135M, 2 x 256 tokens", SMOL, (2, 256), false),
    training("b-recompute", "the same, blocks computed again", SMOL, (2, 256), true),
    training("c", "train MiniLM to classify, 16 x 128 tokens", MINILM, (16, 128), false),
    Workload { is_usual: false, ..training("d", "train Qwen2.5 0.5B, 1 x 512 tokens", QWEN, (1, 512), false) },
    training("d-recompute", "the same, blocks computed again", QWEN, (1, 512), true),
    over("e-q8_0", "train SmolLM2 135M over 8 bits", Stored::Q8_0),
    over("e-q4_k_m", "train SmolLM2 135M over 4 bits", Stored::Q4KM),
    writing("f-f32", "write with SmolLM2 135M", Stored::F32, false),
    writing("f-f32-adapter", "the same with an adapter", Stored::F32, true),
    writing("f-q8_0", "write with SmolLM2 135M in 8 bits", Stored::Q8_0, false),
    writing("f-q8_0-adapter", "the same with an adapter", Stored::Q8_0, true),
    writing("f-q4_k_m", "write with SmolLM2 135M in 4 bits", Stored::Q4KM, false),
    writing("f-q4_k_m-adapter", "the same with an adapter", Stored::Q4KM, true),
    reading("g-f32", "read 512 tokens with SmolLM2 135M", Stored::F32),
    reading("g-q8_0", "the same in 8 bits", Stored::Q8_0),
    reading("g-q4_k_m", "the same in 4 bits", Stored::Q4KM),
    Workload {
        name: "h",
        title: "turn 200 MB of conversations into tokens",
        shape: SMOL,
        stored: Stored::F32,
        work: Work::Import { bytes: 200_000_000 },
        is_usual: false,
    },
];

/// The workload of that name.
pub fn find(name: &str) -> Option<&'static Workload> {
    WORKLOADS.iter().find(|workload| workload.name == name)
}

/// The workloads that a word means: one by its name, or all of a letter. Empty where it means none.
pub fn selected(word: &str) -> Vec<&'static Workload> {
    match find(word) {
        Some(one) if word.len() > 1 => vec![one],
        _ => WORKLOADS.iter().filter(|w| w.name.split('-').next() == Some(word)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_means_all_that_begin_with_it() {
        let names = |word| selected(word).iter().map(|w| w.name).collect::<Vec<_>>();
        assert_eq!(names("b"), ["b", "b-recompute"]);
        assert_eq!(names("b-recompute"), ["b-recompute"]);
        assert_eq!(names("e"), ["e-q8_0", "e-q4_k_m"]);
        assert!(names("x").is_empty() && names("").is_empty());
    }

    #[test]
    fn names_are_told_apart() {
        let mut names: Vec<&str> = WORKLOADS.iter().map(|w| w.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WORKLOADS.len());
    }
}
