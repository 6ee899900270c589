#!/usr/bin/env python3
"""Speaks the line protocol of Claude Code, with a fifth of its manners.

It asks the model that it is pointed at, runs the tools `Write` and `Bash` and those of the server that it is
given, asks by the hook before each tool, and keeps its conversation in a session file. `--quirk` makes it misbehave.
"""
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

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
            with open(self.path) as file:
                self.messages = [json.loads(line)["message"] for line in file]
        os.makedirs(os.path.dirname(self.path), exist_ok=True)

    def add(self, message, message_id=None):
        self.messages.append(message)
        late = QUIRK == "late-file" and message["role"] == "user" and len(self.messages) > 1
        threading.Timer(0.3, self.write, [message, message_id]).start() if late else self.write(message, message_id)

    def write(self, message, message_id):
        line = {"id": message_id, "message": message}
        with open(self.path, "a") as file:
            file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")


class ToolServer:
    def __init__(self):
        server = json.loads(ARGS["--mcp-config"])["mcpServers"]["omoi"]
        assert server["args"][:3] == ["agent", "tools", "--socket"], server
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(server["args"][3])
        self.lines = self.socket.makefile("r")
        self.n = 0
        self.call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "fake", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.tools = self.call("tools/list", {})["tools"]

    def send(self, message):
        self.socket.sendall((json.dumps(message) + "\n").encode())

    def call(self, method, params):
        self.n += 1
        self.send({"jsonrpc": "2.0", "id": self.n, "method": method, "params": params})
        while True:
            answer = json.loads(self.lines.readline())
            if answer.get("id") == self.n:
                return answer["result"]


def result(**fields):
    say({"type": "result", "subtype": "success", "is_error": False, "num_turns": 1, **fields})


def ask(session, server):
    offered = [{"name": name, "description": name, "input_schema": {"type": "object"}} for name in TOOLS]
    for tool in server.tools:
        offered.append({"name": "mcp__omoi__" + tool["name"], "description": "", "input_schema": tool["inputSchema"]})
    body = {"model": ARGS["--model"], "max_tokens": 1000, "messages": session.messages, "tools": offered}
    request = urllib.request.Request(
        os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages",
        json.dumps(body).encode(),
        {"content-type": "application/json", "x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"},
    )
    found = queue.Queue()

    def fetch():
        try:
            found.put((200, json.loads(urllib.request.urlopen(request).read())))
        except urllib.error.HTTPError as error:
            found.put((error.code, error.read().decode()))

    threading.Thread(target=fetch, daemon=True).start()
    while not INTERRUPTED.is_set():
        try:
            return found.get(timeout=0.02)
        except queue.Empty:
            pass
    return None, None


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
        with open(call["input"]["file_path"]) as file:
            return False, file.read()
    if call["name"].startswith("mcp__omoi__") and os.environ.get("ENABLE_TOOL_SEARCH") != "false":
        return True, "the tool is deferred: search for it first"
    if call["name"].startswith("mcp__omoi__"):
        answer = server.call("tools/call", {"name": call["name"][len("mcp__omoi__"):], "arguments": call["input"]})
        return answer["isError"], answer["content"][0]["text"]
    if call["name"] == "Write":
        path = os.path.abspath(call["input"]["file_path"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(call["input"]["content"])
        return False, "written"
    if call["name"] == "Bash":
        child = subprocess.Popen(["sh", "-c", call["input"]["command"]], stdout=subprocess.PIPE, text=True, start_new_session=True)
        while child.poll() is None and not INTERRUPTED.is_set():
            time.sleep(0.02)
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
                while True:
                    time.sleep(60)
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
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if QUIRK == "log-in":
        print("Please run /login", file=sys.stderr)
        sys.exit(1)
    threading.Thread(target=read_input, daemon=True).start()
    first = INCOMING.get()
    say({"type": "control_response", "response": {"subtype": "success", "request_id": first["request_id"], "response": {}}})
    session, server = Session(), ToolServer()
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
        subprocess.Popen(["sh", "-c", "echo $$ > daemon; exec sleep 300"], start_new_session=True, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.makedirs(".codex", exist_ok=True)
    if "CLAUDE_CODE_RESUME_INTERRUPTED_TURN" in os.environ:
        take_turn(session, server)
    while (line := INCOMING.get()) is not None:
        session.add({"role": "user", "content": line["message"]["content"]})
        take_turn(session, server)
    while QUIRK == "deaf":
        time.sleep(60)


main()
