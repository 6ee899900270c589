//! Server-sent events, read from bytes as they come and written one at a time.

use bytes::Bytes;
use thiserror::Error;

/// Most bytes of one event.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of one stream, where its answer may not have more tokens than fit.
pub const STREAM_BYTES_MAX: usize = 10 * 1024 * 1024;

/// One server-sent event: its name and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseFrame {
    /// Its name, when it has one.
    pub event: Option<String>,
    /// Its data; the lines of a multi-line event joined by newlines.
    pub data: String,
}

/// A piece of a stream from one boundary of events to the next, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFrame {
    /// Its bytes, the empty line at its end included.
    pub bytes: Bytes,
    /// The event in it; none where it holds comments alone.
    pub frame: Option<SseFrame>,
}

/// Why a stream cannot be read on.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SseError {
    /// One event is larger than it may be.
    #[error("a stream event is larger than {limit} bytes")]
    FrameTooLarge {
        /// Most bytes that are allowed.
        limit: usize,
    },
    /// The stream as a whole is larger than it may be.
    #[error("the stream is larger than {limit} bytes")]
    StreamTooLarge {
        /// Most bytes that are allowed.
        limit: usize,
    },
    /// The bytes are not text.
    #[error("the stream is not UTF-8")]
    NotUtf8,
}

/// Writes one event. Newlines inside `data` become further `data:` lines.
pub fn encode_frame(event: Option<&str>, data: &str) -> String {
    let mut out = String::with_capacity(data.len() + 32);
    if let Some(event) = event {
        out.push_str("event: ");
        out.push_str(event);
        out.push('\n');
    }
    for line in data.split('\n') {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
    out
}

/// Reads events from bytes, however they are cut.
///
/// An event that its empty line never ended is not an event: see [`SseDecoder::is_clean`].
#[derive(Debug)]
pub struct SseDecoder {
    frame_bytes_max: usize,
    stream_bytes_max: usize,
    seen_bytes: usize,
    line: Vec<u8>,
    after_cr: bool,
    first_line: bool,
    event: Option<String>,
    data: Option<String>,
    /// What came behind the last boundary, where pieces are passed on as they came.
    open_bytes: Vec<u8>,
}

/// What a byte completed.
enum LineEnd {
    /// No event.
    Inside,
    /// An empty line ended an event, or nothing but comments.
    Boundary(Option<SseFrame>),
}

impl Default for SseDecoder {
    fn default() -> Self {
        Self::with_limits(FRAME_BYTES_MAX, STREAM_BYTES_MAX)
    }
}

impl SseDecoder {
    /// A decoder that refuses larger events and streams.
    pub fn with_limits(frame_bytes_max: usize, stream_bytes_max: usize) -> Self {
        Self {
            frame_bytes_max,
            stream_bytes_max,
            seen_bytes: 0,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            event: None,
            data: None,
            open_bytes: Vec::new(),
        }
    }

    /// Takes the next bytes and gives the events they complete.
    ///
    /// # Errors
    /// Returns [`SseError`] when a limit is passed or a line is not UTF-8; the decoder is then spent.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseFrame>, SseError> {
        self.count_bytes(bytes)?;
        let mut frames = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (n_taken, end) = self.take_line(rest)?;
            rest = &rest[n_taken..];
            if let LineEnd::Boundary(Some(frame)) = end {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    /// Takes the next bytes and gives the pieces they complete, none of the bytes left out.
    ///
    /// # Errors
    /// As [`SseDecoder::push`].
    pub fn push_raw(&mut self, bytes: &Bytes) -> Result<Vec<RawFrame>, SseError> {
        self.count_bytes(bytes)?;
        let mut frames = Vec::new();
        let (mut begin, mut at) = (0, 0);
        while at < bytes.len() {
            let (n_taken, end) = self.take_line(&bytes[at..])?;
            at += n_taken;
            if let LineEnd::Boundary(frame) = end {
                // Mostly an event comes whole: it is a part of the bytes that came.
                let bytes = if self.open_bytes.is_empty() {
                    bytes.slice(begin..at)
                } else {
                    self.open_bytes.extend_from_slice(&bytes[begin..at]);
                    std::mem::take(&mut self.open_bytes).into()
                };
                begin = at;
                frames.push(RawFrame { bytes, frame });
            }
        }
        self.open_bytes.extend_from_slice(&bytes[begin..]);
        Ok(frames)
    }

    /// The bytes behind the last boundary of [`SseDecoder::push_raw`].
    pub fn take_open_bytes(&mut self) -> Bytes {
        std::mem::take(&mut self.open_bytes).into()
    }

    fn count_bytes(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        self.seen_bytes += bytes.len();
        if self.seen_bytes > self.stream_bytes_max {
            let limit = self.stream_bytes_max;
            return Err(SseError::StreamTooLarge { limit });
        }
        Ok(())
    }

    /// Takes bytes, of which there are some, up to the first end of a line; gives how many.
    fn take_line(&mut self, bytes: &[u8]) -> Result<(usize, LineEnd), SseError> {
        // `\r\n` is one line end, even when the two come in different pieces.
        let is_lf_of_crlf = std::mem::take(&mut self.after_cr) && bytes[0] == b'\n';
        let n_skipped = usize::from(is_lf_of_crlf);
        let rest = &bytes[n_skipped..];
        let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
            self.line.extend_from_slice(rest);
            self.check_frame(self.line.len())?;
            return Ok((bytes.len(), LineEnd::Inside));
        };
        self.after_cr = rest[end] == b'\r';
        let mut begun = std::mem::take(&mut self.line);
        let line = if begun.is_empty() {
            &rest[..end]
        } else {
            begun.extend_from_slice(&rest[..end]);
            begun.as_slice()
        };
        self.check_frame(line.len())?;
        Ok((n_skipped + end + 1, self.end_line(line)?))
    }

    fn check_frame(&self, line_bytes: usize) -> Result<(), SseError> {
        let limit = self.frame_bytes_max;
        let data_bytes = self.data.as_ref().map_or(0, String::len);
        if line_bytes > 0 && line_bytes + data_bytes > limit {
            return Err(SseError::FrameTooLarge { limit });
        }
        Ok(())
    }

    /// Whether the stream may end here: no event was begun and left open.
    pub fn is_clean(&self) -> bool {
        self.line.is_empty() && self.event.is_none() && self.data.is_none()
    }

    fn end_line(&mut self, line: &[u8]) -> Result<LineEnd, SseError> {
        let mut line = std::str::from_utf8(line).map_err(|_| SseError::NotUtf8)?;
        if std::mem::take(&mut self.first_line) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            let event = self.event.take();
            let frame = self.data.take().map(|data| SseFrame { event, data });
            return Ok(LineEnd::Boundary(frame));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            // Comments (an empty field name), `id`, `retry` and unknown fields carry nothing for us.
            _ => {}
        }
        Ok(LineEnd::Inside)
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        reason = "a test fails where it stands"
    )]
    use super::*;

    fn frame(event: Option<&str>, data: &str) -> SseFrame {
        SseFrame {
            event: event.map(str::to_owned),
            data: data.to_owned(),
        }
    }

    #[test]
    fn any_cut_gives_the_same_events() {
        let text = "\u{feff}event: a\ndata: {\"x\":\"é—日\"}\n\n: comment\r\nid: 3\r\n\
                    data: one\r\ndata:two\r\n\r\nevent: only\n\ndata\rdata: \r\rdata: [DONE]\n\n";
        let want = [
            frame(Some("a"), "{\"x\":\"é—日\"}"),
            frame(None, "one\ntwo"),
            frame(None, "\n"),
            frame(None, "[DONE]"),
        ];
        let bytes = text.as_bytes();
        for cut in 0..=bytes.len() {
            let mut decoder = SseDecoder::default();
            let mut got = decoder.push(&bytes[..cut]).unwrap();
            got.extend(decoder.push(&bytes[cut..]).unwrap());
            assert_eq!(got, want, "cut at byte {cut}");
            assert!(decoder.is_clean());
        }
        let mut decoder = SseDecoder::default();
        let got: Vec<_> = bytes
            .iter()
            .flat_map(|b| decoder.push(&[*b]).unwrap())
            .collect();
        assert_eq!(got, want);
    }

    #[test]
    fn raw_pieces_hold_every_byte_wherever_they_are_cut() {
        let text = ": hello\n\nevent: a\ndata: {}\r\n\r\ndata: é\n\n\n: only\n\ndata: [DONE]";
        let bytes = Bytes::from_static(text.as_bytes());
        for cut in 0..=bytes.len() {
            let mut decoder = SseDecoder::default();
            let mut pieces = decoder.push_raw(&bytes.slice(..cut)).unwrap();
            pieces.extend(decoder.push_raw(&bytes.slice(cut..)).unwrap());
            let frames: Vec<_> = pieces.iter().filter_map(|p| p.frame.clone()).collect();
            assert_eq!(frames, [frame(Some("a"), "{}"), frame(None, "é")]);
            let mut whole: Vec<u8> = pieces.iter().flat_map(|p| p.bytes.to_vec()).collect();
            whole.extend(decoder.take_open_bytes());
            assert_eq!(whole, bytes, "cut at byte {cut}");
        }
    }

    #[test]
    fn written_events_read_back() {
        for (event, data) in [(Some("ping"), "{}"), (None, "a\nb"), (None, "")] {
            let mut decoder = SseDecoder::default();
            assert_eq!(
                decoder.push(encode_frame(event, data).as_bytes()).unwrap(),
                [frame(event, data)]
            );
        }
    }

    #[test]
    fn limits_and_open_ends() {
        let mut decoder = SseDecoder::with_limits(8, 100);
        assert_eq!(
            decoder.push(b"data: 12345"),
            Err(SseError::FrameTooLarge { limit: 8 })
        );
        let mut decoder = SseDecoder::with_limits(1000, 10);
        assert_eq!(
            decoder.push(b"data: 12345"),
            Err(SseError::StreamTooLarge { limit: 10 })
        );
        let mut decoder = SseDecoder::default();
        assert_eq!(decoder.push(b"data: \xff\n"), Err(SseError::NotUtf8));
        let mut decoder = SseDecoder::default();
        assert_eq!(decoder.push(b"data: half\n").unwrap(), []);
        assert!(!decoder.is_clean());
    }
}
