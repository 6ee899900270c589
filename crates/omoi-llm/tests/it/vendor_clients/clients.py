"""The vendors' own clients against each server of argv: prints what each call gave, one line each."""

import sys

import anthropic
import openai
from pydantic import BaseModel

ASKED = [{"role": "user", "content": "Go on."}]


class Verdict(BaseModel):
    words: str
    score: int


def headers(task):
    return {"x-omoi-task": task}


def say(name, *seen):
    print(name, *seen, flush=True)


def say_unless_refused(name, vendor, ask):
    try:
        say(name, *ask())
    except vendor.APIStatusError as error:
        body = error.body or {}
        said = body.get("error", body)
        names = ("retry-after", "anthropic-ratelimit-requests-remaining", "x-ratelimit-reset-requests", "x-should-retry")
        told = {name: error.response.headers[name] for name in names if name in error.response.headers}
        say(name, "is refused:", type(error).__name__, error.status_code, said.get("type"), said.get("message"), told)


def messages(base):
    client = anthropic.Anthropic(base_url=base, api_key="any", max_retries=0)
    schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    options = {
        "model": "simulated",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "Bash", "input_schema": schema}],
    }
    parts = [
        {"type": "text", "text": "Go on.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
    ]
    asked = [{"role": "user", "content": parts}]
    with client.messages.stream(messages=asked, extra_headers=headers("calls"), **options) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_message()
    say("messages stream", [block.type for block in answer.content], answer.stop_reason, sorted(kinds))
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "ok"}
        for block in answer.content
        if block.type == "tool_use"
    ]
    history = asked + [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    answer = client.messages.create(messages=history, extra_headers=headers("words"), **options)
    say("messages whole", answer.content[0].text, answer.usage.cache_read_input_tokens > 0)
    def beta():
        answer = client.beta.messages.create(
            model="simulated",
            max_tokens=1000,
            messages=ASKED,
            betas=["context-management-2025-06-27"],
            context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
            tools=[{"type": "web_search_20250305", "name": "web_search"}],
            extra_headers=headers("words"),
        )
        return [answer.content[0].text]

    say_unless_refused("messages beta", anthropic, beta)
    say("messages models", client.models.list().data[0].id, client.models.retrieve("simulated").id)
    say("messages count", client.messages.count_tokens(model="simulated", messages=ASKED).input_tokens > 5)
    plain = {"model": "simulated", "max_tokens": 100, "messages": ASKED, "tools": options["tools"]}
    return lambda task: client.messages.create(extra_headers=headers(task), **plain)


def chat(base):
    client = openai.OpenAI(base_url=base + "/v1", api_key="any", max_retries=0)
    schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    tools = [{"type": "function", "function": {"name": "bash", "parameters": schema}}]
    options = {"model": "simulated", "tools": tools, "reasoning_effort": "low", "prompt_cache_key": "k"}
    asked = [{"role": "developer", "content": "Be brief."}, *ASKED]
    usage = {"include_usage": True}
    with client.chat.completions.stream(
        messages=asked, stream_options=usage, extra_headers=headers("calls"), **options
    ) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_completion()
    message = answer.choices[0].message
    calls = message.tool_calls
    say("chat stream", [call.function.name for call in calls], getattr(message, "reasoning_content", None), sorted(kinds))
    results = [{"role": "tool", "tool_call_id": call.id, "content": "ok"} for call in calls]
    history = [*asked, message.model_dump(exclude_none=True), *results]
    answer = client.chat.completions.create(messages=history, extra_headers=headers("words"), **options)
    cached = answer.usage.prompt_tokens_details.cached_tokens
    say("chat whole", answer.choices[0].message.content, cached > 0)
    say("chat models", client.models.list().data[0].id, client.models.retrieve("simulated").id)
    plain = {"model": "simulated", "messages": ASKED, "tools": tools}
    return lambda task: client.chat.completions.create(extra_headers=headers(task), **plain)


def responses(base):
    client = openai.OpenAI(base_url=base + "/v1", api_key="any", max_retries=0)
    schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    tools = [
        {"type": "custom", "name": "apply_patch"},
        {"type": "function", "name": "shell_command", "parameters": schema, "strict": False},
    ]
    options = {
        "model": "simulated",
        "tools": tools,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    with client.responses.stream(input="Go on.", extra_headers=headers("calls"), **options) as stream:
        kinds = {event.type for event in stream}
        answer = stream.get_final_response()
    say("responses stream", [item.type for item in answer.output], answer.status, sorted(kinds))
    outputs = [
        {"type": item.type + "_output", "call_id": item.call_id, "output": "ok"}
        for item in answer.output
        if item.type.endswith("_call")
    ]
    items = [item.model_dump(exclude_none=True) for item in answer.output]
    whole = client.responses.create(input=[*ASKED, *items, *outputs], extra_headers=headers("words"), **options)
    say("responses whole", whole.output_text, whole.usage.input_tokens_details.cached_tokens > 0)

    def continued():
        later = client.responses.create(
            input=outputs, previous_response_id=answer.id, extra_headers=headers("words"), **options
        )
        return [later.output_text]

    say_unless_refused("responses continued", openai, continued)

    def parsed():
        aside = client.responses.parse(
            model="simulated", input="Name it.", text_format=Verdict, extra_headers={"x-omoi-route": "title"}
        )
        return [aside.output_parsed]

    say_unless_refused("responses parsed", openai, parsed)
    plain = {"model": "simulated", "input": "Go on.", "tools": tools}
    return lambda task: client.responses.create(extra_headers=headers(task), **plain)


def failures(asks, task):
    for name, vendor, ask in asks:
        say_unless_refused("%s %s" % (name, task), vendor, lambda: [ask(task)])


for base in sys.argv[1:]:
    asks = [("messages", anthropic, messages(base)), ("chat", openai, chat(base)), ("responses", openai, responses(base))]
    # A gateway remembers that a limit is used up, whoever asks next.
    for task in ("retired", "nobody", "limited"):
        failures(asks, task)
