//! A caller's request that goes to a model of the same dialect as it came.
//!
//! Only what must change on the way is written anew: the model's name, the bound of the answer, what a
//! meter needs, and who asks. All other fields keep their bytes and their order, known or not.

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use thiserror::Error;

use super::dialect::Dialect;
use super::web_tool::{RefusedPart, find_refused_part};
use crate::token_count::{RequestSize, cap_fields, uncountable_field};

/// Fields by which a caller names its user, or itself, to the vendor.
const IDENTITY_FIELDS: [&str; 3] = ["user", "safety_identifier", "prompt_cache_key"];
/// What a caller tells of its installation, for its own vendor.
const CLIENT_FIELD: &str = "client_metadata";
/// Fields that some models refuse.
const SAMPLING_FIELDS: [&str; 3] = ["temperature", "top_p", "top_k"];

/// A well-formed request of one dialect.
#[derive(Debug)]
pub struct RawRequest {
    /// What it is written in.
    pub dialect: Dialect,
    /// The model it names.
    pub model: String,
    /// Whether it wants its answer as server-sent events.
    pub streams: bool,
    /// How large it is.
    pub size: RequestSize,
    /// Answers that its conversation holds already; none where the dialect does not number them.
    pub turn: Option<usize>,
    /// A part of it that is not passed on.
    pub refused_part: Option<RefusedPart>,
    /// Whether it wants the token counts of a stream.
    wants_usage: bool,
    fields: TopFields,
}

/// Why a request cannot be passed on.
#[derive(Debug, Error)]
pub enum BadRequest {
    /// It is not a JSON object.
    #[error("the request: {0}")]
    NotJson(#[source] serde_json::Error),
    /// A field is missing or makes no sense.
    #[error("{0}")]
    Field(&'static str),
    /// A switch is neither on nor off.
    #[error("`{0}` must be true or false")]
    Unclear(&'static str),
    /// A field that says how much is wanted is no number that can be reserved.
    #[error("`{0}` must be a whole number of at least 1")]
    Uncountable(&'static str),
}

/// What becomes other than the caller wrote it.
#[derive(Clone, Copy, Debug)]
pub struct RequestChanges<'a> {
    /// The model's name at the provider.
    pub model: &'a str,
    /// The most tokens of one answer; none where answers cost nothing.
    pub answer_max: Option<u32>,
    /// The field for it, whichever the caller named.
    pub answer_field: &'static str,
    /// Stands for the caller's user, where it names one.
    pub user: &'a str,
    /// Whether the model takes a temperature and the like.
    pub takes_sampling: bool,
    /// Whether the model is a scripted one of this machine, which may know the caller's program.
    pub simulated: bool,
}

impl RawRequest {
    /// Reads a request of `dialect`.
    ///
    /// # Errors
    /// Returns [`BadRequest`] for what no provider could answer or nobody could meter.
    pub fn parse(dialect: Dialect, body: &[u8]) -> Result<Self, BadRequest> {
        let fields: TopFields = serde_json::from_slice(body).map_err(BadRequest::NotJson)?;
        let whole: Value = serde_json::from_slice(body).map_err(BadRequest::NotJson)?;
        let model = whole["model"].as_str().map(str::trim).unwrap_or_default();
        if model.is_empty() {
            return Err(BadRequest::Field("missing field `model`"));
        }
        let size = RequestSize::of_body(dialect, &whole, body.len());
        check_fields(dialect, &whole, size)?;
        Ok(Self {
            dialect,
            model: model.to_owned(),
            streams: whole["stream"] == true,
            size,
            turn: match dialect {
                Dialect::Messages | Dialect::ChatCompletions => Some(count_answers(&whole)),
                Dialect::Responses => None,
            },
            refused_part: find_refused_part(&whole),
            wants_usage: whole["stream_options"]["include_usage"] == true,
            fields,
        })
    }

    /// Whether the caller did not ask for the chunk of token counts that its stream will hold.
    pub(crate) const fn hides_usage(&self) -> bool {
        matches!(self.dialect, Dialect::ChatCompletions) && self.streams && !self.wants_usage
    }

    /// Lets `rewrite` change the conversation where its text holds `mark`; else it keeps its bytes.
    pub(crate) fn rewrite_conversation(&mut self, mark: &str, rewrite: fn(&mut Value) -> bool) {
        for (name, value) in &mut self.fields.0 {
            let is_conversation = matches!(name.as_str(), "messages" | "input");
            if !is_conversation || !value.get().contains(mark) {
                continue;
            }
            let parsed: Value = serde_json::from_str(value.get()).unwrap_or_default();
            let mut body = json!({ name.as_str(): parsed });
            if rewrite(&mut body)
                && let Ok(raw) = serde_json::value::to_raw_value(&body[name.as_str()])
            {
                *value = raw;
            }
        }
    }

    /// The body as it goes to the provider.
    pub fn outgoing_body(&self, changes: RequestChanges<'_>) -> Vec<u8> {
        let mut out = OutgoingFields::default();
        let mut cap = self.outgoing_cap(changes);
        for (name, value) in &self.fields.0 {
            if cap_fields(self.dialect).contains(&name.as_str()) {
                // Only one is sent, in the place of the first.
                if value.get() != "null"
                    && let Some(cap) = cap.take()
                {
                    out.push_raw(changes.answer_field, &cap.to_string());
                }
                continue;
            }
            match self.changed_field(name, value, changes) {
                RewrittenField::Kept => out.push_raw(name, value.get()),
                RewrittenField::Written(value) => out.push_raw(name, &value.to_string()),
                RewrittenField::Left => {}
            }
        }
        if let Some(cap) = cap {
            out.push_raw(changes.answer_field, &cap.to_string());
        }
        if self.dialect == Dialect::ChatCompletions
            && self.streams
            && self.fields.find_field("stream_options").is_none()
        {
            out.push_raw("stream_options", r#"{"include_usage":true}"#);
        }
        out.into_body()
    }

    fn changed_field(
        &self,
        name: &str,
        value: &RawValue,
        changes: RequestChanges<'_>,
    ) -> RewrittenField {
        let parsed = || serde_json::from_str::<Value>(value.get()).unwrap_or_default();
        let speaks_openai = self.dialect != Dialect::Messages;
        match name {
            "model" => RewrittenField::Written(changes.model.into()),
            name if SAMPLING_FIELDS.contains(&name) && !changes.takes_sampling => {
                RewrittenField::Left
            }
            name if speaks_openai && IDENTITY_FIELDS.contains(&name) => match parsed() {
                Value::Null => RewrittenField::Kept,
                _ => RewrittenField::Written(changes.user.into()),
            },
            CLIENT_FIELD if !changes.simulated => RewrittenField::Left,
            "metadata" => match parsed() {
                Value::Object(mut metadata) if metadata.contains_key("user_id") => {
                    metadata.insert("user_id".to_owned(), changes.user.into());
                    RewrittenField::Written(Value::Object(metadata))
                }
                _ => RewrittenField::Kept,
            },
            "stream_options"
                if self.dialect == Dialect::ChatCompletions
                    && self.streams
                    && !self.wants_usage =>
            {
                let mut options = match parsed() {
                    Value::Object(options) => options,
                    _ => serde_json::Map::new(),
                };
                options.insert("include_usage".to_owned(), json!(true));
                RewrittenField::Written(Value::Object(options))
            }
            _ => RewrittenField::Kept,
        }
    }

    /// The most tokens of one answer: what was asked, within what the route allows.
    fn outgoing_cap(&self, changes: RequestChanges<'_>) -> Option<u32> {
        match (self.size.answer_cap, changes.answer_max) {
            (Some(asked), Some(max)) => Some(asked.min(max)),
            (asked, max) => asked.or(max),
        }
    }
}

/// What becomes of one field.
enum RewrittenField {
    Kept,
    Written(Value),
    Left,
}

/// What is wrong with a request that is well-formed.
fn check_fields(dialect: Dialect, whole: &Value, size: RequestSize) -> Result<(), BadRequest> {
    for name in ["stream", "background"] {
        // Servers that read `1` as yes would answer in another way than is expected here.
        if !matches!(whole[name], Value::Null | Value::Bool(_)) {
            return Err(BadRequest::Unclear(name));
        }
    }
    if let Some(name) = uncountable_field(dialect, whole) {
        return Err(BadRequest::Uncountable(name));
    }
    let has_messages = whole["messages"].as_array().is_some_and(|m| !m.is_empty());
    let refused = match dialect {
        Dialect::Messages if size.answer_cap.is_none() => "missing field `max_tokens`",
        Dialect::Messages | Dialect::ChatCompletions if !has_messages => {
            "`messages` must hold at least one message"
        }
        // Its cost would come to light when nobody listens any more.
        Dialect::Responses if whole["background"] == true => {
            "`background` is not available here: ask for the answer itself, best as a stream"
        }
        Dialect::Messages | Dialect::ChatCompletions | Dialect::Responses => return Ok(()),
    };
    Err(BadRequest::Field(refused))
}

fn count_answers(whole: &Value) -> usize {
    let messages = whole["messages"].as_array().map(Vec::as_slice);
    let messages = messages.unwrap_or_default().iter();
    messages.filter(|m| m["role"] == "assistant").count()
}

/// The fields of a JSON object in their order, each with its text as it came. Of a name that comes
/// twice the last value counts, as for most readers.
#[derive(Debug)]
struct TopFields(Vec<(String, Box<RawValue>)>);

impl TopFields {
    fn find_field(&self, name: &str) -> Option<&RawValue> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_ref())
    }
}

impl<'de> Deserialize<'de> for TopFields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldVisitor;
        impl<'de> Visitor<'de> for FieldVisitor {
            type Value = TopFields;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TopFields, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    match fields.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, before)) => *before = value,
                        None => fields.push((name, value)),
                    }
                }
                Ok(TopFields(fields))
            }
        }
        deserializer.deserialize_map(FieldVisitor)
    }
}

/// A JSON object under way.
#[derive(Default)]
struct OutgoingFields(Vec<u8>);

impl OutgoingFields {
    fn push_raw(&mut self, name: &str, json_text: &str) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        self.0
            .extend_from_slice(Value::from(name).to_string().as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(json_text.as_bytes());
    }

    fn into_body(mut self) -> Vec<u8> {
        if self.0.is_empty() {
            self.0.push(b'{');
        }
        self.0.push(b'}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
    use super::*;

    const CHANGES: RequestChanges<'static> = RequestChanges {
        model: "real-model",
        answer_max: Some(100),
        answer_field: "max_tokens",
        user: "attempt-1",
        takes_sampling: true,
        simulated: false,
    };

    fn sent(dialect: Dialect, body: &str, changes: RequestChanges<'_>) -> String {
        let request = RawRequest::parse(dialect, body.as_bytes()).unwrap();
        String::from_utf8(request.outgoing_body(changes)).unwrap()
    }

    #[test]
    fn only_what_must_change_changes() {
        use Dialect::{ChatCompletions, Messages, Responses};
        for (dialect, body, want) in [
            (
                Messages,
                r#"{"new": 1.0e2 ,"model":"agent","messages":[ {"role":"system", "content":"\u00e9"}],"max_tokens":50,"temperature":1}"#,
                r#"{"new":1.0e2,"model":"real-model","messages":[ {"role":"system", "content":"\u00e9"}],"max_tokens":50,"temperature":1}"#,
            ),
            (
                Messages,
                r#"{"model":"agent","messages":[1],"max_tokens":5000,"metadata":{"user_id":"me@home","x":1}}"#,
                r#"{"model":"real-model","messages":[1],"max_tokens":100,"metadata":{"user_id":"attempt-1","x":1}}"#,
            ),
            (
                ChatCompletions,
                r#"{"stream":true,"model":"a","messages":[1],"user":"me","safety_identifier":"me"}"#,
                r#"{"stream":true,"model":"real-model","messages":[1],"user":"attempt-1","safety_identifier":"attempt-1","max_tokens":100,"stream_options":{"include_usage":true}}"#,
            ),
            (
                ChatCompletions,
                r#"{"stream":true,"stream_options":{"y":2},"model":"a","messages":[1],"max_completion_tokens":null,"max_tokens":101}"#,
                r#"{"stream":true,"stream_options":{"y":2,"include_usage":true},"model":"real-model","messages":[1],"max_tokens":100}"#,
            ),
            (
                Responses,
                r#"{"model":"a","input":"hi","include":["reasoning.encrypted_content"],"metadata":{"x":1},"max_output_tokens":3}"#,
                r#"{"model":"real-model","input":"hi","include":["reasoning.encrypted_content"],"metadata":{"x":1},"max_output_tokens":3}"#,
            ),
            // Who asks is told by nobody.
            (
                Responses,
                r#"{"model":"a","client_metadata":{"installation":"mine"},"prompt_cache_key":"mine","metadata":{"user_id":"mine"},"max_output_tokens":3}"#,
                r#"{"model":"real-model","prompt_cache_key":"attempt-1","metadata":{"user_id":"attempt-1"},"max_output_tokens":3}"#,
            ),
            (
                ChatCompletions,
                r#"{"model":"a","messages":[1],"metadata":{"user_id":"mine","x":1},"client_metadata":1,"max_tokens":3}"#,
                r#"{"model":"real-model","messages":[1],"metadata":{"user_id":"attempt-1","x":1},"max_tokens":3}"#,
            ),
            // One bound is sent, the largest that was asked, in the field that the route reads.
            (
                ChatCompletions,
                r#"{"max_tokens":1,"model":"a","max_completion_tokens":64000,"messages":[1]}"#,
                r#"{"max_tokens":100,"model":"real-model","messages":[1]}"#,
            ),
            (
                ChatCompletions,
                r#"{"model":"a","max_completion_tokens":7.0,"messages":[1],"max_tokens":null}"#,
                r#"{"model":"real-model","max_tokens":7,"messages":[1]}"#,
            ),
            // The last of two counts, so that no bound is passed by.
            (
                Messages,
                r#"{"max_tokens":1,"model":"a","messages":[1],"max_tokens":999999}"#,
                r#"{"max_tokens":100,"model":"real-model","messages":[1]}"#,
            ),
        ] {
            let answer_field = match dialect {
                Responses => "max_output_tokens",
                Messages | ChatCompletions => "max_tokens",
            };
            let changes = RequestChanges {
                answer_field,
                ..CHANGES
            };
            assert_eq!(sent(dialect, body, changes), want);
        }
    }

    #[test]
    fn what_the_model_does_not_take_is_left_out() {
        use Dialect::Messages;
        let plain = RequestChanges {
            answer_max: None,
            takes_sampling: false,
            ..CHANGES
        };
        assert_eq!(
            sent(
                Messages,
                r#"{"model":"a","messages":[1],"max_tokens":9000,"top_p":0.1}"#,
                plain
            ),
            r#"{"model":"real-model","messages":[1],"max_tokens":9000}"#
        );
    }

    #[test]
    fn what_nobody_can_answer_or_meter_is_refused() {
        use Dialect::{ChatCompletions, Messages, Responses};
        for (dialect, body, says) in [
            (Messages, "[1]", "expected a JSON object"),
            (Messages, "{", "EOF while parsing"),
            (Messages, r#"{"model":" "}"#, "missing field `model`"),
            (Messages, r#"{"model":"a"}"#, "missing field `max_tokens`"),
            (
                Messages,
                r#"{"model":"a","max_tokens":0,"messages":[1]}"#,
                "at least 1",
            ),
            (
                ChatCompletions,
                r#"{"model":"a","stream":1,"messages":[1]}"#,
                "`stream` must be true or false",
            ),
            (
                Messages,
                r#"{"model":"a","max_tokens":5,"stream":"true","messages":[1]}"#,
                "`stream` must be true or false",
            ),
            (
                Responses,
                r#"{"model":"a","input":"x","background":1}"#,
                "`background` must be true or false",
            ),
            (
                Messages,
                r#"{"model":"a","max_tokens":-1,"messages":[1]}"#,
                "`max_tokens` must be a whole number of at least 1",
            ),
            (
                ChatCompletions,
                r#"{"model":"a","max_tokens":5,"max_completion_tokens":"64000","messages":[1]}"#,
                "`max_completion_tokens` must be a whole number of at least 1",
            ),
            (
                ChatCompletions,
                r#"{"model":"a","max_tokens":1.5,"messages":[1]}"#,
                "`max_tokens` must be a whole number",
            ),
            (
                ChatCompletions,
                r#"{"model":"a","n":"8","messages":[1]}"#,
                "`n` must be a whole number of at least 1",
            ),
            (
                ChatCompletions,
                r#"{"model":"a","n":0,"messages":[1]}"#,
                "`n` must be a whole number of at least 1",
            ),
            (
                Responses,
                r#"{"model":"a","input":"x","max_output_tokens":true}"#,
                "`max_output_tokens` must be a whole number of at least 1",
            ),
            (
                ChatCompletions,
                r#"{"model":"a","messages":[]}"#,
                "at least one message",
            ),
            (
                Responses,
                r#"{"model":"a","input":"x","background":true}"#,
                "`background` is not available",
            ),
        ] {
            let error = RawRequest::parse(dialect, body.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
