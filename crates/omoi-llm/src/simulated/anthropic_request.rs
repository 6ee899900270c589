//! Checking a request to `POST /v1/messages` as strictly as its vendor does, or more.

use serde_json::Value as Json;

use super::{
    asked::{Calls, Choice, Form, Offered, named, offer},
    refusal::{Reason, Refusal},
    schema,
    walk::{At, Fields},
};

const REQUEST: &[&str] = &[
    "model",
    "max_tokens",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "stream",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "metadata",
    "thinking",
    "output_config",
    "service_tier",
];
const TOOL: &[&str] = &[
    "type",
    "name",
    "description",
    "input_schema",
    "cache_control",
    "strict",
];
const CACHE_POINTS_MAX: usize = 4;

/// Checks the body, model name apart.
pub(super) fn check(body: &Json) -> Result<Form, Refusal> {
    let request = At::root(body).object(REQUEST)?;
    let max_tokens = request.required("max_tokens")?.count()?;
    let stream = request.optional("stream").map(|at| at.flag()).transpose()?;
    check_settings(&request)?;
    if let Some(system) = request.optional("system") {
        check_content(&system, "system", &mut Calls::default())?;
    }
    let tools = request
        .optional("tools")
        .map(|at| tools(&at))
        .transpose()?
        .unwrap_or_default();
    let (choice, parallel) = match request.optional("tool_choice") {
        Some(at) => choice(&at, &tools)?,
        None => (Choice::Auto, true),
    };
    let messages = request.required("messages")?;
    let (turn, has_calls) = conversation(&messages)?;
    if has_calls && tools.is_empty() {
        return Err(Refusal::new("tools", Reason::ToolsMissing));
    }
    if cache_points(body) > CACHE_POINTS_MAX {
        return Err(Reason::TooManyCachePoints {
            max: CACHE_POINTS_MAX,
        }
        .into());
    }
    let stream = stream.unwrap_or(false);
    let max_tokens = Some(max_tokens);
    Ok(Form {
        stream,
        usage_chunk: true,
        turn,
        max_tokens,
        tools,
        choice,
        parallel,
    })
}

fn check_settings(request: &Fields<'_>) -> Result<(), Refusal> {
    for key in ["temperature", "top_p"] {
        request
            .optional(key)
            .map(|at| at.within(0.0, 1.0))
            .transpose()?;
    }
    request.optional("top_k").map(|at| at.count()).transpose()?;
    if let Some(stops) = request.optional("stop_sequences") {
        for stop in stops.list()? {
            stop.words()?;
        }
    }
    if let Some(metadata) = request.optional("metadata") {
        metadata
            .object(&["user_id"])?
            .optional("user_id")
            .map(|at| at.text())
            .transpose()?;
    }
    for key in ["thinking", "output_config"] {
        request
            .optional(key)
            .map(|at| at.open_object())
            .transpose()?;
    }
    Ok(())
}

fn tools(at: &At<'_>) -> Result<Vec<Offered>, Refusal> {
    let mut offered = Vec::new();
    for tool in at.list()? {
        let tool = tool.object(TOOL)?;
        if let Some(kind) = tool.optional("type") {
            kind.one_of(&["custom"], "`custom`")?;
        }
        tool.optional("description")
            .map(|at| at.text())
            .transpose()?;
        let schema = tool.required("input_schema")?;
        schema::check_arguments_schema(&schema)?;
        offer(&mut offered, &tool.required("name")?, schema.value.clone())?;
    }
    Ok(offered)
}

/// The choice, and whether several calls may come at once.
fn choice(at: &At<'_>, tools: &[Offered]) -> Result<(Choice, bool), Refusal> {
    let choice = at.object(&["type", "name", "disable_parallel_tool_use"])?;
    let kinds = ["auto", "any", "tool", "none"];
    let kind = choice.required("type")?;
    let word = kind.one_of(&kinds, "`auto`, `any`, `tool`, `none`")?;
    let single = choice
        .optional("disable_parallel_tool_use")
        .map(|at| at.flag())
        .transpose()?;
    if tools.is_empty() {
        return Err(Refusal::new("tools", Reason::Missing));
    }
    let choice = match word {
        "auto" => Choice::Auto,
        "any" => Choice::Any,
        "none" => Choice::None,
        _ => named(tools, &choice.required("name")?)?,
    };
    Ok((choice, !single.unwrap_or(false)))
}

/// Counts the assistant messages, and says whether there are tool calls.
fn conversation(messages: &At<'_>) -> Result<(u32, bool), Refusal> {
    let mut calls = Calls::default();
    let mut turn = 0;
    let mut before = None;
    for at in messages.list()? {
        let message = at.object(&["role", "content"])?;
        let role = message
            .required("role")?
            .one_of(&["user", "assistant"], "`user`, `assistant`")?;
        if before.is_none() && role != "user" {
            return Err(at.refuse(Reason::FirstRole {
                found: role.to_owned(),
            }));
        }
        if before == Some(role) {
            return Err(at.refuse(Reason::RolesAlternate {
                role: role.to_owned(),
            }));
        }
        check_content(&message.required("content")?, role, &mut calls)?;
        if role == "user" {
            calls.all_answered(&at)?;
        } else {
            turn += 1;
        }
        before = Some(role);
    }
    if before == Some("assistant") {
        return Err(messages.refuse(Reason::LastRole));
    }
    Ok((turn, calls.any()))
}

/// Checks the content of a message, a tool result or the system prompt.
fn check_content(at: &At<'_>, role: &str, calls: &mut Calls) -> Result<(), Refusal> {
    if at.value.is_string() {
        return at.words().map(drop);
    }
    let mut results_over = false;
    for block_at in at.list()? {
        let block = block_at.open_object()?;
        let kind = block.required("type")?.text()?;
        let allowed: &[&str] = match role {
            "user" => &["text", "image", "tool_result"],
            "assistant" => &["text", "tool_use", "thinking", "redacted_thinking"],
            "tool_result" => &["text", "image"],
            _ => &["text"],
        };
        if !allowed.contains(&kind) {
            let (kind, role) = (kind.to_owned(), role.to_owned());
            return Err(block_at.refuse(Reason::BlockNotAllowed { kind, role }));
        }
        if kind != "tool_result" {
            results_over = true;
        } else if results_over {
            return Err(block_at.refuse(Reason::ToolResultNotFirst));
        }
        check_block(kind, &block, calls)?;
        if let Some(cache) = block.optional("cache_control") {
            let cache = cache.object(&["type", "ttl"])?;
            cache
                .required("type")?
                .one_of(&["ephemeral"], "`ephemeral`")?;
        }
    }
    Ok(())
}

fn check_block(kind: &str, block: &Fields<'_>, calls: &mut Calls) -> Result<(), Refusal> {
    match kind {
        "text" => {
            block.only(&["type", "text", "cache_control", "citations"])?;
            block.required("text")?.words()?;
        }
        "tool_use" => {
            block.only(&["type", "id", "name", "input", "cache_control"])?;
            calls.call(&block.required("id")?)?;
            block
                .required("name")?
                .name(super::asked::TOOL_NAME_CHARS_MAX)?;
            block.required("input")?.open_object()?;
        }
        "tool_result" => {
            block.only(&[
                "type",
                "tool_use_id",
                "content",
                "is_error",
                "cache_control",
            ])?;
            calls.result(&block.required("tool_use_id")?)?;
            block.optional("is_error").map(|at| at.flag()).transpose()?;
            match block.optional("content") {
                // A tool may say nothing.
                None => {}
                Some(at) if at.value.as_str() == Some("") => {}
                Some(at) => check_content(&at, "tool_result", calls)?,
            }
        }
        "thinking" => {
            block.only(&["type", "thinking", "signature"])?;
            block.required("thinking")?.text()?;
            block.required("signature")?.words()?;
        }
        "redacted_thinking" => {
            block.only(&["type", "data"])?;
            block.required("data")?.words()?;
        }
        _ => {
            block.only(&["type", "source", "cache_control"])?;
            check_image(&block.required("source")?)?;
        }
    }
    Ok(())
}

fn check_image(at: &At<'_>) -> Result<(), Refusal> {
    let source = at.object(&["type", "media_type", "data", "url"])?;
    let kind = source.required("type")?;
    match kind.one_of(&["base64", "url"], "`base64`, `url`")? {
        "base64" => {
            source.required("media_type")?.words()?;
            source.required("data")?.words()?;
        }
        _ => {
            source.required("url")?.words()?;
        }
    }
    Ok(())
}

/// Counts `cache_control` where the vendor reads it: in tools, system and content blocks.
fn cache_points(body: &Json) -> usize {
    let blocks = |content: &Json| -> usize {
        let blocks = content.as_array().map(Vec::as_slice).unwrap_or_default();
        blocks
            .iter()
            .filter(|block| block.get("cache_control").is_some())
            .count()
    };
    let list = |key: &str| body[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let messages: usize = list("messages")
        .iter()
        .map(|message| blocks(&message["content"]))
        .sum();
    messages + blocks(&body["system"]) + blocks(&body["tools"])
}
