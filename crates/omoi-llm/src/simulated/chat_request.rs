//! Checking a request to `POST /v1/chat/completions` as strictly as its vendor does, or more.

use serde_json::Value as Json;

use super::{
    checked_request::{
        OfferedTool, ReasoningForm, RequestForm, RequestedChoice, TOOL_NAME_CHARS_MAX,
        ToolCallLedger, named_choice, offer_tool,
    },
    located_value::{LocatedObject, LocatedValue},
    refusal::{RefusalReason, RequestRefusal},
    schema,
};

const REQUEST: &[&str] = &[
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "stop",
    "n",
    "seed",
    "user",
    "response_format",
    "reasoning_effort",
    "presence_penalty",
    "frequency_penalty",
];

/// Checks the body, model name apart.
pub(super) fn check_body(body: &Json) -> Result<RequestForm, RequestRefusal> {
    let request = LocatedValue::at_root(body).strict_object(REQUEST)?;
    let stream = request
        .optional_field("stream")
        .map(|at| at.as_flag())
        .transpose()?
        .unwrap_or(false);
    let max_tokens = max_tokens(&request)?;
    check_settings(&request)?;
    let usage_chunk = match request.optional_field("stream_options") {
        Some(at) if !stream => return Err(at.refuse_with(RefusalReason::UnknownField)),
        Some(at) => {
            let options = at.strict_object(&["include_usage"])?;
            options.required_field("include_usage")?.as_flag()?
        }
        None => false,
    };
    let tools = request
        .optional_field("tools")
        .map(|at| read_tools(&at))
        .transpose()?
        .unwrap_or_default();
    let choice = match request.optional_field("tool_choice") {
        Some(at) if tools.is_empty() => return Err(at.refuse_with(RefusalReason::ToolsMissing)),
        Some(at) => read_choice(&at, &tools)?,
        None => RequestedChoice::Auto,
    };
    let parallel = match request.optional_field("parallel_tool_calls") {
        Some(at) if tools.is_empty() => return Err(at.refuse_with(RefusalReason::ToolsMissing)),
        Some(at) => at.as_flag()?,
        None => true,
    };
    let (turn, has_calls) = check_conversation(&request.required_field("messages")?)?;
    Ok(RequestForm {
        stream,
        usage_chunk,
        turn,
        has_calls,
        max_tokens,
        tools,
        choice,
        parallel,
        reasoning: ReasoningForm {
            shown: true,
            sealed: false,
        },
        demanded: body["response_format"]["json_schema"]
            .get("schema")
            .cloned(),
    })
}

fn max_tokens(request: &LocatedObject<'_>) -> Result<Option<u64>, RequestRefusal> {
    let (one, other) = ("max_tokens", "max_completion_tokens");
    match (request.optional_field(one), request.optional_field(other)) {
        (Some(_), Some(_)) => Err(request.refuse_with(RefusalReason::Both { one, other })),
        (Some(at), None) | (None, Some(at)) => at.positive_count().map(Some),
        (None, None) => Ok(None),
    }
}

fn check_settings(request: &LocatedObject<'_>) -> Result<(), RequestRefusal> {
    for (key, min, max) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("presence_penalty", -2.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
        ("n", 1.0, 1.0),
    ] {
        request
            .optional_field(key)
            .map(|at| at.number_within(min, max))
            .transpose()?;
    }
    match request.optional_field("stop") {
        Some(at) if at.value.is_array() => at
            .non_empty_list()?
            .iter()
            .try_for_each(|stop| stop.non_blank_text().map(drop)),
        Some(at) => at.non_blank_text().map(drop),
        None => Ok(()),
    }
}

fn read_tools(at: &LocatedValue<'_>) -> Result<Vec<OfferedTool>, RequestRefusal> {
    let mut offered = Vec::new();
    for tool in at.non_empty_list()? {
        let tool = tool.strict_object(&["type", "function"])?;
        tool.required_field("type")?
            .one_of(&["function"], "`function`")?;
        let known = ["name", "description", "parameters", "strict"];
        let function = tool.required_field("function")?.strict_object(&known)?;
        function
            .optional_field("description")
            .map(|at| at.as_text())
            .transpose()?;
        let schema = function.required_field("parameters")?;
        schema::check_arguments_schema(&schema)?;
        let name = function.required_field("name")?;
        let tool = OfferedTool::with_arguments(&name, schema.value.clone())?;
        offer_tool(&mut offered, &name, tool)?;
    }
    Ok(offered)
}

fn read_choice(
    at: &LocatedValue<'_>,
    tools: &[OfferedTool],
) -> Result<RequestedChoice, RequestRefusal> {
    if at.value.is_string() {
        let word = at.one_of(&["auto", "required", "none"], "`auto`, `required`, `none`")?;
        return Ok(match word {
            "auto" => RequestedChoice::Auto,
            "required" => RequestedChoice::Any,
            _ => RequestedChoice::None,
        });
    }
    let choice = at.strict_object(&["type", "function"])?;
    choice
        .required_field("type")?
        .one_of(&["function"], "`function`")?;
    named_choice(
        tools,
        &choice
            .required_field("function")?
            .strict_object(&["name"])?
            .required_field("name")?,
    )
}

const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool"];

/// Counts the assistant messages, and says whether there are tool calls.
fn check_conversation(messages: &LocatedValue<'_>) -> Result<(u32, bool), RequestRefusal> {
    let mut calls = ToolCallLedger::default();
    let mut turn = 0;
    let mut before: Option<&str> = None;
    for at in messages.non_empty_list()? {
        let message = at.open_object()?;
        let allowed = "`system`, `developer`, `user`, `assistant`, `tool`";
        let role = message.required_field("role")?.one_of(ROLES, allowed)?;
        if matches!(role, "system" | "developer") {
            if before.is_some() {
                return Err(at.refuse_with(RefusalReason::SystemNotFirst));
            }
            message.allow_only(&["role", "content", "name"])?;
            check_content(&message.required_field("content")?, role)?;
            continue;
        }
        if role != "tool" {
            calls.all_answered(&at)?;
        }
        if before.is_none() && role != "user" {
            return Err(at.refuse_with(RefusalReason::FirstRole {
                found: role.to_owned(),
            }));
        }
        if before == Some(role) && role != "tool" {
            return Err(at.refuse_with(RefusalReason::RolesAlternate {
                role: role.to_owned(),
            }));
        }
        check_message(role, &message, &mut calls)?;
        turn += u32::from(role == "assistant");
        before = Some(role);
    }
    match before {
        None => Err(messages.refuse_with(RefusalReason::Empty)),
        Some("assistant") => Err(messages.refuse_with(RefusalReason::LastRole)),
        Some(_) => {
            calls.all_answered(messages)?;
            Ok((turn, calls.has_calls()))
        }
    }
}

fn check_message(
    role: &str,
    message: &LocatedObject<'_>,
    calls: &mut ToolCallLedger,
) -> Result<(), RequestRefusal> {
    match role {
        "user" => {
            message.allow_only(&["role", "content", "name"])?;
            check_content(&message.required_field("content")?, role)
        }
        "tool" => {
            message.allow_only(&["role", "content", "tool_call_id"])?;
            calls.add_result(&message.required_field("tool_call_id")?)?;
            let content = message.required_field("content")?;
            // A tool may say nothing.
            if content.value.as_str() == Some("") {
                Ok(())
            } else {
                check_content(&content, role)
            }
        }
        _ => {
            message.allow_only(&[
                "role",
                "content",
                "tool_calls",
                "refusal",
                "name",
                "reasoning_content",
            ])?;
            let tool_calls = message.optional_field("tool_calls");
            match message
                .optional_field("content")
                .filter(|content| !content.value.is_null())
            {
                Some(content) => check_content(&content, role)?,
                None if tool_calls.is_none() => {
                    return Err(message.refuse_with(RefusalReason::Empty));
                }
                None => {}
            }
            let tool_calls = tool_calls
                .map(|at| at.non_empty_list())
                .transpose()?
                .unwrap_or_default();
            tool_calls
                .iter()
                .try_for_each(|call| check_call(call, calls))
        }
    }
}

fn check_call(at: &LocatedValue<'_>, calls: &mut ToolCallLedger) -> Result<(), RequestRefusal> {
    let call = at.strict_object(&["id", "type", "function"])?;
    calls.add_call(&call.required_field("id")?)?;
    call.required_field("type")?
        .one_of(&["function"], "`function`")?;
    let function = call
        .required_field("function")?
        .strict_object(&["name", "arguments"])?;
    function
        .required_field("name")?
        .valid_name(TOOL_NAME_CHARS_MAX)?;
    let arguments = function.required_field("arguments")?;
    match serde_json::from_str::<Json>(arguments.as_text()?) {
        Ok(Json::Object(_)) => Ok(()),
        _ => Err(arguments.refuse_with(RefusalReason::ArgumentsNotJson)),
    }
}

fn check_content(at: &LocatedValue<'_>, role: &str) -> Result<(), RequestRefusal> {
    if at.value.is_string() {
        return at.non_blank_text().map(drop);
    }
    for part_at in at.non_empty_list()? {
        let part = part_at.open_object()?;
        match part.required_field("type")?.as_text()? {
            "text" => {
                part.allow_only(&["type", "text"])?;
                part.required_field("text")?.non_blank_text()?;
            }
            "image_url" if role == "user" => {
                part.allow_only(&["type", "image_url"])?;
                let image = part
                    .required_field("image_url")?
                    .strict_object(&["url", "detail"])?;
                image.required_field("url")?.non_blank_text()?;
            }
            kind => {
                let (kind, role) = (kind.to_owned(), role.to_owned());
                return Err(part_at.refuse_with(RefusalReason::BlockNotAllowed { kind, role }));
            }
        }
    }
    Ok(())
}
