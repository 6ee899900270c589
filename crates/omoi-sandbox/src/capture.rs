//! Output kept in bounded memory: its head and its tail.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncReadExt};

/// What a stream printed, or its two ends where it printed more than was kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapturedOutput {
    /// The first bytes of the stream.
    pub head: Vec<u8>,
    /// The last bytes, empty when the head holds everything.
    pub tail: Vec<u8>,
    /// Bytes left out between them.
    pub dropped_bytes: u64,
}

impl CapturedOutput {
    /// The text for people, with a line in place of what was dropped.
    pub fn to_text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        if self.dropped_bytes == 0 {
            // One buffer, so that a character split between the two ends is whole again.
            let whole = [self.head.as_slice(), self.tail.as_slice()].concat();
            return String::from_utf8_lossy(&whole).into_owned();
        }
        let tail = String::from_utf8_lossy(&self.tail);
        format!(
            "{head}\n[… {} bytes left out …]\n{tail}",
            self.dropped_bytes
        )
    }
}

/// Collects a stream of any length.
#[derive(Debug)]
pub(crate) struct OutputCapture {
    half_bytes: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    dropped_bytes: u64,
}

impl OutputCapture {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            half_bytes: bytes_max / 2,
            head: Vec::new(),
            tail: VecDeque::new(),
            dropped_bytes: 0,
        }
    }

    fn push_bytes(&mut self, bytes: &[u8]) {
        let room = self.half_bytes - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let excess = self.tail.len().saturating_sub(self.half_bytes);
        self.tail.drain(..excess);
        self.dropped_bytes += excess as u64;
    }

    /// Reads `stream` to its end, or to the first error, which for a pipe means its end too.
    pub(crate) async fn read_stream(&mut self, stream: &mut (impl AsyncRead + Unpin)) {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = stream.read(&mut buffer).await {
            self.push_bytes(&buffer[..n]);
        }
    }

    pub(crate) fn finish(self) -> CapturedOutput {
        CapturedOutput {
            head: self.head,
            tail: self.tail.into(),
            dropped_bytes: self.dropped_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_both_ends() {
        let keep = |chunks: &[&str]| {
            let mut capture = OutputCapture::new(8);
            for chunk in chunks {
                capture.push_bytes(chunk.as_bytes());
            }
            capture.finish()
        };
        assert_eq!(keep(&["abc"]).to_text(), "abc");
        assert_eq!(keep(&["abc\u{e9}", "fgh"]).to_text(), "abc\u{e9}fgh");
        let cut = keep(&["abcdef", "ghij", "klmnopq"]);
        assert_eq!(
            (cut.head.as_slice(), cut.tail.as_slice()),
            (&b"abcd"[..], &b"nopq"[..])
        );
        assert_eq!(cut.dropped_bytes, 9);
        assert_eq!(cut.to_text(), "abcd\n[… 9 bytes left out …]\nnopq");
    }
}
