"""Small registries of npm, PyPI and crates.io, served over TLS on a free port that is printed.

Each has three packages, of which the first needs the second and that the third. Of the first there is a later version,
which knows a last word besides; npm's has one more in between, whose script writes into the second package.

Arguments: certificate, key. The packages are the same at every start; `python3 registries.py --locks DIR` writes the
lock files of the projects that need them instead.
"""

import base64
import gzip
import hashlib
import http.server
import io
import json
import os
import ssl
import sys
import tarfile
import zipfile

OLD = "2020-01-01T00:00:00.000Z"
BYTES = "application/octet-stream"
ANSWERS = {}


def tape(files):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path, text in files:
            entry = tarfile.TarInfo(path)
            entry.size = len(text.encode())
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(packed.getvalue(), mtime=0)


def wheel(files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files:
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), text)
    return packed.getvalue()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def answer_json(address, value, kind="application/json"):
    ANSWERS[address] = (kind, json.dumps(value).encode())


# npm: what greeter says is made by its script when it is installed.
NPM_SITE = "registry.npmjs.org/"
SAY = "require('fs').writeFileSync('words.json', JSON.stringify({first: require('voice')%s}));\n"
LAST = ", last: 'bye'"
MEDDLE = "require('fs').appendFileSync(require.resolve('voice'), '// louder\\n');\n"


def greeter(script):
    return [("make.js", script), ("index.js", "module.exports = require('./words.json');\n")]


GREETER = {"hasInstallScript": True, "dependencies": {"voice": "^1.0.0"}}
VOICE = {"dependencies": {"breath": "^1.0.0"}}
NPM = {
    "greeter": [
        ("1.0.0", GREETER, greeter(SAY % "")),
        ("1.1.0", GREETER, greeter(MEDDLE + SAY % LAST)),
        ("1.1.1", GREETER, greeter(SAY % LAST)),
    ],
    "voice": [("1.0.0", VOICE, [("index.js", "module.exports = require('breath') + 'lo';\n")])],
    "breath": [("1.0.0", {}, [("index.js", "module.exports = 'hel';\n")])],
}


def npm_version(name, version, more, files):
    manifest = {"name": name, "version": version, "main": "index.js", **more}
    if "hasInstallScript" in more:
        manifest["scripts"] = {"postinstall": "node make.js"}
    archive = tape([("package/" + path, text) for path, text in [("package.json", json.dumps(manifest))] + files])
    path = "%s/-/%s-%s.tgz" % (name, name, version)
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(archive).digest()).decode()
    ANSWERS[NPM_SITE + path] = (BYTES, archive)
    return {**manifest, "dist": {"tarball": "https://" + NPM_SITE + path, "integrity": integrity}}


def npm_entry(manifest):
    kept = {key: manifest[key] for key in ("hasInstallScript", "dependencies") if key in manifest}
    dist = manifest["dist"]
    return {"version": manifest["version"], "resolved": dist["tarball"], "integrity": dist["integrity"], **kept}


def publish_npm():
    locked = {}
    for name in sorted(NPM):
        versions = {version[0]: npm_version(name, *version) for version in NPM[name]}
        packument = {
            "name": name,
            "dist-tags": {"latest": list(versions)[-1]},
            "time": {version: OLD for version in versions},
            "versions": versions,
        }
        answer_json(NPM_SITE + name, packument)
        locked["node_modules/" + name] = npm_entry(versions["1.0.0"])
    project = {"name": "words", "version": "1.0.0"}
    packages = {"": {**project, "dependencies": {"greeter": "1.0.0"}}, **locked}
    return json.dumps({**project, "lockfileVersion": 3, "requires": True, "packages": packages}, indent=2) + "\n"


# PyPI: wordlist brings a program.
FILES_SITE = "files.pythonhosted.org"
PROGRAM = "from wordstore import FIRST\n%s\n\ndef main():\n    print(FIRST)\n"
PYTHON = {
    "wordlist": [("1.0.0", "wordstore", PROGRAM % ""), ("1.1.0", "wordstore", PROGRAM % "\nLAST = 'bye'\n")],
    "wordstore": [("1.0.0", "wordbase", "from wordbase import HALF\n\nFIRST = HALF + 'lo'\n")],
    "wordbase": [("1.0.0", None, "HALF = 'hel'\n")],
}


def python_version(name, version, needs, module):
    info = "%s-%s.dist-info" % (name, version)
    metadata = "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (name, version)
    if needs:
        metadata += "Requires-Dist: %s>=1\n" % needs
    files = [
        (name + ".py", module),
        (info + "/METADATA", metadata),
        (info + "/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    ]
    if "def main" in module:
        files.append((info + "/entry_points.txt", "[console_scripts]\n%s = %s:main\n" % (name, name)))
    record = "".join(path + ",,\n" for path, _ in files) + info + "/RECORD,,\n"
    archive = wheel(files + [(info + "/RECORD", record)])
    filename = "%s-%s-py3-none-any.whl" % (name, version)
    # Two folders and a digest, as there.
    folder = sha256(filename.encode())
    address = "%s/packages/%s/%s/%s/%s" % (FILES_SITE, folder[:2], folder[2:4], folder[4:], filename)
    ANSWERS[address] = (BYTES, archive)
    ANSWERS[address + ".metadata"] = (BYTES, metadata.encode())
    return {
        "filename": filename,
        "url": "https://" + address,
        "hashes": {"sha256": sha256(archive)},
        "core-metadata": {"sha256": sha256(metadata.encode())},
        "upload-time": OLD,
        "yanked": False,
        "size": len(archive),
    }


def publish_python():
    locked = []
    for name in PYTHON:
        versions = {version[0]: python_version(name, *version) for version in PYTHON[name]}
        project = {
            "meta": {"api-version": "1.1"},
            "name": name,
            "versions": list(versions),
            "files": list(versions.values()),
        }
        answer_json("pypi.org/simple/%s/" % name, project, "application/vnd.pypi.simple.v1+json")
        locked.append("%s==1.0.0 --hash=sha256:%s\n" % (name, versions["1.0.0"]["hashes"]["sha256"]))
    return "".join(locked)


# crates.io
FIRST = "pub const FIRST: &str = wordpart::WHOLE;\n"
CRATES = {
    "wording": [("1.0.0", "wordpart", FIRST), ("1.1.0", "wordpart", FIRST + 'pub const LAST: &str = "bye";\n')],
    "wordpart": [("1.0.0", "wordroot", "pub const WHOLE: &str = wordroot::HELLO;\n")],
    "wordroot": [("1.0.0", None, 'pub const HELLO: &str = "hello";\n')],
}
CARGO_HEAD = """# This file is automatically @generated by Cargo.
# It is not intended for manual editing.
version = 4
"""


def crate_version(name, version, needs, source):
    manifest = '[package]\nname = "%s"\nversion = "%s"\nedition = "2021"\n' % (name, version)
    if needs:
        manifest += '\n[dependencies]\n%s = "1"\n' % needs
    folder = "%s-%s/" % (name, version)
    archive = tape([(folder + "Cargo.toml", manifest), (folder + "src/lib.rs", source)])
    ANSWERS["static.crates.io/crates/%s/%s/download" % (name, version)] = (BYTES, archive)
    dependency = {
        "name": needs, "req": "^1", "features": [], "optional": False, "default_features": True, "target": None,
        "kind": "normal",
    }
    return {
        "name": name, "vers": version, "deps": [dependency] if needs else [], "cksum": sha256(archive), "features": {},
        "yanked": False, "pubtime": "2020-01-01T00:00:00Z",
    }


def crate_entry(name, version, needs, checksum):
    lines = ["", "[[package]]", 'name = "%s"' % name, 'version = "%s"' % version]
    if checksum:
        lines.append('source = "registry+https://github.com/rust-lang/crates.io-index"')
        lines.append('checksum = "%s"' % checksum)
    if needs:
        lines += ["dependencies = [", ' "%s",' % needs, "]"]
    return "".join(line + "\n" for line in lines)


def publish_crates():
    answer_json("index.crates.io/config.json", {"dl": "https://static.crates.io/crates", "api": "https://crates.io"})
    locked = [crate_entry("words", "0.1.0", "wording", None)]
    for name in CRATES:
        versions = [crate_version(name, *version) for version in CRATES[name]]
        lines = "".join(json.dumps(version) + "\n" for version in versions)
        ANSWERS["index.crates.io/%s/%s/%s" % (name[:2], name[2:4], name)] = ("text/plain", lines.encode())
        locked.append(crate_entry(name, "1.0.0", CRATES[name][0][1], versions[0]["cksum"]))
    return CARGO_HEAD + "".join(sorted(locked))


LOCKS = {
    "node/package-lock.json": publish_npm(),
    "python/requirements.txt": publish_python(),
    "rust/Cargo.lock": publish_crates(),
}


def write_locks(folder):
    for path, text in LOCKS.items():
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
        with open(os.path.join(folder, path), "w") as file:
            file.write(text)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        host = self.headers.get("host", "").split(":")[0]
        kind, body = ANSWERS.get(host + self.path.split("?")[0], ("text/plain", None))
        self.send_response(404 if body is None else 200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *words):
        pass


if sys.argv[1] == "--locks":
    write_locks(sys.argv[2])
else:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_address[1], flush=True)
    server.serve_forever()
