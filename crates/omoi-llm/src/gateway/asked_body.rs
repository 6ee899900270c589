//! The body of a question, parsed where that does not hold up others.

use bytes::Bytes;

use super::bad_request;
use super::caller_ask::{AskWay, CallerAsk};
use super::refusal::GatewayRefusal;
use crate::wire::dialect::Dialect;
use crate::wire::raw_request::RawRequest;

/// The question as it came.
pub(super) struct AskedBody {
    /// It is parsed once for the first model, and again for each further one.
    pub(super) parsed: Option<RawRequest>,
    /// Empty once no model can need it any more.
    pub(super) body: Bytes,
}

impl AskedBody {
    /// The question as it goes by `way`; its text is dropped where `is_last`.
    pub(super) async fn take_ask(
        &mut self,
        dialect: Dialect,
        way: AskWay,
        is_last: bool,
    ) -> Result<CallerAsk, GatewayRefusal> {
        let parsed = self.parsed.take();
        let body = match is_last {
            true => std::mem::take(&mut self.body),
            false => self.body.clone(),
        };
        let ask = read_apart(body.len(), move || {
            let asked = match parsed {
                Some(asked) => asked,
                None => RawRequest::parse(dialect, &body).map_err(|bad| bad_request(&bad))?,
            };
            CallerAsk::for_upstream(asked, way, &body)
        });
        ask.await
    }
}

/// Bodies from this size on are parsed apart from the threads that answer.
const APART_BYTES: usize = 256 * 1024;

/// Does `work` on a body of `n_bytes`.
pub(super) async fn read_apart<T: Send + 'static>(
    n_bytes: usize,
    work: impl FnOnce() -> Result<T, GatewayRefusal> + Send + 'static,
) -> Result<T, GatewayRefusal> {
    if n_bytes < APART_BYTES {
        return work();
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| {
        let says = "the request could not be read";
        Err(GatewayRefusal::internal_failure(says))
    })
}

pub(super) async fn read_question(
    dialect: Dialect,
    body: &Bytes,
) -> Result<RawRequest, GatewayRefusal> {
    let text = body.clone();
    let asked = read_apart(body.len(), move || {
        RawRequest::parse(dialect, &text).map_err(|bad| bad_request(&bad))
    });
    let asked = asked.await?;
    match &asked.refused_part {
        None => Ok(asked),
        Some(part) => {
            let says = format!("`{}` is refused: {}", part.name, part.why);
            Err(GatewayRefusal::invalid_request(says))
        }
    }
}
