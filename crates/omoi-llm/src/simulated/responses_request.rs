//! Checking a request to `POST /v1/responses` as strictly as its vendor does, or more.

use serde_json::{Value as Json, json};

use super::{
    cache_figures,
    checked_request::{
        OfferedTool, ReasoningForm, RequestForm, RequestedChoice, TOOL_NAME_CHARS_MAX,
        ToolCallLedger, ToolForm, named_choice, offer_tool,
    },
    located_value::{LocatedObject, LocatedValue},
    reasoning_seal,
    refusal::{RefusalReason, RequestRefusal},
    responses_answer, schema,
};

const REQUEST: &[&str] = &[
    "model",
    "input",
    "instructions",
    "max_output_tokens",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "reasoning",
    "text",
    "include",
    "store",
    "previous_response_id",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "truncation",
    "metadata",
    "user",
];
/// Fields that this server has no use for: any value of an object or a text will do.
const OBJECTS: &[&str] = &["stream_options", "metadata", "reasoning", "text"];
const TEXTS: &[&str] = &[
    "instructions",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "truncation",
    "user",
];

/// Checks the body, model name apart.
pub(super) fn check_body(body: &Json) -> Result<RequestForm, RequestRefusal> {
    let request = LocatedValue::at_root(body).strict_object(REQUEST)?;
    let flag = |key| -> Result<Option<bool>, RequestRefusal> {
        given(&request, key).map(|at| at.as_flag()).transpose()
    };
    let stream = flag("stream")?.unwrap_or(false);
    flag("store")?;
    check_settings(&request)?;
    let max_tokens = given(&request, "max_output_tokens")
        .map(|at| at.positive_count())
        .transpose()?;
    let tools = given(&request, "tools").map(|at| read_tools(&at));
    let tools = tools.transpose()?.unwrap_or_default();
    let choice = match given(&request, "tool_choice") {
        Some(at) => read_choice(&at, &tools)?,
        None => RequestedChoice::Auto,
    };
    let turn_before = match given(&request, "previous_response_id") {
        Some(at) => Some(continued_turn(&at)?),
        None => None,
    };
    let input = request.required_field("input")?;
    let (counted, has_calls) = check_input(&input, turn_before.is_some())?;
    let included = |word: &str| {
        let include = body["include"].as_array();
        include.is_some_and(|include| include.iter().any(|entry| entry == word))
    };
    Ok(RequestForm {
        stream,
        usage_chunk: true,
        turn: turn_before.unwrap_or_default() + counted,
        has_calls,
        max_tokens,
        tools,
        choice,
        parallel: flag("parallel_tool_calls")?.unwrap_or(true),
        reasoning: ReasoningForm {
            shown: !body["reasoning"]["summary"].is_null(),
            sealed: included("reasoning.encrypted_content"),
        },
        demanded: body["text"]["format"].get("schema").cloned(),
    })
}

/// A field that is there and not null, which stands for its absence here.
fn given<'a>(object: &LocatedObject<'a>, key: &str) -> Option<LocatedValue<'a>> {
    object.optional_field(key).filter(|at| !at.value.is_null())
}

fn check_settings(request: &LocatedObject<'_>) -> Result<(), RequestRefusal> {
    for (key, min, max) in [("temperature", 0.0, 2.0), ("top_p", 0.0, 1.0)] {
        given(request, key)
            .map(|at| at.number_within(min, max))
            .transpose()?;
    }
    for key in OBJECTS {
        given(request, key).map(|at| at.open_object()).transpose()?;
    }
    for key in TEXTS {
        given(request, key).map(|at| at.as_text()).transpose()?;
    }
    if let Some(include) = given(request, "include")
        && include.value.as_array().is_none_or(|list| !list.is_empty())
    {
        for word in include.non_empty_list()? {
            word.non_blank_text()?;
        }
    }
    Ok(())
}

/// The turn after the answer that is named: its id tells which turn it was.
fn continued_turn(at: &LocatedValue<'_>) -> Result<u32, RequestRefusal> {
    let id = at.non_blank_text()?;
    let turn = responses_answer::turn_of_id(id);
    turn.map(|turn| turn + 1).ok_or_else(|| {
        let id = id.to_owned();
        at.refuse_with(RefusalReason::UnknownAnswer { id })
    })
}

fn read_tools(at: &LocatedValue<'_>) -> Result<Vec<OfferedTool>, RequestRefusal> {
    let mut offered = Vec::new();
    // The list may be empty here.
    if at.value.as_array().is_some_and(Vec::is_empty) {
        return Ok(offered);
    }
    for tool_at in at.non_empty_list()? {
        let tool = tool_at.open_object()?;
        let kind = tool.required_field("type")?;
        match kind.one_of(
            &["function", "custom", "namespace"],
            "`function`, `custom`, `namespace`",
        )? {
            "namespace" => read_group(&tool, &mut offered)?,
            kind => read_tool(kind, &tool, None, &mut offered)?,
        }
    }
    Ok(offered)
}

fn read_group(
    group: &LocatedObject<'_>,
    offered: &mut Vec<OfferedTool>,
) -> Result<(), RequestRefusal> {
    group.allow_only(&["type", "name", "description", "tools"])?;
    let name = group
        .required_field("name")?
        .valid_name(TOOL_NAME_CHARS_MAX)?;
    for tool_at in group.required_field("tools")?.non_empty_list()? {
        let tool = tool_at.open_object()?;
        let kind = tool.required_field("type")?;
        let kind = kind.one_of(&["function", "custom"], "`function`, `custom`")?;
        read_tool(kind, &tool, Some(name), offered)?;
    }
    Ok(())
}

fn read_tool(
    kind: &str,
    tool: &LocatedObject<'_>,
    group: Option<&str>,
    offered: &mut Vec<OfferedTool>,
) -> Result<(), RequestRefusal> {
    let known: &[&str] = match kind {
        "custom" => &["type", "name", "description", "format"],
        _ => &["type", "name", "description", "parameters", "strict"],
    };
    tool.allow_only(known)?;
    given(tool, "description")
        .map(|at| at.as_text())
        .transpose()?;
    let name = tool.required_field("name")?;
    let (form, schema) = match kind {
        "custom" => (ToolForm::Freeform, json!({})),
        _ => {
            let parameters = tool.required_field("parameters")?;
            schema::check_arguments_schema(&parameters)?;
            (ToolForm::Arguments, parameters.value.clone())
        }
    };
    let added = OfferedTool {
        name: name.as_text()?.to_owned(),
        group: group.map(str::to_owned),
        form,
        schema,
    };
    offer_tool(offered, &name, added)
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
    let choice = at.strict_object(&["type", "name"])?;
    choice
        .required_field("type")?
        .one_of(&["function", "custom"], "`function`, `custom`")?;
    named_choice(tools, &choice.required_field("name")?)
}

/// Checks the conversation and counts the answers in it: what the model said and called without
/// anything in between is one. Says whether there are tool calls, too.
fn check_input(input: &LocatedValue<'_>, continues: bool) -> Result<(u32, bool), RequestRefusal> {
    if input.value.is_string() {
        input.non_blank_text()?;
        return Ok((0, false));
    }
    let mut calls = match continues {
        true => ToolCallLedger::continued_calls(),
        false => ToolCallLedger::default(),
    };
    let (mut turn, mut in_answer) = (0, false);
    for at in input.non_empty_list()? {
        let is_answer = cache_figures::is_answer(at.value);
        if is_answer && !in_answer {
            // Results may come in any order, but before the model speaks again.
            calls.all_answered(&at)?;
            turn += 1;
        }
        check_item(&at, &mut calls)?;
        in_answer = is_answer;
    }
    if in_answer {
        return Err(input.refuse_with(RefusalReason::LastRole));
    }
    calls.all_answered(input)?;
    Ok((turn, calls.has_calls()))
}

fn check_item(at: &LocatedValue<'_>, calls: &mut ToolCallLedger) -> Result<(), RequestRefusal> {
    let item = at.open_object()?;
    let kind = match item.optional_field("type") {
        Some(kind) => kind.as_text()?,
        None => "message",
    };
    match kind {
        "message" => check_message(&item),
        "reasoning" => check_reasoning(&item),
        "function_call" => {
            let known = [
                "type",
                "id",
                "call_id",
                "name",
                "namespace",
                "arguments",
                "status",
            ];
            item.allow_only(&known)?;
            calls.add_call(&item.required_field("call_id")?)?;
            item.required_field("name")?
                .valid_name(TOOL_NAME_CHARS_MAX)?;
            let arguments = item.required_field("arguments")?;
            match serde_json::from_str::<Json>(arguments.as_text()?) {
                Ok(Json::Object(_)) => Ok(()),
                _ => Err(arguments.refuse_with(RefusalReason::ArgumentsNotJson)),
            }
        }
        "custom_tool_call" => {
            let known = [
                "type",
                "id",
                "call_id",
                "name",
                "namespace",
                "input",
                "status",
            ];
            item.allow_only(&known)?;
            calls.add_call(&item.required_field("call_id")?)?;
            item.required_field("name")?
                .valid_name(TOOL_NAME_CHARS_MAX)?;
            item.required_field("input")?.as_text().map(drop)
        }
        "function_call_output" | "custom_tool_call_output" => {
            item.allow_only(&["type", "id", "call_id", "output", "status"])?;
            calls.add_result(&item.required_field("call_id")?)?;
            let output = item.required_field("output")?;
            // A tool may say nothing.
            if output.value.as_str() != Some("") {
                check_content(&output, "tool")?;
            }
            Ok(())
        }
        kind => {
            let (kind, role) = (kind.to_owned(), "input".to_owned());
            Err(at.refuse_with(RefusalReason::BlockNotAllowed { kind, role }))
        }
    }
}

fn check_message(message: &LocatedObject<'_>) -> Result<(), RequestRefusal> {
    message.allow_only(&["type", "id", "role", "content", "status", "phase"])?;
    let roles = ["user", "assistant", "system", "developer"];
    let allowed = "`user`, `assistant`, `system`, `developer`";
    let role = message.required_field("role")?.one_of(&roles, allowed)?;
    check_content(&message.required_field("content")?, role)
}

fn check_reasoning(item: &LocatedObject<'_>) -> Result<(), RequestRefusal> {
    item.allow_only(&[
        "type",
        "id",
        "summary",
        "content",
        "encrypted_content",
        "status",
    ])?;
    let summary = item.required_field("summary")?;
    let parts = summary.value.as_array().map(Vec::as_slice);
    let shown: Option<String> = parts.map(|parts| {
        let texts = parts.iter().filter_map(|part| part["text"].as_str());
        texts.collect()
    });
    let Some(seal) = given(item, "encrypted_content") else {
        return Ok(());
    };
    let text = seal.non_blank_text()?;
    let is_ours = match shown.as_deref() {
        None | Some("") => reasoning_seal::is_seal(text),
        Some(shown) => reasoning_seal::is_seal_of(text, shown),
    };
    if is_ours {
        return Ok(());
    }
    Err(seal.refuse_with(RefusalReason::ForeignReasoning))
}

fn check_content(at: &LocatedValue<'_>, role: &str) -> Result<(), RequestRefusal> {
    if at.value.is_string() {
        return at.non_blank_text().map(drop);
    }
    for part_at in at.non_empty_list()? {
        let part = part_at.open_object()?;
        let kind = part.required_field("type")?.as_text()?;
        match (kind, role) {
            ("input_text", _) if role != "assistant" => {
                part.allow_only(&["type", "text"])?;
                part.required_field("text")?.as_text()?;
            }
            ("output_text", "assistant") => {
                part.allow_only(&["type", "text", "annotations", "logprobs"])?;
                part.required_field("text")?.as_text()?;
            }
            ("refusal", "assistant") => {
                part.allow_only(&["type", "refusal"])?;
                part.required_field("refusal")?.as_text()?;
            }
            ("input_image", "user" | "tool") => {
                part.allow_only(&["type", "image_url", "file_id", "detail"])?;
            }
            ("input_file", "user" | "tool") => {
                part.allow_only(&[
                    "type",
                    "file_data",
                    "file_id",
                    "file_url",
                    "filename",
                    "detail",
                ])?;
            }
            _ => {
                let (kind, role) = (kind.to_owned(), role.to_owned());
                return Err(part_at.refuse_with(RefusalReason::BlockNotAllowed { kind, role }));
            }
        }
    }
    Ok(())
}
