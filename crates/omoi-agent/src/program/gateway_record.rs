//! What the gateway refused: programs say little of it, or call it a success.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::StatusCode;
use omoi_llm::gateway::{BUDGET_KIND, MODEL_DECLINED_KIND, SUPERSEDED_KIND};
use omoi_llm::upstream::UpstreamError;
use omoi_llm::wire::anthropic::status_of_error;
use serde_json::Value;

/// Bytes of a refusal that are looked at.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Bytes of one line of a stream that are looked at; errors are short.
const LINE_BYTES_MAX: usize = 16 << 10;

/// The last refusal of the gateway that no later answer made up for.
#[derive(Clone, Debug, Default)]
pub(crate) struct GatewayRecord(Arc<Mutex<Option<RecordedRefusal>>>);

/// Why the gateway gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordedRefusal {
    /// HTTP status, that of the error's kind where it came within a stream.
    pub(crate) status: u16,
    /// Kind of the error.
    pub(crate) kind: String,
    /// Words of the gateway.
    pub(crate) message: String,
}

impl RecordedRefusal {
    /// The refusal as the worker's own client would have met it.
    pub(crate) fn into_error(self) -> UpstreamError {
        UpstreamError::Status {
            status: self.status,
            kind: self.kind,
            message: self.message,
            retry_after: None,
            should_retry: false,
        }
    }
}

impl GatewayRecord {
    /// Takes the last refusal.
    pub(crate) fn take_refusal(&self) -> Option<RecordedRefusal> {
        self.lock_record().take()
    }

    /// Whether the last call was refused.
    pub(crate) fn has_refusal(&self) -> bool {
        self.lock_record().is_some()
    }

    pub(super) fn note_refusal(&self, refusal: RecordedRefusal) {
        *self.lock_record() = Some(refusal);
    }

    pub(super) fn clear(&self) {
        *self.lock_record() = None;
    }

    fn lock_record(&self) -> std::sync::MutexGuard<'_, Option<RecordedRefusal>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a refusal as the gateway writes it.
pub(super) fn read_refusal(status: StatusCode, body: &Bytes) -> RecordedRefusal {
    let body = &body[..body.len().min(REFUSAL_BYTES_MAX)];
    let (kind, message) = serde_json::from_slice(body)
        .ok()
        .and_then(|body: Value| read_error(&body))
        .unwrap_or_else(|| ("api_error".to_owned(), format!("status {status}")));
    RecordedRefusal {
        status: status.as_u16(),
        kind,
        message,
    }
}

/// Kind and words of an error object, which is nearly the same in every dialect.
fn read_error(body: &Value) -> Option<(String, String)> {
    let error = body.get("error").filter(|error| error.is_object())?;
    let text = |name| error.get(name).and_then(Value::as_str);
    // Where OpenAI's dialects have a wide type, the code says that the attempt is over, its budget spent, or its
    // model declines.
    let own = [SUPERSEDED_KIND, BUDGET_KIND, MODEL_DECLINED_KIND];
    let code = text("code").filter(|code| own.contains(code));
    let kind = code
        .or_else(|| text("type"))
        .or_else(|| text("code"))
        .unwrap_or("api_error");
    Some((
        kind.to_owned(),
        text("message").unwrap_or_default().to_owned(),
    ))
}

/// Looks for an error among the events of a stream that began well.
#[derive(Debug, Default)]
pub(super) struct ErrorWatch {
    line: Vec<u8>,
    is_skipped: bool,
}

impl ErrorWatch {
    /// Looks at the next bytes; gives the last error that ended in them.
    pub(super) fn watch_chunk(&mut self, chunk: &[u8]) -> Option<RecordedRefusal> {
        let mut found = None;
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let ends = piece.ends_with(b"\n");
            self.is_skipped |= self.line.len() + piece.len() > LINE_BYTES_MAX;
            if !self.is_skipped {
                self.line.extend_from_slice(piece);
            }
            if ends {
                if !self.is_skipped {
                    found = error_of_line(&self.line).or(found);
                }
                self.line.clear();
                self.is_skipped = false;
            }
        }
        found
    }
}

fn error_of_line(line: &[u8]) -> Option<RecordedRefusal> {
    let data = line.strip_prefix(b"data:")?;
    // Cheap, for thousands of lines that hold no error.
    if !data.windows(8).any(|part| part == b"\"error\":") {
        return None;
    }
    let body: Value = serde_json::from_slice(data).ok()?;
    let is_failure = body
        .get("response")
        .is_some_and(|response| !response["error"].is_null());
    let body = if is_failure { &body["response"] } else { &body };
    let (kind, message) = read_error(body)?;
    Some(RecordedRefusal {
        status: status_of_error(&kind).unwrap_or(500),
        kind,
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_superseded_attempt_is_known_in_every_dialect() {
        for body in [
            serde_json::json!({"type": "error", "error": {"type": SUPERSEDED_KIND, "message": "over"}}),
            serde_json::json!({"error": {"type": "invalid_request_error", "code": SUPERSEDED_KIND, "message": "over"}}),
        ] {
            let found = read_refusal(StatusCode::FORBIDDEN, &Bytes::from(body.to_string()));
            assert_eq!((found.status, found.kind.as_str()), (403, SUPERSEDED_KIND));
        }
    }

    #[test]
    fn an_error_within_a_stream_is_found_in_every_dialect() {
        let cases = [
            ("event: ping\ndata: {\"type\": \"ping\"}\n\n", None),
            (
                "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n",
                Some((529, "overloaded_error", "busy")),
            ),
            (
                "data: {\"error\":{\"code\":\"strange\",\"message\":\"no\"}}\n",
                Some((500, "strange", "no")),
            ),
            (
                "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_error\",\"message\":\"slow\"}}}\n",
                Some((429, "rate_limit_error", "slow")),
            ),
            (
                "data: {\"error\":{\"type\":\"invalid_request_error\",\"code\":\"model_declined\",\"message\":\"no\"}}\n",
                Some((400, MODEL_DECLINED_KIND, "no")),
            ),
            (
                "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"budget_exhausted\",\"message\":\"spent\"}}}\n",
                Some((402, BUDGET_KIND, "spent")),
            ),
            ("data: {\"response\":{\"error\":null}}\n", None),
            // Words of a model, not an error.
            ("data: {\"delta\":{\"text\":\"\\\"error\\\":\"}}\n", None),
        ];
        for (text, want) in cases {
            for size in [1, 7, text.len()] {
                let mut watch = ErrorWatch::default();
                let chunks = text.as_bytes().chunks(size);
                let found = chunks.filter_map(|chunk| watch.watch_chunk(chunk)).last();
                let found = found.as_ref();
                let found = found.map(|f| (f.status, f.kind.as_str(), f.message.as_str()));
                assert_eq!(found, want, "{text}");
            }
        }
        let mut watch = ErrorWatch::default();
        let long = format!("data: {}\"error\":\n", "x".repeat(LINE_BYTES_MAX));
        assert_eq!(watch.watch_chunk(long.as_bytes()), None);
        assert!(watch.line.is_empty() && !watch.is_skipped);
    }
}
