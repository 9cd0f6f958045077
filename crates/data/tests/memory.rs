//! An import's memory does not grow with the file: inputs of 200 MB, read from generators, under a bound on the whole
//! process. One test, so that nothing else runs in this process.

use std::io::{self, Read};
use std::path::Path;

use lorikeet_data::{ImportOptions, Store};

const INPUT_BYTES: u64 = 200 << 20;

/// What the process may take at its peak. A row may have 16 MiB, and finding out the form of a file looks at as much.
const PEAK_KIB: u64 = 120 << 10;

/// `head`, then `unit` over and over up to [`INPUT_BYTES`], then `tail`.
fn input(head: &'static str, unit: &'static str, tail: &'static str) -> impl Read {
    struct Again(&'static [u8], usize);
    impl Read for Again {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            for byte in buffer.iter_mut() {
                *byte = self.0[self.1];
                self.1 = (self.1 + 1) % self.0.len();
            }
            Ok(buffer.len())
        }
    }
    let n_units = INPUT_BYTES / unit.len() as u64;
    head.as_bytes().chain(Again(unit.as_bytes(), 0).take(n_units * unit.len() as u64)).chain(tail.as_bytes())
}

fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn files_larger_than_the_bound_are_read_within_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let import = |name: &str, input: &mut dyn Read| {
        store.import_reader(Path::new(name), input, 0, &ImportOptions::default(), &mut |_| ())
    };
    let long_rows = [
        ("line.txt", input("", "x", "")),
        ("line.jsonl", input("{\"text\": \"", "x", "\"}\n")),
        ("element.json", input("[{\"text\": \"", "x", "\"}]")),
        ("cell.csv", input("text,label\n\"", "x", "\",1\n")),
        ("quote.csv", input("text,label\n\"", "never closed\n", "")),
    ];
    for (name, mut input) in long_rows {
        let message = import(name, &mut input).unwrap_err().to_string();
        let is_clear = message.contains("longer than 16 MiB") || message.contains("is not closed where the cell ends");
        assert!(is_clear && message.len() < 10_000, "{name}: {}", &message[..message.len().min(2000)]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{name} leaves nothing");
    }
    let unit = "{\"text\": \"a row of some length, as rows are; a row of some length, as rows are\", \"label\": 1},\n";
    let imported = import("rows.json", &mut input("[", unit, "{\"text\": \"the last\", \"label\": 0}]")).unwrap();
    assert_eq!(imported.n_rows, INPUT_BYTES / unit.len() as u64 + 1);
    if let Some(peak) = peak_kib() {
        assert!(peak < PEAK_KIB, "the process took {peak} KiB");
    }
}
