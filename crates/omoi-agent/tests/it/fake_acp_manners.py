"""What programs of the Agent Client Protocol differ in: settings, dialect, sessions, and how they tell of a call."""
import fnmatch
import json
import os
import re

from fake_program import QUIRK, add_line, post, post_messages, read_lines

HOME = os.environ["HOME"]
SCHEMA = {"type": "object", "properties": {}}


def schema_of(keys):
    return {"type": "object", "properties": {key: {"type": "string"} for key in keys}, "required": keys[:1]}


class OpenCode:
    """Keeps its sessions in a database, and takes one in by `import`."""

    ARGUMENTS = {"bash": ["command", "description"], "write": ["filePath", "content"], "read": ["filePath"]}
    OWN = "omoi_"
    STOPS_AT_REFUSAL = False

    def __init__(self, arguments):
        assert arguments == ["acp"], arguments
        self.settings = json.load(open(f"{HOME}/.config/opencode/opencode.json"))
        for name in ("AUTOUPDATE", "MODELS_FETCH", "PROJECT_CONFIG"):
            assert os.environ[f"OPENCODE_DISABLE_{name}"] == "1", name
        assert self.settings["permission"]["*"] == "ask" and self.settings["permission"]["task"] == "deny", self.settings
        assert self.settings["share"] == "disabled" and self.settings["enabled_providers"] == ["omoi"], self.settings
        self.provider = self.settings["provider"]["omoi"]["options"]
        if QUIRK == "window":
            model, = self.settings["provider"]["omoi"]["models"].values()
            assert model["limit"] == {"context": 50_000, "output": 4_000}, model
        assert not any(self.provider["apiKey"] in value for value in os.environ.values())

    def new_session(self, params):
        return "ses_1", []

    def resume_session(self, params):
        return json.load(open(session_path(params["sessionId"])))

    def opened(self, params):
        denied = {"bash": "bash", "write": "edit", "read": "read"}
        return [name for name in self.ARGUMENTS if self.settings["permission"].get(denied[name]) != "deny"]

    def ask(self, messages, names, own, interrupted):
        tools = [{"name": name, "parameters": schema_of(self.ARGUMENTS[name])} for name in names]
        tools += [{"name": "omoi_" + tool["name"], "parameters": tool["inputSchema"]} for tool in own]
        tools = [{"type": "function", "function": tool} for tool in tools]
        system = {"role": "system", "content": self.settings["agent"]["build"]["prompt"]}
        model = self.settings["model"].removeprefix("omoi/")
        body = {"model": model, "messages": [system, *messages], "tools": tools, "stream": False}
        headers = {"authorization": "Bearer " + self.provider["apiKey"]}
        status, answer = post(self.provider["baseURL"] + "/chat/completions", body, headers, interrupted)
        if status != 200:
            return status, answer, None
        answer = answer["choices"][0]["message"]
        self.add(messages, answer)
        calls = [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in answer.get("tool_calls") or []]
        return status, answer.get("content") or "", calls

    def add(self, messages, message):
        messages.append(message)

    def add_prompt(self, messages, text):
        self.add(messages, {"role": "user", "content": text})

    def add_results(self, messages, calls, results):
        for call_id, _, _ in calls:
            self.add(messages, {"role": "tool", "tool_call_id": call_id, "content": results[call_id][0]})

    def call(self, name):
        return {"title": name, "rawInput": {}}

    def arguments(self, arguments):
        return {"status": "in_progress", "rawInput": arguments}

    def forbids(self, name, arguments):
        rules = self.settings["permission"].get({"write": "edit"}.get(name, name))
        if not isinstance(rules, dict):
            return None
        path = os.path.relpath(arguments["filePath"])
        verdicts = [verdict for pattern, verdict in rules.items() if fnmatch.fnmatchcase(path, pattern)]
        return "The user has specified a rule which prevents you from using this tool call." if verdicts[-1] == "deny" else None

    def question(self, name, arguments):
        return {"title": str(arguments), "rawInput": {}}

    def end(self, text, is_error, code):
        return {"rawOutput": {"error": text} if is_error else {"output": text, "metadata": {"exit": code}}}

    def chunks(self, words):
        return words.splitlines(keepends=True)


def session_path(session):
    return f"{HOME}/{session}.json"


class Messages:
    """Speaks Messages and keeps a file per session."""

    def new_session(self, params):
        self.open("01a22694-7c0d-46e0-b622-1b3c18cbd1f8")
        return self.id, []

    def resume_session(self, params):
        self.open(params["sessionId"])
        return [message for line in read_lines(self.path) for message in self.messages_of(line)]

    def open(self, session):
        self.id = session
        self.path = self.FOLDER + re.sub("[^a-zA-Z0-9]", "-", os.getcwd()) + self.BELOW + f"/{session}.jsonl"

    def ask(self, messages, names, own, interrupted):
        tools = [{"name": name, "input_schema": schema_of(self.ARGUMENTS[name])} for name in names]
        tools += [{"name": "mcp__omoi__" + tool["name"], "input_schema": tool["inputSchema"]} for tool in own]
        status, answer = post_messages(self.model, messages, tools, interrupted)
        if status != 200:
            return status, answer, None
        self.add(messages, {"role": "assistant", "content": answer["content"]})
        words = "".join(block["text"] for block in answer["content"] if block["type"] == "text")
        calls = [(block["id"], block["name"], block["input"]) for block in answer["content"] if block["type"] == "tool_use"]
        return status, words, calls

    def add_prompt(self, messages, text):
        self.add(messages, {"role": "user", "content": [{"type": "text", "text": text}]})

    def add_results(self, messages, calls, results):
        blocks = [{"tool_use_id": call_id, "type": "tool_result", "content": results[call_id][0], "is_error": results[call_id][1]} for call_id, _, _ in calls]
        self.add(messages, {"role": "user", "content": blocks})

    def add(self, messages, message):
        messages.append(message)
        add_line(self.path, self.line_of(message))

    OWN = "mcp__omoi__"


class Bridge(Messages):
    """The bridge to Claude Code."""

    ARGUMENTS = {"Bash": ["command"], "Write": ["file_path", "content"], "Read": ["file_path"]}
    STOPS_AT_REFUSAL = False
    BELOW = ""

    def __init__(self, arguments):
        assert arguments == [], arguments
        self.FOLDER = os.environ["CLAUDE_CONFIG_DIR"] + "/projects/"
        self.model = os.environ["ANTHROPIC_MODEL"]
        assert QUIRK != "window" or os.environ["CLAUDE_CODE_MAX_CONTEXT_TOKENS"] == "50000"
        assert os.environ["DISABLE_AUTOUPDATER"] == "1" and os.environ["ENABLE_TOOL_SEARCH"] == "false"

    def opened(self, params):
        options = params["_meta"]["claudeCode"]["options"]
        asked = options["settings"]["permissions"]["ask"]
        assert options["settingSources"] == [] and options["strictMcpConfig"], options
        assert asked == options["tools"] + ["mcp__omoi"], "a tool would run unasked"
        assert "not allowed in this sandbox" in params["_meta"]["systemPrompt"]["append"], params
        return [name for name in options["tools"] if name in self.ARGUMENTS]

    def line_of(self, message):
        return {"type": message["role"], "message": message}

    def messages_of(self, line):
        return [line["message"]]

    def call(self, name):
        return {"title": "Terminal", "name": name, "rawInput": {}, "_meta": {"claudeCode": {"toolName": name}}}

    def arguments(self, arguments):
        return {"rawInput": arguments, "title": str(arguments)}

    def question(self, name, arguments):
        return {"name": name, "title": str(arguments), "rawInput": arguments}

    def end(self, text, is_error, code):
        text = f"Exit code {code}\n{text}" if code else text
        return {"rawOutput": text, "content": [{"type": "content", "content": {"type": "text", "text": f"```\n{text}\n```"}}]}

    def chunks(self, words):
        return words.splitlines(keepends=True)


class Qwen(Messages):
    """Qwen Code."""

    ARGUMENTS = {"run_shell_command": ["command", "description", "is_background"], "write_file": ["file_path", "content"], "read_file": ["file_path"]}
    STOPS_AT_REFUSAL = True
    BELOW = "/chats"

    def __init__(self, arguments):
        options = dict(zip(arguments[1::2], arguments[2::2]))
        assert arguments[0] == "--acp" and options["--auth-type"] == "anthropic" and options["--approval-mode"] == "default", arguments
        assert "not allowed in this sandbox" in options["--append-system-prompt"], arguments
        self.FOLDER = os.environ["QWEN_HOME"] + "/projects/"
        self.model = options["--model"]
        self.settings = json.load(open(os.environ["QWEN_CODE_SYSTEM_SETTINGS_PATH"]))
        permissions = self.settings["permissions"]
        told = self.settings["model"]["generationConfig"]
        assert QUIRK != "window" or told["contextWindowSize"] == 50_000, told
        assert permissions["ask"] == self.settings["tools"]["core"] + ["mcp__omoi"], "a tool would run unasked"
        assert {"agent", "skill", "tool_search", "web_fetch"} <= set(permissions["deny"]), permissions

    def opened(self, params):
        return [name for name in self.ARGUMENTS if name in self.settings["tools"]["core"]]

    def line_of(self, message):
        parts = []
        for block in message["content"]:
            if block["type"] == "text":
                parts.append({"text": block["text"]})
            elif block["type"] == "tool_use":
                parts.append({"functionCall": {"id": block["id"], "name": block["name"], "args": block["input"]}})
            else:
                parts.append({"functionResponse": {"id": block["tool_use_id"], "response": {"output": block["content"]}}})
        return {"type": message["role"], "message": {"role": message["role"], "parts": parts}}

    def messages_of(self, line):
        blocks = []
        for part in line["message"]["parts"]:
            if "text" in part:
                blocks.append({"type": "text", "text": part["text"]})
            elif call := part.get("functionCall"):
                blocks.append({"type": "tool_use", "id": call["id"], "name": call["name"], "input": call["args"]})
            else:
                result = part["functionResponse"]
                blocks.append({"type": "tool_result", "tool_use_id": result["id"], "content": result["response"]["output"]})
        return [{"role": line["message"]["role"], "content": blocks}]

    def call(self, name):
        return {"title": "Shell", "rawInput": {}, "_meta": {"toolName": name, "phase": "preparing"}}

    def arguments(self, arguments):
        return None  # Only its question tells them.

    def question(self, name, arguments):
        return {"title": str(arguments), "rawInput": arguments, "_meta": {"toolName": name}}

    def end(self, text, is_error, code):
        content = {"type": "content", "content": {"type": "text", "text": text}}
        return {"content": [content], "rawOutput": {"type": "shown", "output": "for people", "exitCode": code}}

    def chunks(self, words):
        return [*words.splitlines(keepends=True), ""]


class Declared(Bridge):
    """One that a person has declared: told of the model as its dialect has it, its sessions where nobody knows."""

    ARGUMENTS = {"run_shell_command": ["command"], "write_file": ["file_path", "content"], "read_file": ["file_path"]}

    def __init__(self, arguments):
        assert arguments[1:] == ["--model", os.environ["ANTHROPIC_MODEL"]], arguments
        assert os.environ["TOOL_TOKEN"] == os.environ["ANTHROPIC_API_KEY"], "its own variable"
        self.ASKS = arguments[0] == "declared"
        self.KIND = "read" if arguments[0] == "misnamed" else None
        self.FOLDER = HOME + "/sessions/"
        self.model = arguments[2]

    def opened(self, params):
        assert params.get("_meta") is None, params
        return list(self.ARGUMENTS)

    def call(self, name):
        return {"title": name, "rawInput": {}}

    def arguments(self, arguments):
        return {"status": "in_progress", "rawInput": arguments}

    def end(self, text, is_error, code):
        return {"rawOutput": {"output": text, "exit_code": code}}


def manner_of(arguments):
    """The program that this one is, by its arguments and its environment."""
    if arguments[:1] in (["declared"], ["unasked"], ["misnamed"]):
        return Declared(arguments)
    if "QWEN_HOME" in os.environ:
        return Qwen(arguments)
    if "CLAUDE_CONFIG_DIR" in os.environ:
        return Bridge(arguments)
    return OpenCode(arguments)
