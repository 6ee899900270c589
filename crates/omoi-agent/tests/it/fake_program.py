"""What the scripted programs have in common: the server of our tools, calls of the model, commands, leavings."""
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


QUIRK = sys.argv[sys.argv.index("--quirk") + 1]
DIED = os.path.dirname(os.path.abspath(__file__)) + "/died"
ASKED, RUN = iter(range(1000)), iter(range(1000))
# The answer after which it is gone, or the command.
DIES_ASKING = {"dies-asking": 1, "dies-told": 2}.get(QUIRK)
DIES_ACTING = {"dies-acting": 0, "dies-acting-later": 1}.get(QUIRK)


def update_itself():
    """Looks for a newer version of itself at its start, writes that in its own place and goes on as that."""
    path = os.path.abspath(sys.argv[0])
    newer = read_file(path).replace('"1.2.3"', '"9.9.9"')
    if newer == read_file(path):
        return
    try:
        with open(path, "w") as file:
            file.write(newer)
    except OSError:
        return  # Where it is installed cannot be written to.
    os.execv(path, [path, *sys.argv[1:]])


def die_once(number):
    """Is gone as after a crash, or where memory runs out; the next start of it goes well."""
    if not os.path.exists(DIED):
        open(DIED, "w").close()
        os.kill(os.getpid(), number)


class ToolServer:
    """Our tools, by the command that a program is given for them."""

    def __init__(self, arguments):
        assert arguments[:3] == ["agent", "tools", "--socket"], arguments
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(arguments[3])
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

    def use(self, name, arguments, **more):
        """The words of the result, and whether it is an error."""
        answer = self.call("tools/call", {"name": name, "arguments": arguments, **more})
        return answer["content"][0]["text"], answer["isError"]


def post(url, body, headers, interrupted):
    """Status and answer of a model call; nothing once the program is interrupted."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json", **headers})
    found = queue.Queue()

    def fetch():
        try:
            found.put((200, json.loads(urllib.request.urlopen(request).read())))
        except urllib.error.HTTPError as error:
            found.put((error.code, error.read().decode()))

    threading.Thread(target=fetch, daemon=True).start()
    while not interrupted.is_set():
        try:
            answer = found.get(timeout=0.02)
        except queue.Empty:
            continue
        if next(ASKED) == DIES_ASKING:
            die_once(signal.SIGSEGV)
        return answer
    return None, None


def post_messages(model, messages, tools, interrupted):
    """A call in the Messages dialect, at the address that the environment names."""
    headers = {"x-api-key": os.environ["ANTHROPIC_API_KEY"], "anthropic-version": "2023-06-01"}
    body = {"model": model, "max_tokens": 1000, "messages": messages, "tools": tools}
    return post(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", body, headers, interrupted)


def run_command(command, interrupted):
    """Runs it in a session of its own, as programs do; it may run on once they are interrupted."""
    child = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, text=True, start_new_session=True)
    while child.poll() is None and not interrupted.is_set():
        time.sleep(0.02)
    if next(RUN) == DIES_ACTING:
        die_once(signal.SIGKILL)
    return child


def kill_command(child):
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)


def write_file(path, content):
    path = os.path.abspath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(content)


def read_file(path):
    with open(path) as file:
        return file.read()


def add_line(path, line):
    """Adds to a session file, as JavaScript writes JSON."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "a") as file:
        file.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")


def read_lines(path):
    with open(path) as file:
        return [json.loads(line) for line in file]


def leave_things(*folders):
    subprocess.Popen(["sh", "-c", "echo $$ > daemon; exec sleep 300"], start_new_session=True, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for name in folders:
        os.makedirs(name, exist_ok=True)


def be_deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


# A process that is gone as soon as the next one of its kind is there, each in a session of its own: 1,000 of them.
LINK = 'echo $$ >>links; sleep 0.02; [ "$2" -ge 1000 ] || setsid sh -c "$0" "$0" "$1" $(($2 + 1)) &'


def fork_on():
    """Is gone itself, and leaves what cannot be ended by the process that it is at the time."""
    subprocess.Popen(["sh", "-c", LINK, LINK, os.getcwd(), "0"], start_new_session=True, stdin=subprocess.DEVNULL,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def sleep_for_ever():
    while True:
        time.sleep(60)
