//! A caller's request that goes to a model of the same dialect as it came.
//!
//! Only what must change on the way is written anew: the model's name, the bound of the answer, what a
//! meter needs, and who asks. All other fields keep their bytes and their order, known or not.

mod json_fields;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use thiserror::Error;

use self::json_fields::{OutgoingFields, TopFields};
use super::cache_marks::{MARK, MARKED_FIELDS, MarkedLives, keep_for_hour};
use super::carried_reasoning::CarriedReasoning;
use super::dialect::Dialect;
use super::round_entry::{RoundEntry, RoundReader, enter_round};
use super::web_tool::{RefusedPart, find_refused_part};
use super::worded_calls::count_worded_answers;
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
    /// The reasoning in its conversation.
    pub carried: CarriedReasoning,
    /// Whether it offers tools.
    pub has_tools: bool,
    /// How many of the last answers in its conversation called those in words alone.
    pub n_worded: usize,
    /// Whether it wants a number of tokens of thought, as older models of one vendor do.
    thinks_by_budget: bool,
    /// Whether it wants the token counts of a stream.
    wants_usage: bool,
    fields: TopFields,
}

/// Why a request cannot be passed on.
#[derive(Debug, Error)]
pub enum BadRequest {
    /// It is not a JSON object, or one of a shape that nobody reads.
    #[error("the request: {0}")]
    BadJson(#[source] serde_json::Error),
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
    /// Fields that say how much to think, for a request that has no choice of its own.
    pub thinking: &'a Map<String, Value>,
    /// Whether marks that name no life keep what they mark for an hour.
    pub keeps_cache_for_hour: bool,
    /// Whether the model is a scripted one of this machine, which may know the caller's program.
    pub simulated: bool,
}

impl RawRequest {
    /// Reads a request of `dialect`.
    ///
    /// # Errors
    /// Returns [`BadRequest`] for what no provider could answer or nobody could meter.
    pub fn parse(dialect: Dialect, body: &[u8]) -> Result<Self, BadRequest> {
        let fields: TopFields = serde_json::from_slice(body).map_err(BadRequest::BadJson)?;
        let whole: Value = serde_json::from_slice(body).map_err(BadRequest::BadJson)?;
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
            carried: CarriedReasoning::of_body(dialect, &whole),
            has_tools: whole["tools"]
                .as_array()
                .is_some_and(|tools| !tools.is_empty()),
            n_worded: count_worded_answers(dialect, &whole),
            thinks_by_budget: dialect == Dialect::Messages
                && whole["thinking"]["type"] == "enabled",
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

    /// Whether the vendor would refuse the thinking that it wants: a tool round that began without
    /// reasoning, or has lost some on the way, goes on without.
    fn must_not_think(&self) -> bool {
        self.refuses_thinking(self.thinks_by_budget)
    }

    /// Whether the tool round under way goes on without thinking, where that is told by a budget or not.
    fn refuses_thinking(&self, thinks_by_budget: bool) -> bool {
        let reader = RoundReader::Messages { thinks_by_budget };
        let round = self.carried.round.as_ref();
        round.is_some_and(|round| enter_round(round, reader) == RoundEntry::WithoutThinking)
    }

    /// Whether it says nothing of how much to think.
    pub(crate) fn lacks_thinking_choice(&self) -> bool {
        let names = |name: &str| self.fields.find_field(name).is_some();
        let config = self.parsed_field("output_config");
        !["thinking", "reasoning", "reasoning_effort"]
            .into_iter()
            .any(names)
            && config["effort"].is_null()
    }

    /// The fields of `changes` that say how much to think and fit the rest of the request: its vendor refuses
    /// thoughts ahead of a call that must be made, with sampling settings, and by a budget in a round that
    /// began without.
    fn fitting_thinking(&self, changes: RequestChanges<'_>) -> Map<String, Value> {
        let mut fields = changes.thinking.clone();
        let Some(thinking) = fields
            .get("thinking")
            .filter(|_| self.dialect == Dialect::Messages)
        else {
            return fields;
        };
        let forced = matches!(
            self.parsed_field("tool_choice")["type"].as_str(),
            Some("any" | "tool")
        );
        let sampled = changes.takes_sampling
            && SAMPLING_FIELDS
                .iter()
                .any(|name| self.fields.find_field(name).is_some());
        let lost = self.refuses_thinking(thinking["type"] == "enabled");
        if forced || lost || (sampled && thinking["type"] != "disabled") {
            fields.shift_remove("thinking");
        }
        fields
    }

    /// Whether `changes` give its marks another life: those of one that names any keep theirs.
    fn changes_cache_lives(&self, changes: RequestChanges<'_>) -> bool {
        changes.keeps_cache_for_hour && {
            let mut lives = MarkedLives::default();
            for name in MARKED_FIELDS {
                lives.add_part(&self.parsed_field(name));
            }
            !lives.is_named
        }
    }

    fn parsed_field(&self, name: &str) -> Value {
        let raw = self.fields.find_field(name);
        let parsed = raw.and_then(|raw| serde_json::from_str(raw.get()).ok());
        parsed.unwrap_or_default()
    }

    /// The body as it goes to the provider.
    pub fn outgoing_body(&self, changes: RequestChanges<'_>) -> Vec<u8> {
        let thinking = self.fitting_thinking(changes);
        let changes = RequestChanges {
            thinking: &thinking,
            keeps_cache_for_hour: self.changes_cache_lives(changes),
            ..changes
        };
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
        for (name, value) in changes.thinking {
            if self.fields.find_field(name).is_none() {
                out.push_raw(name, &value.to_string());
            }
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
            name if changes.thinking.contains_key(name) => {
                let mut own = parsed();
                if let (Value::Object(own), Some(Value::Object(more))) =
                    (&mut own, changes.thinking.get(name))
                {
                    own.extend(more.clone());
                }
                RewrittenField::Written(own)
            }
            name if changes.keeps_cache_for_hour
                && MARKED_FIELDS.contains(&name)
                && value.get().contains(MARK) =>
            {
                let mut marked = parsed();
                keep_for_hour(&mut marked);
                RewrittenField::Written(marked)
            }
            "thinking" if self.must_not_think() => {
                RewrittenField::Written(json!({"type": "disabled"}))
            }
            // It clears thoughts, and is refused where there are to be none.
            "context_management" if self.must_not_think() => without_thought_edits(parsed()),
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

/// Rules for the upkeep of a conversation, without those for its thoughts.
fn without_thought_edits(mut management: Value) -> RewrittenField {
    let Some(edits) = management["edits"].as_array_mut() else {
        return RewrittenField::Kept;
    };
    edits.retain(|edit| {
        let kind = edit["type"].as_str().unwrap_or_default();
        !kind.starts_with("clear_thinking")
    });
    match edits.is_empty() {
        true => RewrittenField::Left,
        false => RewrittenField::Written(management),
    }
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

#[cfg(test)]
mod tests;
