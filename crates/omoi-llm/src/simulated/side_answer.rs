//! Questions that programs ask beside their work: titles, classifiers, probes of a quota, summaries. No
//! rule answers them; each gets the same answer, which says what it is.

use serde_json::{Map, Value as Json, json};

use super::{
    cache_figures,
    checked_request::{OfferedTool, RequestForm, RequestedChoice, ToolForm},
    tool_table::{WordedCall, WordedInput},
};

/// The words of every answer to a question beside the work.
pub(super) const SIDE_ANSWER: &str = "Simulated answer";

/// Begins the answer to a question that comes after answers of the model, whose number follows: where a
/// program puts a summary in the place of its history, the turns go on from there.
const SUMMARY: &str = "Simulated answer: the summary of ";

/// Deepest schema that is filled in.
const DEPTH_MAX: usize = 16;

/// Whether a request of another program is a question beside its work, by what the gateway and the
/// program say of it; `route` is the name of the gateway's route, if it tells it.
///
/// Agents offer their tools with every question of their work, so one without tools that comes for an
/// attempt is none of it.
pub(super) fn is_side_question(
    route: Option<&str>,
    role: Option<&str>,
    request: &SideFacts<'_>,
) -> bool {
    if route == Some("title") {
        return true;
    }
    let kind = request.body_kind.as_deref();
    let is_other_work = request.asks_summary || kind.is_some_and(|kind| kind != "turn");
    !request.own && (is_other_work || (role.is_some() && request.form.tools.is_empty()))
}

/// What a request says of itself.
pub(super) struct SideFacts<'a> {
    pub(super) own: bool,
    pub(super) form: &'a RequestForm,
    /// The request is for a summary of the conversation, in words that one program is known by.
    pub(super) asks_summary: bool,
    /// The kind of question that one program names.
    pub(super) body_kind: Option<String>,
}

/// The kind of question, as Codex names it in what it sends along: `turn` for its work.
pub(super) fn body_kind(body: &Json) -> Option<String> {
    let told = body["client_metadata"]["x-codex-turn-metadata"].as_str()?;
    let told: Json = serde_json::from_str(told).ok()?;
    told["request_kind"].as_str().map(str::to_owned)
}

/// Whether the last words are those by which Claude Code asks for a summary: it offers its tools all the
/// same, and nothing else tells it from its work.
pub(super) fn asks_summary(body: &Json) -> bool {
    let messages = body["messages"].as_array().map(Vec::as_slice);
    let mut asked = messages.unwrap_or_default().iter();
    let asked = asked.rfind(|message| message["role"] == "user");
    asked.is_some_and(|message| {
        let says = |words| holds_text(message, &|text: &str| text.contains(words));
        says("<summary>") && says("Do NOT call any tools")
    })
}

/// The turn of a conversation whose beginning is a summary that was given here.
pub(super) fn turn_after_summary(body: &Json) -> Option<u32> {
    let entries = ["messages", "input"]
        .into_iter()
        .find_map(|key| body[key].as_array())?;
    let summary_at = entries
        .iter()
        .rposition(|entry| holds_text(entry, &|text: &str| text.contains(SUMMARY)))?;
    let told = entries[summary_at].to_string();
    let (_, after) = told.rsplit_once(SUMMARY)?;
    let digits = after.bytes().take_while(u8::is_ascii_digit).count();
    let before: u32 = after[..digits].parse().ok()?;
    let (mut turn, mut in_answer) = (before, false);
    for entry in &entries[summary_at + 1..] {
        // Notes of the program stand between nothing.
        if entry["role"] == "system" || entry["role"] == "developer" {
            continue;
        }
        let is_answer = cache_figures::is_answer(entry);
        turn += u32::from(is_answer && !in_answer);
        in_answer = is_answer;
    }
    Some(turn)
}

/// Whether a text anywhere in `value` is one that `fits`.
fn holds_text(value: &Json, fits: &dyn Fn(&str) -> bool) -> bool {
    match value {
        Json::String(text) => fits(text),
        Json::Array(entries) => entries.iter().any(|entry| holds_text(entry, fits)),
        Json::Object(fields) => fields.values().any(|field| holds_text(field, fits)),
        _ => false,
    }
}

/// The text of the answer; JSON where the request demands a schema.
pub(super) fn answer_text(form: &RequestForm) -> String {
    match &form.demanded {
        Some(schema) => fill_schema(schema, schema, DEPTH_MAX).to_string(),
        None if form.turn > 0 => format!("{SUMMARY}{} answers", form.turn),
        None => SIDE_ANSWER.to_owned(),
    }
}

/// The call that the request leaves no choice about.
pub(super) fn forced_call(form: &RequestForm) -> Option<WordedCall> {
    let tool = match &form.choice {
        RequestedChoice::Any => form.tools.first(),
        RequestedChoice::Named(name) => form.tools.iter().find(|tool| tool.name == *name),
        RequestedChoice::Auto | RequestedChoice::None => None,
    }?;
    Some(filled_call(tool))
}

fn filled_call(tool: &OfferedTool) -> WordedCall {
    WordedCall {
        tool: tool.name.clone(),
        group: tool.group.clone(),
        input: match tool.form {
            ToolForm::Arguments => {
                WordedInput::Arguments(fill_schema(&tool.schema, &tool.schema, DEPTH_MAX))
            }
            ToolForm::Freeform => WordedInput::Text(SIDE_ANSWER.to_owned()),
        },
    }
}

/// The least value that fits a schema of the kind that programs demand.
fn fill_schema(root: &Json, schema: &Json, depth: usize) -> Json {
    if depth == 0 {
        return Json::Null;
    }
    let fill = |schema: &Json| fill_schema(root, schema, depth - 1);
    if let Some(target) = schema["$ref"]
        .as_str()
        .and_then(|path| path.strip_prefix('#'))
    {
        return root.pointer(target).map_or(Json::Null, fill);
    }
    let first = |key: &str| schema[key].as_array().and_then(|list| list.first());
    if let Some(value) = schema.get("const").or(first("enum")) {
        return value.clone();
    }
    if let Some(one) = ["anyOf", "oneOf", "allOf"].into_iter().find_map(first) {
        return fill(one);
    }
    let kind = first("type").unwrap_or(&schema["type"]);
    match kind.as_str() {
        Some("string") => json!(SIDE_ANSWER),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(0)),
        Some("boolean") => json!(false),
        Some("array") => {
            let least = schema["minItems"].as_u64().unwrap_or_default().min(16);
            Json::Array((0..least).map(|_| fill(&schema["items"])).collect())
        }
        Some("null") => Json::Null,
        _ => {
            let required = schema["required"].as_array().map(Vec::as_slice);
            let names = required.unwrap_or_default().iter().filter_map(Json::as_str);
            let fields = names.map(|name| (name.to_owned(), fill(&schema["properties"][name])));
            Json::Object(fields.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::check_value;

    #[test]
    fn a_demanded_schema_is_filled_in() {
        let schema = json!({
            "type": "object",
            "properties": {
                "title": {"type": "string"}, "score": {"type": "integer", "minimum": 3},
                "kind": {"enum": ["a", "b"]}, "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
                "deep": {"$ref": "#/$defs/deep"}, "maybe": {"type": ["null", "string"]},
                "pick": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}, "left": {"type": "string"},
            },
            "required": ["title", "score", "kind", "tags", "deep", "maybe", "pick"],
            "additionalProperties": false,
            "$defs": {"deep": {"type": "object", "properties": {"again": {"const": 7}}, "required": ["again"]}},
        });
        let filled = fill_schema(&schema, &schema, DEPTH_MAX);
        assert_eq!(check_value(&schema, &filled), Ok(()));
        assert_eq!(filled["deep"]["again"], 7);
        assert_eq!(filled["title"], SIDE_ANSWER);
        // A schema that leads to itself ends.
        let circle =
            json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]});
        assert!(fill_schema(&circle, &circle, DEPTH_MAX).to_string().len() < 200);
    }
}
