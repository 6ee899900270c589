"""Registries of npm, PyPI and crates.io on loopback that have every package in every version, with one program each.

`python3 registry.py COMMAND …` runs a command beside them; `python3 registry.py --sum NAME VERSION` prints the sum of a
crate, and `--integrity` that of a package of npm. What a package needs is what the lock files of the test say.
"""

import base64
import gzip
import hashlib
import http.server
import io
import json
import subprocess
import sys
import tarfile
import threading
import zipfile

PORT = 8123
VERSIONS = ["1.0.0", "2.0.0"]


def tape(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files:
            entry = tarfile.TarInfo(path)
            entry.size = len(text)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def node(name, version):
    manifest = {"name": name, "version": version, "bin": {name: "cli.js"}}
    return tape([
        ("package/package.json", json.dumps(manifest)),
        ("package/cli.js", "#!/usr/bin/env node\nconsole.log('%s %s')\n" % (name, version)),
    ])


def crate(name, version):
    top = "%s-%s/" % (name, version)
    manifest = '[package]\nname = "%s"\nversion = "%s"\nedition = "2021"\n' % (name, version)
    return tape([(top + "Cargo.toml", manifest), (top + "src/lib.rs", "// %s\n" % version)])


def wheel(name, version):
    info = "%s-%s.dist-info/" % (name, version)
    files = {
        name + "/__init__.py": "def main():\n    print('%s')\n" % version,
        info + "METADATA": "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version),
        info + "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        info + "entry_points.txt": "[console_scripts]\n%s = %s:main\n" % (name, name),
    }
    files[info + "RECORD"] = "".join(path + ",,\n" for path in list(files) + [info + "RECORD"])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return packed.getvalue()


def index_line(name, version):
    line = {"name": name, "vers": version, "deps": [], "features": {}, "yanked": False}
    return json.dumps(line | {"cksum": hashlib.sha256(crate(name, version)).hexdigest()}) + "\n"


def answer(path):
    parts = path.strip("/").split("/")
    if path == "/index/config.json":
        return json.dumps({"dl": "http://127.0.0.1:%d/crates" % PORT}).encode()
    if parts[0] == "index":
        return "".join(index_line(parts[-1], version) for version in VERSIONS).encode()
    if parts[0] == "crates":
        return crate(parts[1], parts[2])
    if parts[0] == "simple":
        files = ["%s-%s-py3-none-any.whl" % (parts[1], version) for version in VERSIONS]
        return "".join('<a href="/wheels/%s">%s</a>' % (file, file) for file in files).encode()
    if parts[0] == "wheels":
        return wheel(*parts[1].split("-")[:2])
    if path.endswith(".tgz"):
        return node(parts[0], parts[-1][len(parts[0]) + 1:-len(".tgz")])
    return None


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = answer(self.path.split("?")[0])
        self.send_response(404 if body is None else 200)
        self.send_header("content-type", "text/html" if "/simple/" in self.path else "application/octet-stream")
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *words):
        pass


if sys.argv[1] == "--sum":
    print(hashlib.sha256(crate(sys.argv[2], sys.argv[3])).hexdigest(), end="")
elif sys.argv[1] == "--integrity":
    print("sha512-" + base64.b64encode(hashlib.sha512(node(sys.argv[2], sys.argv[3])).digest()).decode(), end="")
else:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.exit(subprocess.run(sys.argv[1:]).returncode)
