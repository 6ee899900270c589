//! Calls of tools that a model writes into its words, where nobody runs them.
//!
//! Models do so that were trained on another form of calls than their server reads, or whose server forgot to
//! read it.

use serde_json::Value;

use super::dialect::Dialect;

/// What stands around the name of a tool in forms that are no JSON.
const NAME_FRAMES: [(&str, &str); 4] = [
    ("<function=", ">"),
    ("invoke name=\"", "\""),
    ("tool▁sep｜>", "\n"),
    ("to=functions.", " "),
];
/// Fields of a JSON object that name the tool that is called, and those that hold what it is given.
const NAME_FIELDS: [&str; 3] = ["name", "tool", "tool_name"];
const INPUT_FIELDS: [&str; 4] = ["arguments", "parameters", "input", "args"];
/// Most bytes of an answer that are looked at; calls that are longer begin within them.
const TEXT_BYTES_MAX: usize = 64 << 10;
/// Most places of an answer at which an object is looked for.
const OBJECTS_MAX: usize = 32;

/// The name of the first tool that `text` calls in words, of those that `is_tool` knows.
pub fn find_worded_call(text: &str, is_tool: impl Fn(&str) -> bool) -> Option<String> {
    let text = &text[..text.floor_char_boundary(TEXT_BYTES_MAX)];
    let framed = NAME_FRAMES.iter().filter_map(|(before, after)| {
        let (_, rest) = text.split_once(before)?;
        let (name, _) = rest.split_once(after)?;
        Some(name.trim().to_owned())
    });
    let mut named = framed.chain(object_names(text));
    named.find(|name| is_tool(name))
}

/// Names of tools in the JSON objects of `text` that look like calls.
fn object_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut from = 0;
    for _ in 0..OBJECTS_MAX {
        let Some(at) = text.get(from..).and_then(|rest| rest.find('{')) else {
            break;
        };
        let begin = from + at;
        let mut objects = serde_json::Deserializer::from_str(&text[begin..]).into_iter::<Value>();
        match objects.next() {
            Some(Ok(object)) => {
                names.extend(called_name(&object));
                from = begin + objects.byte_offset();
            }
            Some(Err(_)) | None => from = begin + 1,
        }
    }
    names
}

fn called_name(object: &Value) -> Option<String> {
    // Either by itself, or as chat completions write it.
    let object = object
        .get("function")
        .filter(|f| f.is_object())
        .unwrap_or(object);
    let has_input = INPUT_FIELDS.iter().any(|name| object.get(name).is_some());
    let mut names = NAME_FIELDS.iter().filter_map(|name| object[*name].as_str());
    names.next().filter(|_| has_input).map(str::to_owned)
}

/// How many of the last answers in the conversation of `body`, a request of `dialect`, called tools that it offers
/// in words alone.
pub fn count_worded_answers(dialect: Dialect, body: &Value) -> usize {
    let tools = offered_names(dialect, body);
    let list = match dialect {
        Dialect::Messages | Dialect::ChatCompletions => &body["messages"],
        Dialect::Responses => &body["input"],
    };
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    let answers = entries.iter().rev().filter_map(AnswerWords::of_entry);
    let is_worded = |answer: &AnswerWords| match answer {
        AnswerWords::Calls => false,
        AnswerWords::Says(text) => find_worded_call(text, |name| tools.contains(&name)).is_some(),
    };
    answers.take_while(is_worded).count()
}

/// What an answer is made of.
enum AnswerWords {
    /// It calls a tool.
    Calls,
    /// It has words alone.
    Says(String),
}

impl AnswerWords {
    /// Reads an entry of a conversation; none where it is no answer.
    fn of_entry(entry: &Value) -> Option<Self> {
        let kind = entry["type"].as_str().unwrap_or("message");
        if kind.ends_with("_call") {
            return Some(Self::Calls);
        }
        if kind != "message" || entry["role"] != "assistant" {
            return None;
        }
        let blocks = entry["content"].as_array().map(Vec::as_slice);
        let blocks = blocks.unwrap_or_default();
        let calls = entry["tool_calls"].as_array();
        let has_calls = calls.is_some_and(|calls| !calls.is_empty());
        if has_calls || blocks.iter().any(|block| block["type"] == "tool_use") {
            return Some(Self::Calls);
        }
        let texts = blocks.iter().filter_map(|block| block["text"].as_str());
        let texts = entry["content"].as_str().into_iter().chain(texts);
        Some(Self::Says(texts.collect::<Vec<_>>().join("\n")))
    }
}

/// Names of the tools that `body` offers, those of groups without the group.
fn offered_names(dialect: Dialect, body: &Value) -> Vec<&str> {
    let tools = body["tools"].as_array().into_iter().flatten();
    let tools = tools.flat_map(|tool| {
        let of_group = tool["tools"].as_array().into_iter().flatten();
        std::iter::once(tool).chain(of_group)
    });
    tools.filter_map(|tool| tool_name(dialect, tool)).collect()
}

fn tool_name(dialect: Dialect, tool: &Value) -> Option<&str> {
    match dialect {
        Dialect::ChatCompletions => tool["function"]["name"].as_str(),
        Dialect::Messages | Dialect::Responses => tool["name"].as_str(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_in_words_are_known_in_the_forms_that_models_write() {
        let call = r#"{"name": "read", "arguments": {"path": "a.py"}}"#;
        for (text, found) in [
            (format!("<tool_call>\n{call}\n</tool_call>"), true),
            (format!("I read it.\n```json\n{call}\n```"), true),
            (format!("[TOOL_CALLS][{call}]"), true),
            (call.to_owned(), true),
            (r#"{"tool": "read", "args": {}}"#.to_owned(), true),
            (
                r#"{"type": "function", "function": {"name": "read", "parameters": {}}}"#
                    .to_owned(),
                true,
            ),
            (
                "<function=read>{\"path\": \"a.py\"}</function>".to_owned(),
                true,
            ),
            ("<invoke name=\"read\">\n<parameter".to_owned(), true),
            (
                "<｜tool▁call▁begin｜>function<｜tool▁sep｜>read\n```json\n{}\n```".to_owned(),
                true,
            ),
            // Other tools, other objects, a broken one, and words alone.
            (call.replace("read", "fetch"), false),
            (r#"{"name": "read", "version": "1.0"}"#.to_owned(), false),
            (r#"{"name": "read", "arguments": {"#.to_owned(), false),
            ("I would read `a.py` with read(path).".to_owned(), false),
            ("{".repeat(100), false),
        ] {
            let name = find_worded_call(&text, |name| name == "read");
            assert_eq!(name.is_some(), found, "{text}");
        }
        let late = format!("{}{call}", "ä".repeat(TEXT_BYTES_MAX));
        assert_eq!(find_worded_call(&late, |_| true), None);
    }

    #[test]
    fn the_last_answers_in_words_are_counted_in_each_dialect() {
        let words = r#"<tool_call>{"name": "read", "arguments": {}}</tool_call>"#;
        let user = json!({"role": "user", "content": "Use the tools."});
        let plain = json!({"role": "assistant", "content": words});
        let blocks = json!({"role": "assistant", "content": [{"type": "text", "text": words}]});
        let used = json!({"role": "assistant", "content": [
            {"type": "tool_use", "id": "t", "name": "read", "input": {}}]});
        let called = json!({"role": "assistant", "content": words, "tool_calls": [{"id": "t"}]});
        let said = json!({"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": words}]});
        let item =
            json!({"type": "function_call", "name": "read", "call_id": "t", "arguments": "{}"});
        let tools = json!([{"name": "read"}]);
        let functions = json!([{"type": "function", "function": {"name": "read"}}]);
        let groups = json!([{"type": "namespace", "name": "files", "tools": [{"name": "read"}]}]);
        for (dialect, tools, list, expected) in [
            (
                Dialect::Messages,
                &tools,
                json!([user, blocks, user, blocks, user]),
                2,
            ),
            (Dialect::Messages, &tools, json!([user, plain, user]), 1),
            (
                Dialect::Messages,
                &tools,
                json!([user, blocks, user, used, user]),
                0,
            ),
            (
                Dialect::Messages,
                &json!([]),
                json!([user, blocks, user]),
                0,
            ),
            (
                Dialect::ChatCompletions,
                &functions,
                json!([user, plain, user, plain]),
                2,
            ),
            (
                Dialect::ChatCompletions,
                &functions,
                json!([user, plain, user, called]),
                0,
            ),
            (
                Dialect::Responses,
                &groups,
                json!([user, said, user, said, user]),
                2,
            ),
            (
                Dialect::Responses,
                &groups,
                json!([user, said, item, user]),
                0,
            ),
        ] {
            let name = match dialect {
                Dialect::Responses => "input",
                Dialect::Messages | Dialect::ChatCompletions => "messages",
            };
            let body = json!({"tools": tools, name: list});
            assert_eq!(count_worded_answers(dialect, &body), expected, "{body}");
        }
    }
}
