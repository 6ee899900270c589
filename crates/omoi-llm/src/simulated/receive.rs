//! Checks a request: headers, keys, body and wire format.

use http::HeaderMap;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::{
    Dialect, MODEL, RecordedRequest, absolute_path, cache_figures,
    checked_request::CheckedRequest,
    foreign_request,
    located_value::LocatedValue,
    refusal::{RefusalReason, RequestRefusal},
    side_answer::{self, SideFacts},
};
use crate::{
    scenario::RequestKeys,
    wire::{anthropic::VERSION, headers},
};

/// Checks a whole request; the digest of its body goes into every id of the answer.
pub(super) fn check_request(
    recorded: &mut RecordedRequest,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<CheckedRequest, RequestRefusal> {
    let RecordedRequest {
        wire,
        body,
        unknown,
        ..
    } = recorded;
    let wire = *wire;
    let model = LocatedValue::at_root(body)
        .open_object()?
        .required_field("model")?;
    if model.non_blank_text()? != MODEL {
        let model = model.non_blank_text()?.to_owned();
        return Err(RefusalReason::UnknownModel { model }.into());
    }
    let own = foreign_request::is_own(headers);
    let mut form = if own {
        let form = foreign_request::check_body(wire, body)?;
        if form.has_calls && form.tools.is_empty() {
            return Err(RequestRefusal::new("tools", RefusalReason::ToolsMissing));
        }
        form
    } else {
        *unknown = foreign_request::unknown_headers(headers);
        foreign_request::check_known(wire, body, unknown)?
    };
    if !unknown.is_empty() {
        let fields = unknown.join(", ");
        tracing::info!(
            "A client that is not ours sent what the simulated model does not know: {fields}"
        );
    }
    if let Some(turn) = side_answer::turn_after_summary(body).filter(|_| !own) {
        form.turn = turn;
    }
    let keys = read_keys(headers, own, form.turn)?;
    let facts = SideFacts {
        own,
        asks_summary: side_answer::asks_summary(body),
        form: &form,
        body_kind: side_answer::body_kind(body),
    };
    let route = text_header(headers, headers::ROUTE)?;
    Ok(CheckedRequest {
        wire,
        own,
        is_side: side_answer::is_side_question(route, keys.role.as_deref(), &facts),
        keys,
        prompt: cache_figures::count_prompt(wire, body, bytes.len()),
        digest: hex::encode(Sha256::digest(bytes)),
        folder: absolute_path::working_folder(bytes),
        form,
    })
}

/// Every request must name a key, and for one vendor the version it speaks.
pub(super) fn check_headers(wire: Dialect, headers: &HeaderMap) -> Result<(), RequestRefusal> {
    let given = |name| {
        text_header(headers, name)
            .ok()
            .flatten()
            .filter(|text| !text.trim().is_empty())
    };
    let bearer = given("authorization")
        .and_then(|text| text.strip_prefix("Bearer "))
        .is_some_and(|token| !token.trim().is_empty());
    match wire {
        Dialect::Messages if bearer || given("x-api-key").is_some() => {
            let name = "anthropic-version";
            let found = text_header(headers, name)?.ok_or(RefusalReason::MissingHeader { name })?;
            if found != VERSION && foreign_request::is_own(headers) {
                let (expected, found) = ("`2023-06-01`", found.to_owned());
                return Err(RefusalReason::BadHeader {
                    name,
                    expected,
                    found,
                }
                .into());
            }
            Ok(())
        }
        Dialect::ChatCompletions | Dialect::Responses if bearer => Ok(()),
        _ => Err(RefusalReason::NoKey.into()),
    }
}

/// The body must be said to be JSON, and be it.
pub(super) fn parse_body(headers: &HeaderMap, bytes: &[u8]) -> Result<Json, RequestRefusal> {
    let name = "content-type";
    let found = text_header(headers, name)?.ok_or(RefusalReason::MissingHeader { name })?;
    let media_type = found.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let (expected, found) = ("`application/json`", found.to_owned());
        return Err(RefusalReason::BadHeader {
            name,
            expected,
            found,
        }
        .into());
    }
    serde_json::from_slice(bytes).map_err(|error| RefusalReason::NotJson(error).into())
}

/// The keys of the request; `counted` is the turn that its messages show. A program that keeps its own
/// history may count its messages in another way than we do.
fn read_keys(headers: &HeaderMap, own: bool, counted: u32) -> Result<RequestKeys, RequestRefusal> {
    let owned = |name| text_header(headers, name).map(|text| text.map(str::to_owned));
    if let Some(said) = number_header(headers, headers::TURN)?
        && own
        && said != counted
    {
        return Err(RefusalReason::TurnMismatch { said, counted }.into());
    }
    let title = match text_header(headers, headers::TITLE)? {
        None => None,
        Some(encoded) => Some(headers::percent_decode(encoded).ok_or_else(|| {
            let (name, expected) = (headers::TITLE, "percent-encoded UTF-8");
            RefusalReason::BadHeader {
                name,
                expected,
                found: encoded.to_owned(),
            }
        })?),
    };
    Ok(RequestKeys {
        role: owned(headers::ROLE)?,
        phase: owned(headers::PHASE)?,
        task: owned(headers::TASK)?,
        title,
        round: number_header(headers, headers::ROUND)?,
        turn: counted,
    })
}

fn number_header(headers: &HeaderMap, name: &'static str) -> Result<Option<u32>, RequestRefusal> {
    let Some(found) = text_header(headers, name)? else {
        return Ok(None);
    };
    let wrong = |_| {
        let (expected, found) = ("a whole number", found.to_owned());
        RequestRefusal::from(RefusalReason::BadHeader {
            name,
            expected,
            found,
        })
    };
    found.parse().map(Some).map_err(wrong)
}

fn text_header<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
) -> Result<Option<&'a str>, RequestRefusal> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    value.to_str().map(Some).map_err(|_| {
        let found = String::from_utf8_lossy(value.as_bytes()).into_owned();
        RefusalReason::BadHeader {
            name,
            expected: "visible ASCII",
            found,
        }
        .into()
    })
}

/// Bytes that a request may have.
pub(super) const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
