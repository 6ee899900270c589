#!/usr/bin/env python3
"""Speaks the Agent Client Protocol as opencode, the bridge to Claude Code or Qwen Code do, with a fifth of their manners.

It asks the model that it is pointed at, runs commands, files and the tools of the server that it is given side by side,
and asks before each call. `--quirk` makes it misbehave.
"""
import json
import queue
import sys
import threading
import time

import fake_acp_manners
from fake_acp_manners import session_path
from fake_program import (ToolServer, be_deaf, fork_on, kill_command, leave_things, read_file, run_command, sleep_for_ever,
                          update_itself, write_file)

QUIRK, ARGUMENTS = sys.argv[2], sys.argv[3:]
OUTPUT, CHANGED, INTERRUPTED = threading.Lock(), threading.Condition(), threading.Event()
ANSWERS, PROMPTS, IDS = {}, queue.Queue(), iter(range(1000))
KINDS = {"bash": "execute", "write": "edit", "read": "read", "Bash": "execute", "Write": "edit", "Read": "read",
         "run_shell_command": "execute", "write_file": "edit", "read_file": "read"}


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


def is_once(answer):
    return bool(answer) and answer["outcome"].get("optionId") == "once"


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


class Program:
    """One session of it."""

    def __init__(self, manner, line):
        params = line["params"]
        self.manner = manner
        if line["method"] == "session/resume":
            self.id, self.messages = params["sessionId"], manner.resume_session(params)
        else:
            self.id, self.messages = manner.new_session(params)
        self.asking, self.n_noes = threading.Lock(), 0
        self.names = manner.opened(params)
        server = params["mcpServers"][0]
        assert server["name"] == "omoi", server
        self.server = ToolServer(server["args"])

    def run_tool(self, name, arguments):
        """Words, whether it failed, exit code."""
        if name.startswith(self.manner.OWN):
            return *self.server.use(name.removeprefix(self.manner.OWN), arguments), None
        path = arguments.get("filePath") or arguments.get("file_path")
        if KINDS[name] == "edit":
            write_file(path, arguments["content"])
            return "Wrote file successfully.", False, None
        if KINDS[name] == "read":
            return read_file(path), False, None
        child = run_command(arguments["command"], INTERRUPTED)
        kill_command(child)
        text, code = child.stdout.read(), child.wait()
        return text, code != 0 and not isinstance(self.manner, fake_acp_manners.OpenCode), code

    def is_allowed(self, call_id, name, arguments):
        options = [
            {"optionId": "always", "kind": "allow_always", "name": "Always allow"},
            {"optionId": "once", "kind": "allow_once", "name": "Allow once"},
            {"optionId": "reject", "kind": "reject_once", "name": "Reject"},
        ]
        call = {"toolCallId": call_id, "kind": KINDS.get(name, "other"), "status": "pending", **self.manner.question(name, arguments)}
        params = {"sessionId": self.id, "toolCall": call, "options": options}
        if not isinstance(self.manner, fake_acp_manners.OpenCode):
            return is_once(ask_client("session/request_permission", params))
        # It asks one question at a time, and a no refuses all other calls that wait for an answer.
        n_noes = self.n_noes
        with self.asking:
            if self.n_noes != n_noes:
                return False
            is_allowed = is_once(ask_client("session/request_permission", params))
            self.n_noes += not is_allowed
            return is_allowed

    def run_call(self, call):
        """Words, whether it failed, whether it was refused."""
        call_id, name, arguments = call
        kind = getattr(self.manner, "KIND", None) or KINDS.get(name, "other")
        tell(self.id, sessionUpdate="tool_call", toolCallId=call_id, kind=kind, status="pending", **self.manner.call(name))

        def tell_arguments():
            told = self.manner.arguments(arguments)
            if told:
                tell(self.id, sessionUpdate="tool_call_update", toolCallId=call_id, **told)

        if QUIRK == "early":  # It asks before it has told what the call is made with.
            threading.Timer(0.1, tell_arguments).start()
        else:
            tell_arguments()
        forbidden = self.manner.forbids(name, arguments) if hasattr(self.manner, "forbids") else None
        if forbidden:
            tell(self.id, sessionUpdate="tool_call_update", toolCallId=call_id, status="failed", **self.manner.end(forbidden, True, None))
            return forbidden, True, False
        if getattr(self.manner, "ASKS", True) and not self.is_allowed(call_id, name, arguments):
            text = "The user rejected permission to use this specific tool call."
            tell(self.id, sessionUpdate="tool_call_update", toolCallId=call_id, status="failed", **self.manner.end(text, True, None))
            return text, True, True
        text, is_error, code = self.run_tool(name, arguments)
        time.sleep(0.05)  # The model is asked a little earlier than this is told.
        end = self.manner.end(text, is_error, code)
        tell(self.id, sessionUpdate="tool_call_update", toolCallId=call_id, status="failed" if is_error else "completed", **end)
        return text, is_error, False

    def run_calls(self, calls):
        results = {}
        threads = [threading.Thread(target=lambda c=call: results.update({c[0]: self.run_call(c)}), daemon=True) for call in calls]
        for thread in threads:
            thread.start()
            time.sleep(0.02)
        for thread in threads:
            while thread.is_alive() and not INTERRUPTED.is_set():
                thread.join(0.02)
        return results

    def ask_model(self):
        return self.manner.ask(self.messages, self.names, self.server.tools, INTERRUPTED)

    def take_turn(self):
        """The answer to the prompt: a result or an error."""
        while True:
            status, words, calls = self.ask_model()
            while status and status != 200 and QUIRK == "retries":
                time.sleep(0.2)
                status, words, calls = self.ask_model()
            if INTERRUPTED.is_set():
                return {"result": {"stopReason": "cancelled"}}
            if status != 200:
                return {"result": {"stopReason": "end_turn"}} if QUIRK == "success" else {"error": {"code": -32603, "message": words}}
            for word in self.manner.chunks(words):
                tell(self.id, sessionUpdate="agent_message_chunk", content={"type": "text", "text": word})
            results = self.run_calls(calls)
            if INTERRUPTED.is_set():
                return {"result": {"stopReason": "cancelled"}}
            if calls:
                self.manner.add_results(self.messages, calls, results)
            is_stopped = self.manner.STOPS_AT_REFUSAL and any(refused for _, _, refused in results.values())
            if not calls or is_stopped:
                return {"result": {"stopReason": "end_turn"}}
            if QUIRK == "asks-more":  # It knows methods that its client does not.
                ask_client("craft/drainQueue", {"sessionId": self.id})


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
    session = json.load(open(ARGUMENTS[1]))["info"]["id"]
    with open(session_path(session), "w") as file:
        json.dump(read_session(ARGUMENTS[1]), file)
    print(f"Imported session: {session}")


def main():
    if ARGUMENTS[:1] == ["import"]:
        return import_session()
    if QUIRK == "updates-itself":
        update_itself()
    manner = fake_acp_manners.manner_of(ARGUMENTS)
    if QUIRK == "deaf":
        be_deaf()
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
    program = Program(manner, opens)
    say({"id": opens["id"], "result": {"sessionId": program.id}})
    if type(manner) is fake_acp_manners.Bridge:
        mode = PROMPTS.get()
        assert mode["method"] == "session/set_mode" and mode["params"]["modeId"] == "default", mode
        say({"id": mode["id"], "result": {}})
    if QUIRK == "daemon":
        leave_things(".aws", ".agents")
    while (line := PROMPTS.get()) is not None:
        manner.add_prompt(program.messages, line["params"]["prompt"][0]["text"])
        answer = program.take_turn()
        with open(session_path("told"), "w") as file:
            json.dump(program.messages, file)
        say({"id": line["id"], **answer})
    if QUIRK == "forks":
        fork_on()
    if QUIRK == "deaf":
        sleep_for_ever()


main()
