//! Checking a request to `POST /v1/chat/completions` as strictly as its vendor does, or more.

use serde_json::Value as Json;

use super::{
    asked::{Calls, Choice, Form, Offered, TOOL_NAME_CHARS_MAX, named, offer},
    refusal::{Reason, Refusal},
    schema,
    walk::{At, Fields},
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
pub(super) fn check(body: &Json) -> Result<Form, Refusal> {
    let request = At::root(body).object(REQUEST)?;
    let stream = request
        .optional("stream")
        .map(|at| at.flag())
        .transpose()?
        .unwrap_or(false);
    let max_tokens = max_tokens(&request)?;
    check_settings(&request)?;
    let usage_chunk = match request.optional("stream_options") {
        Some(at) if !stream => return Err(at.refuse(Reason::UnknownField)),
        Some(at) => {
            let options = at.object(&["include_usage"])?;
            options.required("include_usage")?.flag()?
        }
        None => false,
    };
    let tools = request
        .optional("tools")
        .map(|at| tools(&at))
        .transpose()?
        .unwrap_or_default();
    let choice = match request.optional("tool_choice") {
        Some(at) if tools.is_empty() => return Err(at.refuse(Reason::ToolsMissing)),
        Some(at) => choice(&at, &tools)?,
        None => Choice::Auto,
    };
    let parallel = match request.optional("parallel_tool_calls") {
        Some(at) if tools.is_empty() => return Err(at.refuse(Reason::ToolsMissing)),
        Some(at) => at.flag()?,
        None => true,
    };
    let (turn, has_calls) = conversation(&request.required("messages")?)?;
    if has_calls && tools.is_empty() {
        return Err(Refusal::new("tools", Reason::ToolsMissing));
    }
    Ok(Form {
        stream,
        usage_chunk,
        turn,
        max_tokens,
        tools,
        choice,
        parallel,
    })
}

fn max_tokens(request: &Fields<'_>) -> Result<Option<u64>, Refusal> {
    let (one, other) = ("max_tokens", "max_completion_tokens");
    match (request.optional(one), request.optional(other)) {
        (Some(_), Some(_)) => Err(request.refuse(Reason::Both { one, other })),
        (Some(at), None) | (None, Some(at)) => at.count().map(Some),
        (None, None) => Ok(None),
    }
}

fn check_settings(request: &Fields<'_>) -> Result<(), Refusal> {
    for (key, min, max) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("presence_penalty", -2.0, 2.0),
        ("frequency_penalty", -2.0, 2.0),
        ("n", 1.0, 1.0),
    ] {
        request
            .optional(key)
            .map(|at| at.within(min, max))
            .transpose()?;
    }
    match request.optional("stop") {
        Some(at) if at.value.is_array() => at
            .list()?
            .iter()
            .try_for_each(|stop| stop.words().map(drop)),
        Some(at) => at.words().map(drop),
        None => Ok(()),
    }
}

fn tools(at: &At<'_>) -> Result<Vec<Offered>, Refusal> {
    let mut offered = Vec::new();
    for tool in at.list()? {
        let tool = tool.object(&["type", "function"])?;
        tool.required("type")?.one_of(&["function"], "`function`")?;
        let known = ["name", "description", "parameters", "strict"];
        let function = tool.required("function")?.object(&known)?;
        function
            .optional("description")
            .map(|at| at.text())
            .transpose()?;
        let schema = function.required("parameters")?;
        schema::check_arguments_schema(&schema)?;
        offer(
            &mut offered,
            &function.required("name")?,
            schema.value.clone(),
        )?;
    }
    Ok(offered)
}

fn choice(at: &At<'_>, tools: &[Offered]) -> Result<Choice, Refusal> {
    if at.value.is_string() {
        let word = at.one_of(&["auto", "required", "none"], "`auto`, `required`, `none`")?;
        return Ok(match word {
            "auto" => Choice::Auto,
            "required" => Choice::Any,
            _ => Choice::None,
        });
    }
    let choice = at.object(&["type", "function"])?;
    choice
        .required("type")?
        .one_of(&["function"], "`function`")?;
    named(
        tools,
        &choice
            .required("function")?
            .object(&["name"])?
            .required("name")?,
    )
}

const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool"];

/// Counts the assistant messages, and says whether there are tool calls.
fn conversation(messages: &At<'_>) -> Result<(u32, bool), Refusal> {
    let mut calls = Calls::default();
    let mut turn = 0;
    let mut before: Option<&str> = None;
    for at in messages.list()? {
        let message = at.open_object()?;
        let allowed = "`system`, `developer`, `user`, `assistant`, `tool`";
        let role = message.required("role")?.one_of(ROLES, allowed)?;
        if matches!(role, "system" | "developer") {
            if before.is_some() {
                return Err(at.refuse(Reason::SystemNotFirst));
            }
            message.only(&["role", "content", "name"])?;
            check_content(&message.required("content")?, role)?;
            continue;
        }
        if role != "tool" {
            calls.all_answered(&at)?;
        }
        if before.is_none() && role != "user" {
            return Err(at.refuse(Reason::FirstRole {
                found: role.to_owned(),
            }));
        }
        if before == Some(role) && role != "tool" {
            return Err(at.refuse(Reason::RolesAlternate {
                role: role.to_owned(),
            }));
        }
        check_message(role, &message, &mut calls)?;
        turn += u32::from(role == "assistant");
        before = Some(role);
    }
    match before {
        None => Err(messages.refuse(Reason::Empty)),
        Some("assistant") => Err(messages.refuse(Reason::LastRole)),
        Some(_) => {
            calls.all_answered(messages)?;
            Ok((turn, calls.any()))
        }
    }
}

fn check_message(role: &str, message: &Fields<'_>, calls: &mut Calls) -> Result<(), Refusal> {
    match role {
        "user" => {
            message.only(&["role", "content", "name"])?;
            check_content(&message.required("content")?, role)
        }
        "tool" => {
            message.only(&["role", "content", "tool_call_id"])?;
            calls.result(&message.required("tool_call_id")?)?;
            let content = message.required("content")?;
            // A tool may say nothing.
            if content.value.as_str() == Some("") {
                Ok(())
            } else {
                check_content(&content, role)
            }
        }
        _ => {
            message.only(&["role", "content", "tool_calls", "refusal", "name"])?;
            let tool_calls = message.optional("tool_calls");
            match message
                .optional("content")
                .filter(|content| !content.value.is_null())
            {
                Some(content) => check_content(&content, role)?,
                None if tool_calls.is_none() => {
                    return Err(message.refuse(Reason::Empty));
                }
                None => {}
            }
            let tool_calls = tool_calls
                .map(|at| at.list())
                .transpose()?
                .unwrap_or_default();
            tool_calls
                .iter()
                .try_for_each(|call| check_call(call, calls))
        }
    }
}

fn check_call(at: &At<'_>, calls: &mut Calls) -> Result<(), Refusal> {
    let call = at.object(&["id", "type", "function"])?;
    calls.call(&call.required("id")?)?;
    call.required("type")?.one_of(&["function"], "`function`")?;
    let function = call.required("function")?.object(&["name", "arguments"])?;
    function.required("name")?.name(TOOL_NAME_CHARS_MAX)?;
    let arguments = function.required("arguments")?;
    match serde_json::from_str::<Json>(arguments.text()?) {
        Ok(Json::Object(_)) => Ok(()),
        _ => Err(arguments.refuse(Reason::ArgumentsNotJson)),
    }
}

fn check_content(at: &At<'_>, role: &str) -> Result<(), Refusal> {
    if at.value.is_string() {
        return at.words().map(drop);
    }
    for part_at in at.list()? {
        let part = part_at.open_object()?;
        match part.required("type")?.text()? {
            "text" => {
                part.only(&["type", "text"])?;
                part.required("text")?.words()?;
            }
            "image_url" if role == "user" => {
                part.only(&["type", "image_url"])?;
                let image = part.required("image_url")?.object(&["url", "detail"])?;
                image.required("url")?.words()?;
            }
            kind => {
                let (kind, role) = (kind.to_owned(), role.to_owned());
                return Err(part_at.refuse(Reason::BlockNotAllowed { kind, role }));
            }
        }
    }
    Ok(())
}
