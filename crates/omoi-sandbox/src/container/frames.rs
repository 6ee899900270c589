//! The two output streams of a container, which come as one stream of frames.

use reqwest::Response;
use tokio::io::{AsyncWriteExt as _, SimplexStream, WriteHalf};

/// Kind, three empty bytes, and the length of what follows.
const HEADER_BYTES: usize = 8;
const STDERR: u8 = 2;

/// Takes frames apart, however they were cut on their way.
#[derive(Debug, Default)]
struct FrameSplitter {
    header: Vec<u8>,
    /// Bytes of the present frame that are to come.
    left: usize,
    is_stderr: bool,
}

/// A part of one of the two streams.
#[derive(Debug, PartialEq, Eq)]
struct OutputPart<'a> {
    is_stderr: bool,
    bytes: &'a [u8],
}

impl FrameSplitter {
    fn split_chunk<'a>(&mut self, mut chunk: &'a [u8]) -> Vec<OutputPart<'a>> {
        let mut parts = Vec::new();
        while !chunk.is_empty() {
            if self.left == 0 {
                let wanted = (HEADER_BYTES - self.header.len()).min(chunk.len());
                let (header, rest) = chunk.split_at(wanted);
                self.header.extend_from_slice(header);
                chunk = rest;
                if let [kind, _, _, _, a, b, c, d] = *self.header.as_slice() {
                    self.is_stderr = kind == STDERR;
                    self.left = u32::from_be_bytes([a, b, c, d]) as usize;
                    self.header.clear();
                }
                continue;
            }
            let (bytes, rest) = chunk.split_at(self.left.min(chunk.len()));
            parts.push(OutputPart {
                is_stderr: self.is_stderr,
                bytes,
            });
            self.left -= bytes.len();
            chunk = rest;
        }
        parts
    }
}

/// The writing ends of the two streams.
pub(super) struct OutputWriters {
    pub(super) stdout: WriteHalf<SimplexStream>,
    pub(super) stderr: WriteHalf<SimplexStream>,
}

/// Passes the frames of `response` on until it ends or nobody reads.
pub(super) async fn pass_frames(mut response: Response, mut to: OutputWriters) {
    let mut splitter = FrameSplitter::default();
    while let Ok(Some(chunk)) = response.chunk().await {
        for OutputPart { is_stderr, bytes } in splitter.split_chunk(&chunk) {
            let stream = match is_stderr {
                true => &mut to.stderr,
                false => &mut to.stdout,
            };
            if stream.write_all(bytes).await.is_err() {
                return;
            }
        }
    }
    let _ = to.stdout.shutdown().await;
    let _ = to.stderr.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_joined_wherever_they_were_cut() {
        let mut sent = vec![1, 0, 0, 0, 0, 0, 0, 3];
        sent.extend(b"hi\n");
        sent.extend([2, 0, 0, 0, 0, 0, 0, 0]);
        sent.extend([2, 0, 0, 0, 0, 0, 1, 4]);
        sent.extend([b'e'; 260]);
        for cut in 1..sent.len() {
            let mut splitter = FrameSplitter::default();
            let (mut out, mut err) = (Vec::new(), Vec::new());
            for chunk in sent.chunks(cut) {
                for part in splitter.split_chunk(chunk) {
                    let stream = if part.is_stderr { &mut err } else { &mut out };
                    stream.extend_from_slice(part.bytes);
                }
            }
            assert_eq!(
                (out.as_slice(), err.len()),
                (b"hi\n".as_slice(), 260),
                "{cut}"
            );
        }
    }
}

/// Fuzz target: output of containers.
#[cfg(test)]
mod fuzz {
    use omoi_testkit::fuzz::FuzzTarget;

    use super::*;

    fn parts_of<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> [Vec<u8>; 2] {
        let mut splitter = FrameSplitter::default();
        let mut streams = [Vec::new(), Vec::new()];
        for chunk in chunks {
            for part in splitter.split_chunk(chunk) {
                streams[usize::from(part.is_stderr)].extend_from_slice(part.bytes);
            }
        }
        streams
    }

    /// The two streams are the same however they were cut, and no longer than what came.
    #[test]
    fn engine_frames() {
        FuzzTarget::new(env!("CARGO_MANIFEST_DIR"), "engine_frames").run(|input| {
            let whole = parts_of(std::iter::once(input));
            assert!(whole[0].len() + whole[1].len() <= input.len());
            assert_eq!(parts_of(input.chunks(1 + input.len() % 13)), whole);
        });
    }
}
