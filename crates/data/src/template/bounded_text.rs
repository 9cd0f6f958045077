//! Text that grows to a limit and no further: what a template from anywhere writes.

use std::io;

/// Bytes written so far, and how many there may be.
pub(super) struct BoundedText {
    bytes: Vec<u8>,
    limit: usize,
}

impl BoundedText {
    pub fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit }
    }

    /// The text, or why it is none.
    pub fn into_string(self) -> Result<String, String> {
        String::from_utf8(self.bytes).map_err(|cause| cause.to_string())
    }
}

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > self.limit {
            let reason = format!("it writes more text than is taken, in bytes: {}", self.limit);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
