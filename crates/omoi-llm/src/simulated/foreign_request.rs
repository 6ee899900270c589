//! Requests of clients that are not ours: what this server does not know of them is recorded and left
//! out, as a provider may know it; what providers allow and our own clients never do is mended.

use http::HeaderMap;
use serde_json::{Value as Json, json};

use super::{
    Dialect, chat_request,
    checked_request::RequestForm,
    messages_request,
    refusal::{RefusalReason, RequestRefusal},
    responses_request,
};
use crate::wire::{anthropic::VERSION, headers};

/// Most places of one request that are mended.
const MENDS_MAX: usize = 2000;
/// Stands where all that was said is not known.
const LEFT_OUT: &str = "(left out)";

/// Headers that every client sends, and those of our own gateway.
const KNOWN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "user-agent",
    "x-api-key",
];
const OWN_HEADERS: &str = "x-omoi-";
const BETA: &str = "anthropic-beta";
const API_VERSION: &str = "anthropic-version";

/// Whether a client of ours sent the request: it is checked to the letter.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    headers.contains_key(headers::CLIENT)
}

/// Checks `body` as its format wants it.
pub(super) fn check_body(wire: Dialect, body: &Json) -> Result<RequestForm, RequestRefusal> {
    match wire {
        Dialect::Messages => messages_request::check_body(body),
        Dialect::ChatCompletions => chat_request::check_body(body),
        Dialect::Responses => responses_request::check_body(body),
    }
}

/// Checks `body` without what is not known, whose places are added to `unknown`.
pub(super) fn check_known(
    wire: Dialect,
    body: &Json,
    unknown: &mut Vec<String>,
) -> Result<RequestForm, RequestRefusal> {
    let mut body = body.clone();
    for _ in 0..MENDS_MAX {
        let refusal = match check_body(wire, &body) {
            Err(refusal) => refusal,
            form => return form,
        };
        match mend_body(wire, &mut body, &refusal) {
            Some(Mend::Known) => {}
            Some(Mend::Unknown(place)) => unknown.push(place),
            None => return Err(refusal),
        }
    }
    check_body(wire, &body)
}

/// What was mended.
enum Mend {
    /// Something that providers allow.
    Known,
    /// Something that this server does not know, at this place.
    Unknown(String),
}

impl Mend {
    fn place(path: &str, what: impl std::fmt::Display) -> Self {
        Self::Unknown(format!("{path} ({what})"))
    }
}

/// Changes `body` so that the check gets past `refusal`; none where a provider would refuse, too.
fn mend_body(wire: Dialect, body: &mut Json, refusal: &RequestRefusal) -> Option<Mend> {
    let path = refusal.at.as_str();
    let (parent, field) = match path.rsplit_once('.') {
        Some((parent, field)) => (Some(parent), field),
        None => (None, path),
    };
    match &refusal.reason {
        RefusalReason::UnknownField => {
            remove_at(body, path)?;
            Some(Mend::Unknown(path.to_owned()))
        }
        RefusalReason::BlockNotAllowed { kind, .. } => {
            remove_at(body, path)?;
            fill_empty(body, parent?);
            Some(Mend::place(path, kind))
        }
        // Instructions in the midst of a conversation, and tools of a vendor.
        RefusalReason::NotOneOf { found, .. } if field == "role" => {
            remove_at(body, parent?)?;
            Some(Mend::place(parent?, format_args!("role {found}")))
        }
        RefusalReason::NotOneOf { found, .. } if field == "type" && path.starts_with("tools.") => {
            remove_at(body, parent?)?;
            Some(Mend::place(parent?, format_args!("type {found}")))
        }
        RefusalReason::SystemNotFirst => {
            remove_at(body, path)?;
            Some(Mend::place(path, "role system"))
        }
        RefusalReason::RolesAlternate { .. } => {
            merge_into_previous(body, path)?;
            Some(Mend::Known)
        }
        RefusalReason::BadSchema { .. } => {
            *value_at(body, path)? = json!({"type": "object"});
            Some(Mend::place(path, "schema"))
        }
        RefusalReason::Missing if field == "parameters" => {
            value_at(body, parent?)?["parameters"] = json!({"type": "object"});
            Some(Mend::Known)
        }
        RefusalReason::WrongType { .. } if value_at(body, path)?.is_null() => {
            remove_at(body, path)?;
            Some(Mend::Known)
        }
        RefusalReason::Empty if path == "tools" => {
            remove_at(body, path)?;
            Some(Mend::Known)
        }
        RefusalReason::Empty if wire != Dialect::Messages => {
            mend_empty(body, path)?;
            Some(Mend::Known)
        }
        RefusalReason::ArgumentsNotJson => {
            *value_at(body, path)? = json!("{}");
            Some(Mend::place(path, "no JSON"))
        }
        _ => None,
    }
}

/// A list of contents that lost its last part says so.
fn fill_empty(body: &mut Json, path: &str) {
    if let Some(list) = value_at(body, path)
        && path.ends_with("content")
        && list.as_array().is_some_and(Vec::is_empty)
    {
        *list = json!(LEFT_OUT);
    }
}

/// Two vendors let a message or a tool say nothing.
fn mend_empty(body: &mut Json, path: &str) -> Option<()> {
    let value = value_at(body, path)?;
    match value {
        Json::String(_) | Json::Array(_) => *value = json!(LEFT_OUT),
        Json::Object(message) if message.contains_key("role") => {
            message.insert("content".to_owned(), json!(LEFT_OUT));
        }
        _ => return None,
    }
    Some(())
}

/// Joins the message at `path` with the one before, which is of the same role.
fn merge_into_previous(body: &mut Json, path: &str) -> Option<()> {
    let (list, index) = path.rsplit_once('.')?;
    let index: usize = index.parse().ok().filter(|index| *index > 0)?;
    let messages = value_at(body, list)?.as_array_mut()?;
    if index >= messages.len() {
        return None;
    }
    let mut later = messages.remove(index);
    let earlier = messages.get_mut(index - 1)?;
    let mut parts = into_parts(earlier["content"].take());
    parts.extend(into_parts(later["content"].take()));
    earlier["content"] = match parts.is_empty() {
        true => Json::Null,
        false => Json::Array(parts),
    };
    if let Json::Array(calls) = later["tool_calls"].take() {
        match &mut earlier["tool_calls"] {
            Json::Array(before) => before.extend(calls),
            none => *none = Json::Array(calls),
        }
    }
    if earlier["tool_calls"].is_null() {
        earlier.as_object_mut()?.shift_remove("tool_calls");
    }
    Some(())
}

fn into_parts(content: Json) -> Vec<Json> {
    match content {
        Json::Array(parts) => parts,
        Json::String(text) if text.is_empty() => Vec::new(),
        Json::String(text) => vec![json!({"type": "text", "text": text})],
        _ => Vec::new(),
    }
}

/// Headers that this server does not know: of versions and switches with their values, of others the names.
pub(super) fn unknown_headers(headers: &HeaderMap) -> Vec<String> {
    let mut unknown = Vec::new();
    for name in headers.keys() {
        let name = name.as_str();
        if KNOWN_HEADERS.contains(&name) || name.starts_with(OWN_HEADERS) {
            continue;
        }
        if name != BETA && name != API_VERSION {
            unknown.push(format!("header {name}"));
            continue;
        }
        let values = headers.get_all(name).iter();
        let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        for value in values {
            let words = value.split(',').map(str::trim);
            let words = words.filter(|word| name == BETA || *word != VERSION);
            unknown.extend(words.map(|word| format!("{name}: {word}")));
        }
    }
    unknown
}

/// Takes what is at `path`, as refusals name it, out of `body`; none where there is nothing.
fn remove_at(body: &mut Json, path: &str) -> Option<()> {
    match body {
        Json::Object(fields) if fields.contains_key(path) => {
            fields.shift_remove(path);
            return Some(());
        }
        Json::Array(items) => {
            if let Ok(index) = path.parse::<usize>()
                && index < items.len()
            {
                items.remove(index);
                return Some(());
            }
        }
        _ => {}
    }
    splits(path).find_map(|(first, rest)| remove_at(child_of(body, first)?, rest))
}

/// The value at `path`.
fn value_at<'a>(body: &'a mut Json, path: &str) -> Option<&'a mut Json> {
    if path.is_empty() || child_of(body, path).is_some() {
        return match path {
            "" => Some(body),
            path => child_of(body, path),
        };
    }
    let (first, rest) = splits(path).find(|(first, rest)| holds(body, first, rest))?;
    value_at(child_of(body, first)?, rest)
}

fn holds(body: &mut Json, first: &str, rest: &str) -> bool {
    child_of(body, first).is_some_and(|child| value_at(child, rest).is_some())
}

fn child_of<'a>(body: &'a mut Json, key: &str) -> Option<&'a mut Json> {
    match body {
        Json::Array(items) => items.get_mut(key.parse::<usize>().ok()?),
        Json::Object(fields) => fields.get_mut(key),
        _ => None,
    }
}

/// Every way to take the first name off a path: a name may hold a dot itself.
fn splits(path: &str) -> impl Iterator<Item = (&str, &str)> {
    path.match_indices('.')
        .map(|(dot, _)| (&path[..dot], &path[dot + 1..]))
}
