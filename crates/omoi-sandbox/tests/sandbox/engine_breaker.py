"""Stands between the platform and a container engine and takes walls away from what is to be made, as `wall_breaker.py`
does for bubblewrap. Arguments: the engine's socket, the socket to listen on, and the edits as JSON: what replaces parts of
the request and of its `HostConfig`, and targets whose mounts are dropped.
"""
import json, os, socket, sys, threading

ENGINE, LISTEN, EDITS = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])


def edited(body):
    spec = json.loads(body)
    spec.update(EDITS.get("spec", {}))
    host = spec["HostConfig"]
    host.update(EDITS.get("host", {}))
    dropped = tuple(EDITS.get("targets", ["\0"]))
    host["Mounts"] = [mount for mount in host["Mounts"] if not mount["Target"].startswith(dropped)]
    return json.dumps(spec).encode()


def serve(client):
    stream = client.makefile("rb")
    lines = []
    while (line := stream.readline().strip()) or not lines:
        if not line:
            return client.close()
        lines.append(line.decode())
    fields = [line for line in lines[1:] if line.split(":")[0].lower() not in ("connection", "content-length")]
    length = next((int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")), 0)
    body = stream.read(length)
    if "/containers/create" in lines[0]:
        body = edited(body)
    # One request for each connection, whose answer ends with it.
    head = [lines[0], *fields, "Connection: close", f"Content-Length: {len(body)}"]
    engine = socket.socket(socket.AF_UNIX)
    engine.connect(ENGINE)
    engine.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
    try:
        while part := engine.recv(1 << 16):
            client.sendall(part)
    except OSError:
        pass
    engine.close()
    client.close()


listener = socket.socket(socket.AF_UNIX)
listener.bind(LISTEN)
listener.listen()
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
