//! Taking a request in: headers, keys, body, and the checks of its wire format.

use http::HeaderMap;
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use super::{
    MODEL, Recorded, Wire, anthropic_request,
    asked::Asked,
    openai_request,
    refusal::{Reason, Refusal},
    tolerance,
    walk::At,
};
use crate::{
    scenario::RequestKeys,
    wire::{anthropic::VERSION, headers},
};

/// Checks a whole request; the digest of its body goes into every id of the answer.
pub(super) fn check(
    seen: &mut Recorded,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<Asked, Refusal> {
    let Recorded {
        wire,
        body,
        unknown,
        ..
    } = seen;
    let wire = *wire;
    let model = At::root(body).open_object()?.required("model")?;
    if model.words()? != MODEL {
        let model = model.words()?.to_owned();
        return Err(Reason::UnknownModel { model }.into());
    }
    let form = match (tolerance::is_own(headers), wire) {
        (true, Wire::Anthropic) => anthropic_request::check(body)?,
        (true, Wire::OpenAi) => openai_request::check(body)?,
        (false, _) => {
            *unknown = tolerance::unknown_headers(headers);
            tolerance::check(wire, body, unknown)?
        }
    };
    if !unknown.is_empty() {
        let fields = unknown.join(", ");
        tracing::info!(
            "A client that is not ours sent what the simulated model does not know: {fields}"
        );
    }
    let keys = keys(headers, form.turn)?;
    let digest = hex::encode(Sha256::digest(bytes));
    Ok(Asked {
        wire,
        keys,
        body_bytes: bytes.len(),
        digest,
        form,
    })
}

/// Every request must name a key, and for one vendor the version it speaks.
pub(super) fn check_headers(wire: Wire, headers: &HeaderMap) -> Result<(), Refusal> {
    let given = |name| {
        text(headers, name)
            .ok()
            .flatten()
            .filter(|text| !text.trim().is_empty())
    };
    let bearer = given("authorization")
        .and_then(|text| text.strip_prefix("Bearer "))
        .is_some_and(|token| !token.trim().is_empty());
    match wire {
        Wire::Anthropic if bearer || given("x-api-key").is_some() => {
            let name = "anthropic-version";
            let found = text(headers, name)?.ok_or(Reason::MissingHeader { name })?;
            if found != VERSION && tolerance::is_own(headers) {
                let (expected, found) = ("`2023-06-01`", found.to_owned());
                return Err(Reason::BadHeader {
                    name,
                    expected,
                    found,
                }
                .into());
            }
            Ok(())
        }
        Wire::OpenAi if bearer => Ok(()),
        Wire::Anthropic | Wire::OpenAi => Err(Reason::NoKey.into()),
    }
}

/// The body must be said to be JSON, and be it.
pub(super) fn parse(headers: &HeaderMap, bytes: &[u8]) -> Result<Json, Refusal> {
    let name = "content-type";
    let found = text(headers, name)?.ok_or(Reason::MissingHeader { name })?;
    let media_type = found.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let (expected, found) = ("`application/json`", found.to_owned());
        return Err(Reason::BadHeader {
            name,
            expected,
            found,
        }
        .into());
    }
    serde_json::from_slice(bytes).map_err(|error| Reason::NotJson(error).into())
}

/// The keys of the request; `counted` is the turn that its messages show.
fn keys(headers: &HeaderMap, counted: u32) -> Result<RequestKeys, Refusal> {
    let owned = |name| text(headers, name).map(|text| text.map(str::to_owned));
    if let Some(said) = number(headers, headers::TURN)?
        && said != counted
    {
        return Err(Reason::TurnMismatch { said, counted }.into());
    }
    let title = match text(headers, headers::TITLE)? {
        None => None,
        Some(encoded) => Some(headers::percent_decode(encoded).ok_or_else(|| {
            let (name, expected) = (headers::TITLE, "percent-encoded UTF-8");
            Reason::BadHeader {
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
        round: number(headers, headers::ROUND)?,
        turn: counted,
    })
}

fn number(headers: &HeaderMap, name: &'static str) -> Result<Option<u32>, Refusal> {
    let Some(found) = text(headers, name)? else {
        return Ok(None);
    };
    let wrong = |_| {
        let (expected, found) = ("a whole number", found.to_owned());
        Refusal::from(Reason::BadHeader {
            name,
            expected,
            found,
        })
    };
    found.parse().map(Some).map_err(wrong)
}

fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    value.to_str().map(Some).map_err(|_| {
        let found = String::from_utf8_lossy(value.as_bytes()).into_owned();
        Reason::BadHeader {
            name,
            expected: "visible ASCII",
            found,
        }
        .into()
    })
}

/// Bytes that a request may have.
pub(super) const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
