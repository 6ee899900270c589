#!/usr/bin/env python3
"""Speaks the Agent Client Protocol as opencode does, with a fifth of its manners.

It asks the model that its settings name, runs commands, files and the tools of the server that it is given side by
side, asks before each call, and takes in a session by `import`. `--quirk` makes it misbehave.
"""
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

QUIRK, COMMAND = sys.argv[2], sys.argv[3]
HOME = os.environ["HOME"]
SETTINGS = json.load(open(f"{HOME}/.config/opencode/opencode.json"))
OUTPUT, CHANGED, INTERRUPTED = threading.Lock(), threading.Condition(), threading.Event()
ANSWERS, PROMPTS, IDS = {}, queue.Queue(), iter(range(1000))
ARGUMENTS = {"bash": ["command", "description"], "write": ["filePath", "content"], "read": ["filePath"]}
KINDS = {"bash": "execute", "write": "edit", "read": "read"}


def check_settings():
    for name in ("AUTOUPDATE", "MODELS_FETCH", "PROJECT_CONFIG"):
        assert os.environ[f"OPENCODE_DISABLE_{name}"] == "1", name
    assert SETTINGS["permission"]["*"] == "ask" and SETTINGS["permission"]["task"] == "deny", SETTINGS
    assert SETTINGS["share"] == "disabled" and SETTINGS["enabled_providers"] == ["omoi"], SETTINGS
    assert not any(SETTINGS["provider"]["omoi"]["options"]["apiKey"] in value for value in os.environ.values())


def session_path(session):
    return f"{HOME}/{session}.json"


def say(message):
    with OUTPUT:
        print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)


def tell(session, **update):
    say({"method": "session/update", "params": {"sessionId": session, "update": update}})


def ask_client(method, params):
    n = next(IDS)
    say({"id": n, "method": method, "params": params})
    with CHANGED:
        CHANGED.wait_for(lambda: n in ANSWERS or INTERRUPTED.is_set())
        return ANSWERS.get(n)


def read_input():
    for line in sys.stdin:
        line = json.loads(line)
        if line.get("method") == "session/cancel":
            if QUIRK != "deaf":
                INTERRUPTED.set()
        elif "method" not in line:
            ANSWERS[line["id"]] = line.get("result") or {"outcome": {"outcome": "error"}}
        else:
            PROMPTS.put(line)
        with CHANGED:
            CHANGED.notify_all()
    PROMPTS.put(None)


class ToolServer:
    def __init__(self, server):
        assert server["name"] == "omoi" and server["args"][:3] == ["agent", "tools", "--socket"], server
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(server["args"][3])
        self.lines = self.socket.makefile("r")
        self.answers, self.changed, self.ids = {}, threading.Condition(), iter(range(1, 1000))
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


def offered_tools(server):
    denied = {"bash": "bash", "write": "edit", "read": "read"}
    tools = [
        {"name": name, "parameters": {"type": "object", "properties": {key: {"type": "string"} for key in keys}, "required": keys[:1]}}
        for name, keys in ARGUMENTS.items()
        if SETTINGS["permission"].get(denied[name]) != "deny"
    ]
    tools += [{"name": "omoi_" + tool["name"], "parameters": tool["inputSchema"]} for tool in server.tools]
    return [{"type": "function", "function": tool} for tool in tools]


def ask_model(messages, server):
    provider = SETTINGS["provider"]["omoi"]
    model = SETTINGS["model"].removeprefix("omoi/")
    system = {"role": "system", "content": SETTINGS["agent"]["build"]["prompt"]}
    body = {"model": model, "messages": [system, *messages], "tools": offered_tools(server), "stream": False}
    headers = {"content-type": "application/json", "authorization": "Bearer " + provider["options"]["apiKey"]}
    request = urllib.request.Request(provider["options"]["baseURL"] + "/chat/completions", json.dumps(body).encode(), headers)
    found = queue.Queue()

    def fetch():
        try:
            found.put((200, json.loads(urllib.request.urlopen(request).read())["choices"][0]["message"]))
        except urllib.error.HTTPError as error:
            found.put((error.code, error.read().decode()))

    threading.Thread(target=fetch, daemon=True).start()
    while not INTERRUPTED.is_set():
        try:
            return found.get(timeout=0.02)
        except queue.Empty:
            pass
    return None, None


def run_tool(name, arguments, server):
    """Words, whether it failed, exit code."""
    if name.startswith("omoi_"):
        answer = server.call("tools/call", {"name": name.removeprefix("omoi_"), "arguments": arguments})
        return answer["content"][0]["text"], answer["isError"], None
    if name == "write":
        path = os.path.join(os.getcwd(), arguments["filePath"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(arguments["content"])
        return "Wrote file successfully.", False, None
    if name == "read":
        with open(arguments["filePath"]) as file:
            return file.read(), False, None
    child = subprocess.Popen(["sh", "-c", arguments["command"]], stdout=subprocess.PIPE, text=True, start_new_session=True)
    while child.poll() is None and not INTERRUPTED.is_set():
        time.sleep(0.02)
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    return child.stdout.read(), False, child.wait()


def is_allowed(session, call_id, name, arguments):
    options = [
        {"optionId": "always", "kind": "allow_always", "name": "Always allow"},
        {"optionId": "once", "kind": "allow_once", "name": "Allow once"},
        {"optionId": "reject", "kind": "reject_once", "name": "Reject"},
    ]
    call = {"toolCallId": call_id, "title": str(arguments), "kind": KINDS.get(name, "other"), "status": "pending", "rawInput": {}}
    answer = ask_client("session/request_permission", {"sessionId": session, "toolCall": call, "options": options})
    outcome = (answer or {"outcome": {}})["outcome"]
    return outcome.get("optionId") == "once"


def run_call(session, call, server):
    call_id, name = call["id"], call["function"]["name"]
    arguments = json.loads(call["function"]["arguments"])
    tell(session, sessionUpdate="tool_call", toolCallId=call_id, title=name, kind=KINDS.get(name, "other"), status="pending", rawInput={})

    def tell_arguments():
        tell(session, sessionUpdate="tool_call_update", toolCallId=call_id, status="in_progress", rawInput=arguments)

    if QUIRK == "early":  # It asks before it has told what the call is made with.
        threading.Timer(0.1, tell_arguments).start()
    else:
        tell_arguments()
    if not is_allowed(session, call_id, name, arguments):
        text = "The user rejected permission to use this specific tool call."
        tell(session, sessionUpdate="tool_call_update", toolCallId=call_id, status="failed", rawOutput={"error": text})
        return text
    text, is_error, code = run_tool(name, arguments, server)
    output = {"error": text} if is_error else {"output": text, "metadata": {"exit": code}}
    time.sleep(0.05)  # The model is asked a little earlier than this is told.
    tell(session, sessionUpdate="tool_call_update", toolCallId=call_id, status="failed" if is_error else "completed", rawOutput=output)
    return text


def run_calls(session, calls, server):
    texts = {}
    threads = [threading.Thread(target=lambda c=call: texts.update({c["id"]: run_call(session, c, server)}), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        while thread.is_alive() and not INTERRUPTED.is_set():
            thread.join(0.02)
    return texts


def take_turn(session, messages, server):
    """The answer to the prompt: a result or an error."""
    while True:
        status, answer = ask_model(messages, server)
        while status and status != 200 and QUIRK == "retries":
            time.sleep(0.2)
            status, answer = ask_model(messages, server)
        if INTERRUPTED.is_set():
            return {"result": {"stopReason": "cancelled"}}
        if status != 200:
            return {"result": {"stopReason": "end_turn"}} if QUIRK == "success" else {"error": {"code": -32603, "message": answer}}
        messages.append(answer)
        for word in (answer.get("content") or "").splitlines(keepends=True):
            tell(session, sessionUpdate="agent_message_chunk", content={"type": "text", "text": word})
        calls = answer.get("tool_calls") or []
        texts = run_calls(session, calls, server)
        if INTERRUPTED.is_set():
            return {"result": {"stopReason": "cancelled"}}
        messages += [{"role": "tool", "tool_call_id": call["id"], "content": texts[call["id"]]} for call in calls]
        if not calls:
            return {"result": {"stopReason": "end_turn"}}


def read_session(path):
    """The messages of an exported session, as the model is shown them."""
    messages = []
    for message in json.load(open(path))["messages"]:
        parts = message["parts"]
        text = "".join(part["text"] for part in parts if part["type"] == "text")
        tools = [part for part in parts if part["type"] == "tool"]
        calls = [
            {"id": t["callID"], "type": "function", "function": {"name": t["tool"], "arguments": json.dumps(t["state"]["input"])}}
            for t in tools
        ]
        found = {"role": message["info"]["role"], "content": text}
        messages.append({**found, "tool_calls": calls} if calls else found)
        for t in tools:
            text = t["state"].get("output", t["state"].get("error"))
            messages.append({"role": "tool", "tool_call_id": t["callID"], "content": text})
    return messages


def import_session():
    session = json.load(open(sys.argv[4]))["info"]["id"]
    with open(session_path(session), "w") as file:
        json.dump(read_session(sys.argv[4]), file)
    print(f"Imported session: {session}")


def leave_things():
    subprocess.Popen(["sh", "-c", "echo $$ > daemon; exec sleep 300"], start_new_session=True, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in (".aws", ".agents"):
        os.makedirs(name, exist_ok=True)


def open_session(line):
    params, messages, session = line["params"], [], "ses_1"
    if line["method"] == "session/resume":
        session = params["sessionId"]
        messages = json.load(open(session_path(session)))
    server = ToolServer(params["mcpServers"][0])
    say({"id": line["id"], "result": {"sessionId": session}})
    return session, messages, server


def main():
    if COMMAND == "import":
        return import_session()
    assert COMMAND == "acp", sys.argv
    check_settings()
    if QUIRK == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=read_input, daemon=True).start()
    first = PROMPTS.get()
    files = first["params"].get("clientCapabilities", {}).get("fs", {})
    assert not files.get("readTextFile") and not files.get("writeTextFile"), first
    version = "9.9.9" if QUIRK == "other-version" else "1.2.3"
    if QUIRK == "noise":
        print("A line for people.", flush=True)
    say({"id": first["id"], "result": {"protocolVersion": 1, "agentCapabilities": {}, "agentInfo": {"name": "Fake", "version": version}}})
    opens = PROMPTS.get()
    if QUIRK == "log-in":
        say({"id": opens["id"], "error": {"code": -32000, "message": "Authentication required"}})
    session, messages, server = open_session(opens)
    if QUIRK == "daemon":
        leave_things()
    while (line := PROMPTS.get()) is not None:
        messages.append({"role": "user", "content": line["params"]["prompt"][0]["text"]})
        answer = take_turn(session, messages, server)
        with open(session_path("told"), "w") as file:
            json.dump(messages, file)
        say({"id": line["id"], **answer})
    while QUIRK == "deaf":
        time.sleep(60)


main()
