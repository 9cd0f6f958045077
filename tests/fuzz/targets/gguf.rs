//! Fuzzes the reader `gguf`. A panic inside the library of tokenizers that the product survives is no fault; one that leaves
//! the reader still ends the program.
#![no_main]

libfuzzer_sys::fuzz_target!(
    init: std::panic::set_hook(Box::new(|_| ())),
    |bytes: &[u8]| lorikeet_tests::readers::read("gguf", bytes)
);
