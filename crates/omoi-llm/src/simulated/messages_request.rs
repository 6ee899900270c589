//! Checking a request to `POST /v1/messages` as strictly as its vendor does, or more.

use serde_json::Value as Json;

use super::{
    cache_figures,
    checked_request::{
        OfferedTool, ReasoningForm, RequestForm, RequestedChoice, ToolCallLedger, named_choice,
        offer_tool,
    },
    located_value::{LocatedObject, LocatedValue},
    reasoning_seal,
    refusal::{RefusalReason, RequestRefusal},
    schema,
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
pub(super) fn check_body(body: &Json) -> Result<RequestForm, RequestRefusal> {
    let request = LocatedValue::at_root(body).strict_object(REQUEST)?;
    let max_tokens = request.required_field("max_tokens")?.positive_count()?;
    let stream = request
        .optional_field("stream")
        .map(|at| at.as_flag())
        .transpose()?;
    check_settings(&request)?;
    if let Some(system) = request.optional_field("system") {
        check_content(&system, "system", &mut ToolCallLedger::default())?;
    }
    let tools = request
        .optional_field("tools")
        .map(|at| read_tools(&at))
        .transpose()?
        .unwrap_or_default();
    let (choice, parallel) = match request.optional_field("tool_choice") {
        Some(at) => read_choice(&at, &tools)?,
        None => (RequestedChoice::Auto, true),
    };
    let messages = request.required_field("messages")?;
    let (turn, has_calls) = check_conversation(&messages)?;
    if cache_figures::count_marks(body) > CACHE_POINTS_MAX {
        return Err(RefusalReason::TooManyCachePoints {
            max: CACHE_POINTS_MAX,
        }
        .into());
    }
    let stream = stream.unwrap_or(false);
    let max_tokens = Some(max_tokens);
    Ok(RequestForm {
        stream,
        usage_chunk: true,
        turn,
        has_calls,
        max_tokens,
        tools,
        choice,
        parallel,
        reasoning: wanted_reasoning(body),
        demanded: demanded_schema(body),
    })
}

/// Reasoning comes with its signature or not at all.
fn wanted_reasoning(body: &Json) -> ReasoningForm {
    let shown = matches!(
        body["thinking"]["type"].as_str(),
        Some("enabled" | "adaptive")
    );
    ReasoningForm {
        shown,
        sealed: shown,
    }
}

fn demanded_schema(body: &Json) -> Option<Json> {
    let format = &body["output_config"]["format"];
    let of_config = format.get("schema");
    of_config.or(body["output_format"].get("schema")).cloned()
}

fn check_settings(request: &LocatedObject<'_>) -> Result<(), RequestRefusal> {
    for key in ["temperature", "top_p"] {
        request
            .optional_field(key)
            .map(|at| at.number_within(0.0, 1.0))
            .transpose()?;
    }
    request
        .optional_field("top_k")
        .map(|at| at.positive_count())
        .transpose()?;
    if let Some(stops) = request.optional_field("stop_sequences") {
        for stop in stops.non_empty_list()? {
            stop.non_blank_text()?;
        }
    }
    if let Some(metadata) = request.optional_field("metadata") {
        metadata
            .strict_object(&["user_id"])?
            .optional_field("user_id")
            .map(|at| at.as_text())
            .transpose()?;
    }
    for key in ["thinking", "output_config"] {
        request
            .optional_field(key)
            .map(|at| at.open_object())
            .transpose()?;
    }
    Ok(())
}

fn read_tools(at: &LocatedValue<'_>) -> Result<Vec<OfferedTool>, RequestRefusal> {
    let mut offered = Vec::new();
    for tool in at.non_empty_list()? {
        let tool = tool.strict_object(TOOL)?;
        if let Some(kind) = tool.optional_field("type") {
            kind.one_of(&["custom"], "`custom`")?;
        }
        tool.optional_field("description")
            .map(|at| at.as_text())
            .transpose()?;
        let schema = tool.required_field("input_schema")?;
        schema::check_arguments_schema(&schema)?;
        let name = tool.required_field("name")?;
        let function = OfferedTool::with_arguments(&name, schema.value.clone())?;
        offer_tool(&mut offered, &name, function)?;
    }
    Ok(offered)
}

/// The choice, and whether several calls may come at once.
fn read_choice(
    at: &LocatedValue<'_>,
    tools: &[OfferedTool],
) -> Result<(RequestedChoice, bool), RequestRefusal> {
    let choice = at.strict_object(&["type", "name", "disable_parallel_tool_use"])?;
    let kinds = ["auto", "any", "tool", "none"];
    let kind = choice.required_field("type")?;
    let word = kind.one_of(&kinds, "`auto`, `any`, `tool`, `none`")?;
    let single = choice
        .optional_field("disable_parallel_tool_use")
        .map(|at| at.as_flag())
        .transpose()?;
    if tools.is_empty() {
        return Err(RequestRefusal::new("tools", RefusalReason::Missing));
    }
    let choice = match word {
        "auto" => RequestedChoice::Auto,
        "any" => RequestedChoice::Any,
        "none" => RequestedChoice::None,
        _ => named_choice(tools, &choice.required_field("name")?)?,
    };
    Ok((choice, !single.unwrap_or(false)))
}

/// Counts the assistant messages, and says whether there are tool calls.
fn check_conversation(messages: &LocatedValue<'_>) -> Result<(u32, bool), RequestRefusal> {
    let mut calls = ToolCallLedger::default();
    let mut turn = 0;
    let mut before = None;
    for at in messages.non_empty_list()? {
        let message = at.strict_object(&["role", "content"])?;
        let role = message
            .required_field("role")?
            .one_of(&["user", "assistant"], "`user`, `assistant`")?;
        if before.is_none() && role != "user" {
            return Err(at.refuse_with(RefusalReason::FirstRole {
                found: role.to_owned(),
            }));
        }
        if before == Some(role) {
            return Err(at.refuse_with(RefusalReason::RolesAlternate {
                role: role.to_owned(),
            }));
        }
        check_content(&message.required_field("content")?, role, &mut calls)?;
        if role == "user" {
            calls.all_answered(&at)?;
        } else {
            turn += 1;
        }
        before = Some(role);
    }
    if before == Some("assistant") {
        return Err(messages.refuse_with(RefusalReason::LastRole));
    }
    Ok((turn, calls.has_calls()))
}

/// Checks the content of a message, a tool result or the system prompt.
fn check_content(
    at: &LocatedValue<'_>,
    role: &str,
    calls: &mut ToolCallLedger,
) -> Result<(), RequestRefusal> {
    if at.value.is_string() {
        return at.non_blank_text().map(drop);
    }
    let mut results_over = false;
    for block_at in at.non_empty_list()? {
        let block = block_at.open_object()?;
        let kind = block.required_field("type")?.as_text()?;
        let allowed: &[&str] = match role {
            "user" => &["text", "image", "tool_result"],
            "assistant" => &["text", "tool_use", "thinking", "redacted_thinking"],
            "tool_result" => &["text", "image"],
            _ => &["text"],
        };
        if !allowed.contains(&kind) {
            let (kind, role) = (kind.to_owned(), role.to_owned());
            return Err(block_at.refuse_with(RefusalReason::BlockNotAllowed { kind, role }));
        }
        if kind != "tool_result" {
            results_over = true;
        } else if results_over {
            return Err(block_at.refuse_with(RefusalReason::ToolResultNotFirst));
        }
        check_block(kind, &block, calls)?;
        if let Some(cache) = block.optional_field("cache_control") {
            let cache = cache.strict_object(&["type", "ttl"])?;
            cache
                .required_field("type")?
                .one_of(&["ephemeral"], "`ephemeral`")?;
        }
    }
    Ok(())
}

fn check_block(
    kind: &str,
    block: &LocatedObject<'_>,
    calls: &mut ToolCallLedger,
) -> Result<(), RequestRefusal> {
    match kind {
        "text" => {
            block.allow_only(&["type", "text", "cache_control", "citations"])?;
            block.required_field("text")?.non_blank_text()?;
        }
        "tool_use" => {
            block.allow_only(&["type", "id", "name", "input", "cache_control"])?;
            calls.add_call(&block.required_field("id")?)?;
            block
                .required_field("name")?
                .valid_name(super::checked_request::TOOL_NAME_CHARS_MAX)?;
            block.required_field("input")?.open_object()?;
        }
        "tool_result" => {
            block.allow_only(&[
                "type",
                "tool_use_id",
                "content",
                "is_error",
                "cache_control",
            ])?;
            calls.add_result(&block.required_field("tool_use_id")?)?;
            block
                .optional_field("is_error")
                .map(|at| at.as_flag())
                .transpose()?;
            match block.optional_field("content") {
                // A tool may say nothing.
                None => {}
                Some(at) if at.value.as_str() == Some("") => {}
                Some(at) => check_content(&at, "tool_result", calls)?,
            }
        }
        "thinking" => {
            block.allow_only(&["type", "thinking", "signature"])?;
            let text = block.required_field("thinking")?.as_text()?;
            let signature = block.required_field("signature")?;
            if !reasoning_seal::is_seal_of(signature.non_blank_text()?, text) {
                return Err(signature.refuse_with(RefusalReason::ForeignReasoning));
            }
        }
        "redacted_thinking" => {
            block.allow_only(&["type", "data"])?;
            block.required_field("data")?.non_blank_text()?;
        }
        _ => {
            block.allow_only(&["type", "source", "cache_control"])?;
            check_image(&block.required_field("source")?)?;
        }
    }
    Ok(())
}

fn check_image(at: &LocatedValue<'_>) -> Result<(), RequestRefusal> {
    let source = at.strict_object(&["type", "media_type", "data", "url"])?;
    let kind = source.required_field("type")?;
    match kind.one_of(&["base64", "url"], "`base64`, `url`")? {
        "base64" => {
            source.required_field("media_type")?.non_blank_text()?;
            source.required_field("data")?.non_blank_text()?;
        }
        _ => {
            source.required_field("url")?.non_blank_text()?;
        }
    }
    Ok(())
}
