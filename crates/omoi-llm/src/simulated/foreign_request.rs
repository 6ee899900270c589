//! Requests of clients that are not ours: what this server does not know of them is recorded and left
//! out, as a provider may know it.

use http::HeaderMap;
use serde_json::Value as Json;

use super::{
    WireFormat, anthropic_request,
    checked_request::RequestForm,
    openai_request,
    refusal::{RefusalReason, RequestRefusal},
};
use crate::wire::{
    anthropic::{MessagesRequest, VERSION},
    headers,
};

/// Most unknown fields of one request.
const UNKNOWN_MAX: usize = 500;

/// Whether a client of ours sent the request: it is checked to the letter.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    headers.contains_key(headers::CLIENT)
}

/// Checks `body` without the fields that are not known, whose places are added to `unknown`.
pub(super) fn check_known(
    wire: WireFormat,
    body: &Json,
    unknown: &mut Vec<String>,
) -> Result<RequestForm, RequestRefusal> {
    let mut body = body.clone();
    if wire == WireFormat::Anthropic {
        fold_instructions(&mut body, unknown);
    }
    loop {
        let checked = match wire {
            WireFormat::Anthropic => anthropic_request::check_body(&body),
            WireFormat::OpenAi => openai_request::check_body(&body),
        };
        let refusal = match checked {
            Err(refusal) if matches!(refusal.reason, RefusalReason::UnknownField) => refusal,
            other => return other,
        };
        if unknown.len() >= UNKNOWN_MAX || !remove_field(&mut body, &refusal.at) {
            return Err(refusal);
        }
        unknown.push(refusal.at);
    }
}

/// Versions of the API and switches that this server does not know.
pub(super) fn unknown_headers(headers: &HeaderMap) -> Vec<String> {
    ["anthropic-version", "anthropic-beta"]
        .into_iter()
        .flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)))
        .map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes())))
        .filter(|(_, value)| value != VERSION)
        .map(|(name, value)| format!("{name}: {value}"))
        .collect()
}

/// Puts instructions in the midst of the conversation ahead of it, as the gateway does.
fn fold_instructions(body: &mut Json, unknown: &mut Vec<String>) {
    let messages = body["messages"].as_array().map(Vec::as_slice);
    let messages = messages.unwrap_or_default().iter().enumerate();
    let found: Vec<usize> = messages
        .filter(|(_, message)| message["role"] == "system")
        .map(|(index, _)| index)
        .collect();
    if found.is_empty() {
        return;
    }
    // What is no request at all is refused by the check that follows.
    if let Ok(mut request) = serde_json::from_value::<MessagesRequest>(body.clone()) {
        request.fold_system_messages();
        if let Ok(folded) = serde_json::to_value(request) {
            *body = folded;
            unknown.extend(
                found
                    .iter()
                    .map(|at| format!("messages.{at} (role system)")),
            );
        }
    }
}

/// Takes the field at `path`, as refusals name it, out of `body`; false where there is none. A name
/// that holds a dot is found too.
fn remove_field(body: &mut Json, path: &str) -> bool {
    if let Some(fields) = body.as_object_mut()
        && fields.remove(path).is_some()
    {
        return true;
    }
    path.match_indices('.').any(|(dot, _)| {
        let (first, rest) = (&path[..dot], &path[dot + 1..]);
        let inner = match body {
            Json::Array(items) => first.parse().ok().and_then(|at: usize| items.get_mut(at)),
            Json::Object(fields) => fields.get_mut(first),
            _ => None,
        };
        inner.is_some_and(|inner| remove_field(inner, rest))
    })
}
