#!/usr/bin/env python3
"""Speaks the app-server protocol of Codex, with a fifth of its manners.

It asks the model that its settings name, runs `exec_command`, patches and the tools of the server that it is given, side
by side and the last one first, asks before each command, and keeps its conversation in a session file. `--quirk` makes
it misbehave.
"""
import glob
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request

QUIRK = sys.argv[2]
assert sys.argv[3] == "app-server", sys.argv
SETTINGS = {}
DISABLED = set()
for option, value in zip(sys.argv[4::2], sys.argv[5::2]):
    if option == "--disable":
        DISABLED.add(value)
    else:
        assert option == "-c", option
        for key, found in tomllib.loads(value).items():
            SETTINGS.setdefault(key, {}).update(found) if isinstance(found, dict) else SETTINGS.update({key: found})
HOME = os.environ["CODEX_HOME"]
THREAD = "01a22694-7c0d-76e0-b622-1b3c18cbd1f8"
INCOMING = queue.Queue()
ANSWERS = {}
CHANGED = threading.Condition()
INTERRUPTED = threading.Event()
LOCK = threading.Lock()
ASKED = iter(range(1000))


def check_settings():
    """What the driver must never leave out."""
    assert SETTINGS["web_search"] == "disabled", "the model's maker would search the web"
    assert SETTINGS["projects"][os.getcwd()] == {"trust_level": "untrusted"}, "it would start what the repository names"
    assert SETTINGS["analytics"] == {"enabled": False}
    assert {"plugins", "hooks"} <= DISABLED
    assert os.path.isdir(HOME) and not HOME.startswith(os.getcwd())


def say(line):
    with LOCK:
        print(json.dumps(line), flush=True)


def tell(method, **params):
    say({"method": method, "params": {"threadId": THREAD, **params}})


def read_input():
    for line in sys.stdin:
        line = json.loads(line)
        if line.get("method") == "turn/interrupt":
            INTERRUPTED.set()
            with CHANGED:
                CHANGED.notify_all()
            say({"id": line["id"], "result": {}})
        elif "method" not in line:
            with CHANGED:
                ANSWERS[line["id"]] = line["result"]
                CHANGED.notify_all()
        else:
            INCOMING.put(line)
    INCOMING.put(None)


class Session:
    def __init__(self, thread_id):
        self.items = []
        found = glob.glob(f"{HOME}/sessions/*/*/*/rollout-*-{thread_id}.jsonl") if thread_id else []
        self.path = found[0] if found else f"{HOME}/sessions/2026/11/29/rollout-2026-11-29T09-00-00-{THREAD}.jsonl"
        if thread_id:
            with open(self.path) as file:
                lines = [json.loads(line) for line in file]
            self.items = [line["payload"] for line in lines if line["type"] == "response_item"]
        os.makedirs(os.path.dirname(self.path), exist_ok=True)

    def add_line(self, kind, payload):
        with open(self.path, "a") as file:
            file.write(json.dumps({"timestamp": "t", "type": kind, "payload": payload}, separators=(",", ":")) + "\n")

    def add(self, item):
        self.items.append(item)
        self.add_line("response_item", item)


class ToolServer:
    def __init__(self):
        server = SETTINGS["mcp_servers"]["omoi"]
        assert server["args"][:3] == ["agent", "tools", "--socket"], server
        assert server["supports_parallel_tool_calls"] and server["default_tools_approval_mode"] == "approve"
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(server["args"][3])
        self.lines = self.socket.makefile("r")
        self.answers = {}
        self.changed = threading.Condition()
        self.ids = iter(range(1, 1000))
        threading.Thread(target=self.read, daemon=True).start()
        self.call("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "fake", "version": "1"}})
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.tools = self.call("tools/list", {})["tools"]

    def read(self):
        for line in self.lines:
            answer = json.loads(line)
            with self.changed:
                self.answers[answer.get("id")] = answer.get("result")
                self.changed.notify_all()

    def send(self, message):
        with self.changed:
            self.socket.sendall((json.dumps(message) + "\n").encode())

    def call(self, method, params):
        n = next(self.ids)
        self.send({"jsonrpc": "2.0", "id": n, "method": method, "params": params})
        with self.changed:
            self.changed.wait_for(lambda: n in self.answers)
            return self.answers[n]


def function(name):
    return {"type": "function", "name": name, "description": name, "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}}}


def ask(session, server):
    ours = [{"type": "function", "name": t["name"], "description": "", "parameters": t["inputSchema"]} for t in server.tools]
    tools = [function("exec_command"), {"type": "namespace", "name": "mcp__omoi", "description": "", "tools": ours}]
    body = {"model": MODEL, "input": session.items, "tools": tools, "stream": False, "store": False}
    provider = SETTINGS["model_providers"]["omoi"]
    assert provider["wire_api"] == "responses" and provider["request_max_retries"] == 0
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ[provider["env_key"]]}
    request = urllib.request.Request(provider["base_url"] + "/responses", json.dumps(body).encode(), headers)
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


def is_allowed(method, call):
    asked = next(ASKED)
    params = {"threadId": THREAD, "itemId": call["call_id"], "kind": "command", "command": "/bin/bash -lc x"}
    say({"method": method, "id": asked, "params": params})
    with CHANGED:
        CHANGED.wait_for(lambda: asked in ANSWERS or INTERRUPTED.is_set())
        return not INTERRUPTED.is_set() and ANSWERS[asked]["decision"] == "accept"


def run_command(call, turn):
    item = {"type": "commandExecution", "id": call["call_id"], "status": "inProgress"}
    tell("item/started", item=item, turnId=turn)
    if not is_allowed("item/commandExecution/requestApproval", call):
        tell("item/completed", item={**item, "status": "declined"}, turnId=turn)
        return "exec_command failed: rejected by user"
    command = json.loads(call["arguments"])["cmd"]
    child = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True, start_new_session=True)
    while child.poll() is None and not INTERRUPTED.is_set():
        time.sleep(0.02)
    if child.poll() is None:
        return "aborted by user"  # It runs on, as with the real one.
    code, text = child.wait(), child.stdout.read()
    status = "failed" if code else "completed"
    tell("item/completed", item={**item, "status": status, "aggregatedOutput": text, "exitCode": code}, turnId=turn)
    return f"Process exited with code {code}\nOutput:\n{text}"


def run_own(call, turn, server):
    item = {"type": "mcpToolCall", "id": call["call_id"], "server": "omoi", "tool": call["name"], "status": "inProgress"}
    tell("item/started", item=item, turnId=turn)
    arguments = json.loads(call["arguments"])
    answer = server.call("tools/call", {"name": call["name"], "arguments": arguments, "_meta": {"callId": call["call_id"]}})
    tell("item/completed", item={**item, "status": "failed" if answer["isError"] else "completed"}, turnId=turn)
    return [{"type": "input_text", "text": "Output:"}, {"type": "input_text", "text": answer["content"][0]["text"]}]


def run_calls(calls, turn, server):
    outputs = {}

    def run(call):
        own = call.get("namespace") == "mcp__omoi"
        outputs[call["call_id"]] = run_own(call, turn, server) if own else run_command(call, turn)

    threads = [threading.Thread(target=run, args=(call,), daemon=True) for call in calls]
    for thread in reversed(threads):
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        while thread.is_alive() and not INTERRUPTED.is_set():
            thread.join(0.02)
    return outputs


def take_turn(session, server, turn):
    while True:
        status, answer = ask(session, server)
        if INTERRUPTED.is_set():
            return {"status": "interrupted", "error": None}
        if status != 200:
            return {"status": "failed", "error": {"message": f"exceeded retry limit, last status: {status}"}}
        for item in answer["output"]:
            session.add(item)
        calls = [item for item in answer["output"] if item["type"] == "function_call"]
        outputs = run_calls(calls, turn, server)
        if INTERRUPTED.is_set():
            return {"status": "interrupted", "error": None}
        for call in calls:
            session.add({"type": "function_call_output", "call_id": call["call_id"], "output": outputs[call["call_id"]]})
        tell("thread/tokenUsage/updated", turnId=turn, tokenUsage={})
        # It speaks a little earlier than it writes.
        mark = ["event_msg", {"type": "token_count", "info": {}}]
        if QUIRK == "late-file" and calls:
            threading.Timer(0.3, session.add_line, mark).start()
        else:
            time.sleep(0.05)
            session.add_line(*mark)
        if not calls:
            session.add_line("event_msg", {"type": "task_complete", "turn_id": turn})
            return {"status": "completed", "error": None}


def main():
    global MODEL
    if QUIRK == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if QUIRK == "log-in":
        print("Please run codex login", file=sys.stderr)
        sys.exit(1)
    check_settings()
    threading.Thread(target=read_input, daemon=True).start()
    first = INCOMING.get()
    version = "9.9.9" if QUIRK == "other-version" else "1.2.3"
    say({"id": first["id"], "result": {"userAgent": f"omoi/{version} (Fake 1.0; x86_64) unknown (omoi; 1)"}})
    assert INCOMING.get()["method"] == "initialized"
    opens = INCOMING.get()
    params = opens["params"]
    MODEL = params["model"]
    assert params["approvalPolicy"] == "untrusted" and params["modelProvider"] == "omoi"
    session, server = Session(params.get("threadId")), ToolServer()
    say({"id": opens["id"], "result": {"thread": {"id": params.get("threadId") or THREAD, "path": session.path}}})
    tell("mcpServer/startupStatus/updated", name="omoi", status="ready", error=None)
    if not session.items:
        session.add({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": params["developerInstructions"]}]})
    if QUIRK == "daemon":
        subprocess.Popen(["sh", "-c", "echo $$ > daemon; exec sleep 300"], start_new_session=True, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name in (".git/x", ".codex", ".aws", ".agents"):
            os.makedirs(name, exist_ok=True)
        os.rmdir(".git/x")
    turns = iter(range(1000))
    while (line := INCOMING.get()) is not None:
        turn = f"turn-{next(turns)}"
        say({"id": line["id"], "result": {"turn": {"id": turn, "status": "inProgress"}}})
        for part in line["params"]["input"]:
            session.add({"type": "message", "role": "user", "content": [{"type": "input_text", "text": part["text"]}]})
        tell("turn/completed", turn={"id": turn, **take_turn(session, server, turn)})
    while QUIRK == "deaf":
        time.sleep(60)


main()
