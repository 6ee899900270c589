#!/usr/bin/env python3
"""Speaks the line protocol of Claude Code, with a fifth of its manners.

It asks the model that it is pointed at, runs the tools `Write` and `Bash` and those of the server that it is
given, asks by the hook before each tool, and keeps its conversation in a session file. `--quirk` makes it misbehave.
"""
import json
import os
import queue
import re
import sys
import threading
import urllib.error
import urllib.request

from fake_program import (ToolServer, add_line, be_deaf, fork_on, leave_things, post_messages, read_file, read_lines, run_command,
                          sleep_for_ever, update_itself, write_file)

ARGS = dict(zip(sys.argv[1:], sys.argv[2:]))
QUIRK = ARGS["--quirk"]
TOOLS = ARGS["--tools"].split(",")
if QUIRK == "offers-bash":
    TOOLS.append("Bash")
INCOMING = queue.Queue()
INTERRUPTED = threading.Event()
ANSWERS = {}
READY = threading.Condition()


def say(line):
    print(json.dumps(line), flush=True)


def read_input():
    for line in sys.stdin:
        line = json.loads(line)
        if line["type"] == "control_request" and line["request"]["subtype"] == "interrupt":
            INTERRUPTED.set()
            answer = {"subtype": "success", "request_id": line["request_id"], "response": {}}
            say({"type": "control_response", "response": answer})
        elif line["type"] == "control_response":
            with READY:
                ANSWERS[line["response"]["request_id"]] = line["response"].get("response")
                READY.notify_all()
        else:
            INCOMING.put(line)
    INCOMING.put(None)


class Session:
    def __init__(self):
        self.id = ARGS.get("--resume") or ARGS["--session-id"]
        folder = re.sub("[^a-zA-Z0-9]", "-", os.getcwd())
        self.path = f"{os.environ['CLAUDE_CONFIG_DIR']}/projects/{folder}/{self.id}.jsonl"
        self.messages = []
        if "--resume" in ARGS:
            self.messages = [line["message"] for line in read_lines(self.path)]

    def add(self, message, message_id=None):
        self.messages.append(message)
        late = QUIRK == "late-file" and message["role"] == "user" and len(self.messages) > 1
        line = {"id": message_id, "message": message}
        threading.Timer(0.3, add_line, [self.path, line]).start() if late else add_line(self.path, line)


def result(**fields):
    say({"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, **fields})


def ask(session, server):
    offered = [{"name": name, "description": name, "input_schema": {"type": "object"}} for name in TOOLS]
    for tool in server.tools:
        offered.append({"name": "mcp__omoi__" + tool["name"], "description": "", "input_schema": tool["inputSchema"]})
    return post_messages(ARGS["--model"], session.messages, offered, INTERRUPTED)


def ask_hook(call):
    request = {"subtype": "hook_callback", "callback_id": "h", "input": {
        "hook_event_name": "PreToolUse", "tool_name": call["name"], "tool_input": call["input"], "tool_use_id": call["id"]}}
    say({"type": "control_request", "request_id": call["id"], "request": request})
    with READY:
        READY.wait_for(lambda: call["id"] in ANSWERS)
    return ANSWERS.pop(call["id"])["hookSpecificOutput"]


def run_tool(call, server):
    verdict = ask_hook(call)
    if verdict["permissionDecision"] != "allow":
        return True, "hook error: " + verdict["permissionDecisionReason"]
    if call["name"] == "Read":
        return False, read_file(call["input"]["file_path"])
    if call["name"].startswith("mcp__omoi__") and os.environ.get("ENABLE_TOOL_SEARCH") != "false":
        return True, "the tool is deferred: search for it first"
    if call["name"].startswith("mcp__omoi__"):
        text, is_error = server.use(call["name"].removeprefix("mcp__omoi__"), call["input"])
        return is_error, text
    if call["name"] == "Write":
        write_file(call["input"]["file_path"], call["input"]["content"])
        return False, "written"
    if call["name"] == "Bash":
        child = run_command(call["input"]["command"], INTERRUPTED)
        if child.poll() is None:
            return True, "[Request interrupted by user]"
        code = child.wait()
        return code != 0, child.stdout.read() if code == 0 else f"Exit code {code}\n"
    return True, "no such tool"


def take_turn(session, server):
    """One turn of the program: rounds until the model calls no tool."""
    while True:
        status, answer = ask(session, server)
        if INTERRUPTED.is_set():
            INTERRUPTED.clear()
            return say({"type": "result", "subtype": "error_during_execution", "is_error": True, "errors": []})
        if status != 200:
            words = {"type": "text", "text": "API Error"}
            say({"type": "assistant", "message": {"id": "x", "model": "<synthetic>", "content": [words]}})
            if QUIRK == "ignores-refusals" and status == 403:
                sleep_for_ever()
            return result(is_error=QUIRK != "calm", api_error_status=status, result=f"API Error: {status}")
        message_id = f"msg_{len(session.messages)}"
        session.add({"role": "assistant", "content": answer["content"]}, message_id)
        for block in answer["content"]:
            say({"type": "assistant", "message": {"id": message_id, "model": "m", "content": [block]}})
        say({"type": "stream_event", "event": {"type": "message_delta", "delta": {"stop_reason": answer["stop_reason"]}}})
        say({"type": "stream_event", "event": {"type": "message_stop"}})
        results = []
        for call in answer["content"]:
            if call["type"] == "tool_use":
                is_error, text = run_tool(call, server)
                results.append({"type": "tool_result", "tool_use_id": call["id"], "content": text, "is_error": is_error})
                say({"type": "user", "message": {"role": "user", "content": results[-1:]}})
        if INTERRUPTED.is_set():
            continue
        if not results:
            return result(result="done")
        session.add({"role": "user", "content": results})


def main():
    if QUIRK == "deaf":
        be_deaf()
    if QUIRK == "updates-itself":
        update_itself()
    if QUIRK == "log-in":
        print("Please run /login", file=sys.stderr)
        sys.exit(1)
    if QUIRK == "window":
        told = [os.environ[f"CLAUDE_CODE_{name}"] for name in ("MAX_CONTEXT_TOKENS", "AUTO_COMPACT_WINDOW")]
        assert told == ["50000", "50000"], told
    threading.Thread(target=read_input, daemon=True).start()
    first = INCOMING.get()
    say({"type": "control_response", "response": {"subtype": "success", "request_id": first["request_id"], "response": {}}})
    session = Session()
    server = ToolServer(json.loads(ARGS["--mcp-config"])["mcpServers"]["omoi"]["args"])
    version = "9.9.9" if QUIRK == "other-version" else "1.2.3"
    say({"type": "system", "subtype": "init", "session_id": session.id, "claude_code_version": version,
         "mcp_servers": [{"name": "omoi", "status": "connected"}]})
    if QUIRK == "odd-request":
        say({"type": "control_request", "request_id": "odd", "request": {"subtype": "hook_callback"}})
        with READY:
            READY.wait_for(lambda: "odd" in ANSWERS)
    if QUIRK == "stranger":
        for path, key in [("/v1/messages", "other"), ("/api/v1/items", os.environ["ANTHROPIC_API_KEY"])]:
            request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + path, b"{}", {"x-api-key": key})
            try:
                urllib.request.urlopen(request)
            except urllib.error.HTTPError as error:
                with open(f"refused-{error.code}", "w") as file:
                    file.write(error.read().decode())
    if QUIRK == "daemon":
        leave_things(".codex")
    if "CLAUDE_CODE_RESUME_INTERRUPTED_TURN" in os.environ:
        take_turn(session, server)
    while (line := INCOMING.get()) is not None:
        session.add({"role": "user", "content": line["message"]["content"]})
        take_turn(session, server)
    if QUIRK == "forks":
        fork_on()
    if QUIRK == "deaf":
        sleep_for_ever()


main()
