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
import sys
import threading
import time
import tomllib

from fake_program import (ToolServer, add_line, be_deaf, fork_on, leave_things, post, read_lines, run_command, sleep_for_ever,
                          update_itself)

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
            self.items = [line["payload"] for line in read_lines(self.path) if line["type"] == "response_item"]

    def add_line(self, kind, payload):
        add_line(self.path, {"timestamp": "t", "type": kind, "payload": payload})

    def add(self, item):
        self.items.append(item)
        self.add_line("response_item", item)


def our_tools():
    server = SETTINGS["mcp_servers"]["omoi"]
    assert server["supports_parallel_tool_calls"] and server["default_tools_approval_mode"] == "approve"
    return ToolServer(server["args"])


def function(name):
    return {"type": "function", "name": name, "description": name, "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}}}


def ask(session, server):
    ours = [{"type": "function", "name": t["name"], "description": "", "parameters": t["inputSchema"]} for t in server.tools]
    tools = [function("exec_command"), {"type": "namespace", "name": "mcp__omoi", "description": "", "tools": ours}]
    body = {"model": MODEL, "input": session.items, "tools": tools, "stream": False, "store": False}
    provider = SETTINGS["model_providers"]["omoi"]
    assert provider["wire_api"] == "responses" and provider["request_max_retries"] == 0
    headers = {"authorization": "Bearer " + os.environ[provider["env_key"]]}
    return post(provider["base_url"] + "/responses", body, headers, INTERRUPTED)


def is_allowed(method, call):
    asked = next(ASKED)
    params = {"threadId": THREAD, "itemId": call["call_id"], "kind": "command", "command": "/bin/bash -lc x"}
    say({"method": method, "id": asked, "params": params})
    with CHANGED:
        CHANGED.wait_for(lambda: asked in ANSWERS or INTERRUPTED.is_set())
        return not INTERRUPTED.is_set() and ANSWERS[asked]["decision"] == "accept"


def run_shell_call(call, turn):
    item = {"type": "commandExecution", "id": call["call_id"], "status": "inProgress"}
    tell("item/started", item=item, turnId=turn)
    if not is_allowed("item/commandExecution/requestApproval", call):
        tell("item/completed", item={**item, "status": "declined"}, turnId=turn)
        return "exec_command failed: rejected by user"
    command = json.loads(call["arguments"])["cmd"]
    child = run_command(command, INTERRUPTED)
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
    text, is_error = server.use(call["name"], arguments, _meta={"callId": call["call_id"]})
    tell("item/completed", item={**item, "status": "failed" if is_error else "completed"}, turnId=turn)
    return [{"type": "input_text", "text": "Output:"}, {"type": "input_text", "text": text}]


def run_calls(calls, turn, server):
    outputs = {}

    def run(call):
        own = call.get("namespace") == "mcp__omoi"
        outputs[call["call_id"]] = run_own(call, turn, server) if own else run_shell_call(call, turn)

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
        be_deaf()
    if QUIRK == "updates-itself":
        update_itself()
    if QUIRK == "log-in":
        print("Please run codex login", file=sys.stderr)
        sys.exit(1)
    check_settings()
    if QUIRK == "window":
        told = SETTINGS["model_context_window"], SETTINGS["model_auto_compact_token_limit"]
        assert told == (50_000, 40_000), told
    threading.Thread(target=read_input, daemon=True).start()
    first = INCOMING.get()
    version = "9.9.9" if QUIRK == "other-version" else "1.2.3"
    say({"id": first["id"], "result": {"userAgent": f"omoi/{version} (Fake 1.0; x86_64) unknown (omoi; 1)"}})
    assert INCOMING.get()["method"] == "initialized"
    opens = INCOMING.get()
    params = opens["params"]
    MODEL = params["model"]
    assert params["approvalPolicy"] == "untrusted" and params["modelProvider"] == "omoi"
    session, server = Session(params.get("threadId")), our_tools()
    say({"id": opens["id"], "result": {"thread": {"id": params.get("threadId") or THREAD, "path": session.path}}})
    tell("mcpServer/startupStatus/updated", name="omoi", status="ready", error=None)
    if not session.items:
        session.add({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": params["developerInstructions"]}]})
    if QUIRK == "daemon":
        leave_things(".git/x", ".codex", ".aws", ".agents")
        os.rmdir(".git/x")
    turns = iter(range(1000))
    while (line := INCOMING.get()) is not None:
        turn = f"turn-{next(turns)}"
        say({"id": line["id"], "result": {"turn": {"id": turn, "status": "inProgress"}}})
        for part in line["params"]["input"]:
            session.add({"type": "message", "role": "user", "content": [{"type": "input_text", "text": part["text"]}]})
        tell("turn/completed", turn={"id": turn, **take_turn(session, server, turn)})
    if QUIRK == "forks":
        fork_on()
    if QUIRK == "deaf":
        sleep_for_ever()


main()
