//! Fuzzes the reader `safetensors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lorikeet_tests::readers::read("safetensors", bytes));
