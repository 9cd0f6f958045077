//! Fuzzes the reader `gguf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lorikeet_tests::readers::read("gguf", bytes));
