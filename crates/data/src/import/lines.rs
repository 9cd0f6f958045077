//! Lines of a byte stream in bounded memory: a line longer than the limit is reported, not held.

use std::io::{self, BufRead, BufReader, Read};

/// Most bytes of one row; a longer one is a bad row. Text worth learning from is far shorter.
pub(crate) const MAX_ROW_BYTES: usize = 16 << 20;

/// Bytes kept of a row that is too long, for its excerpt.
pub(crate) const KEPT_OF_LONG_ROW: usize = 4 << 10;

/// One line without its line break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// Counted from 1.
    pub(crate) number: u64,
    /// The bytes; only the first ones if the line is too long.
    pub(crate) bytes: Vec<u8>,
    /// All bytes of the line.
    pub(crate) n_bytes: u64,
}

impl Line {
    pub(crate) fn is_too_long(&self) -> bool {
        self.n_bytes > self.bytes.len() as u64
    }

    pub(crate) fn is_blank(&self) -> bool {
        self.bytes.iter().all(u8::is_ascii_whitespace)
    }
}

/// Reads lines that end with `\n` or `\r\n`.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: BufReader<R>,
    n_lines: u64,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(input: R) -> Lines<R> {
        Lines { input: BufReader::with_capacity(1 << 16, input), n_lines: 0 }
    }

    /// The next line; nothing at the end. A last line without a line break counts.
    pub(crate) fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line { number: self.n_lines + 1, ..Line::default() };
        let mut is_anything = false;
        loop {
            let block = match self.input.fill_buf() {
                Ok(block) => block,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
                Err(cause) => return Err(cause),
            };
            if block.is_empty() {
                break;
            }
            is_anything = true;
            let end = block.iter().position(|byte| *byte == b'\n');
            let piece = block.get(..end.unwrap_or(block.len())).unwrap_or_default();
            keep(&mut line, piece);
            let n_used = piece.len() + usize::from(end.is_some());
            self.input.consume(n_used);
            if end.is_some() {
                break;
            }
        }
        if !is_anything {
            return Ok(None);
        }
        if line.bytes.last() == Some(&b'\r') && !line.is_too_long() {
            line.bytes.pop();
            line.n_bytes -= 1;
        }
        self.n_lines += 1;
        Ok(Some(line))
    }
}

fn keep(line: &mut Line, piece: &[u8]) {
    if !line.is_too_long() && line.bytes.len() + piece.len() <= MAX_ROW_BYTES {
        line.bytes.extend_from_slice(piece);
    } else {
        line.bytes.extend_from_slice(piece.get(..KEPT_OF_LONG_ROW.min(piece.len())).unwrap_or_default());
        line.bytes.truncate(KEPT_OF_LONG_ROW);
        line.bytes.shrink_to_fit();
    }
    line.n_bytes += piece.len() as u64;
}

/// What to say of a row of more than [`MAX_ROW_BYTES`].
pub(crate) fn too_long(n_bytes: u64) -> String {
    let limit = MAX_ROW_BYTES >> 20;
    format!("the row is longer than {limit} MiB ({n_bytes} bytes); is a line break, quote or bracket missing?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            found.push((line.number, String::from_utf8(line.bytes).unwrap()));
        }
        found
    }

    #[test]
    fn line_breaks_of_both_kinds_end_a_line() {
        let expected = [(1, "a".to_owned()), (2, String::new()), (3, "b\rc".to_owned())];
        assert_eq!(lines(b"a\r\n\nb\rc"), expected);
        assert_eq!(lines(b"a\n\nb\rc\n"), expected);
        assert_eq!(lines(b""), []);
    }

    #[test]
    fn a_long_line_is_counted_but_not_held() {
        let input = io::repeat(b'x').take(200 << 20).chain(&b"\nnext"[..]);
        let mut lines = Lines::new(input);
        let line = lines.next_line().unwrap().unwrap();
        assert_eq!((line.n_bytes, line.is_too_long()), (200 << 20, true));
        assert!(line.bytes.capacity() <= 2 * KEPT_OF_LONG_ROW);
        assert_eq!(lines.next_line().unwrap().unwrap(), Line { number: 2, bytes: b"next".to_vec(), n_bytes: 4 });
    }
}
