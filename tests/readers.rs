//! Every reader against its seeds and against thousands of damaged copies of them: bits turned, bytes cut, moved and
//! repeated, numbers made huge. The fuzzer goes further (`cargo xtask fuzz`); this holds what it found.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::fs;

use lorikeet_kernels::random::Stream;
use lorikeet_tests::readers::{READERS, read, seeds};

const DAMAGED_COPIES: u64 = 400;

macro_rules! damaged_files {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            hold(stringify!($name));
        })*

        #[test]
        fn every_reader_is_held() {
            assert_eq!(READERS.map(|reader| reader.name), [$(stringify!($name)),*]);
        }
    };
}

damaged_files!(safetensors, gguf, config, adapter, tokenizer, template, dataset);

fn hold(name: &str) {
    let mut files: Vec<_> = seeds(name).read_dir().unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{name} has no seeds");
    for (number, file) in files.iter().enumerate() {
        let seed = fs::read(file).unwrap();
        read(name, &seed);
        damaged(name, &seed, number as u64);
    }
    println!("{name}: {} seeds, {DAMAGED_COPIES} damaged copies of each", files.len());
}

fn damaged(name: &str, seed: &[u8], number: u64) {
    let stream = Stream::new(number, 0);
    let mut drawn = 0;
    let mut draw = |below: usize| {
        drawn += 1;
        (f64::from(stream.uniform(drawn)) * below.max(1) as f64) as usize
    };
    for _ in 0..DAMAGED_COPIES {
        let mut bytes = seed.to_vec();
        for _ in 0..=draw(4) {
            damage(&mut bytes, &mut draw);
        }
        read(name, &bytes);
    }
}

fn damage(bytes: &mut Vec<u8>, draw: &mut impl FnMut(usize) -> usize) {
    let at = draw(bytes.len());
    let to = (at + draw(16)).min(bytes.len());
    match draw(6) {
        0 => bytes.truncate(at),
        1 if at < bytes.len() => bytes[at] ^= 1 << draw(8),
        2 => bytes[at..to].fill(0xff),
        3 => drop(bytes.splice(at..at, *b"18446744073709551615")),
        4 => {
            let piece = bytes[at..to].to_vec();
            drop(bytes.splice(at..at, piece));
        }
        _ => drop(bytes.splice(at..to, [])),
    }
}
