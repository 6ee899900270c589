#!/usr/bin/python3 -I
"""Stands in for bubblewrap and takes walls away before it runs: the switch that only tests have.

Which ones stands in `edits.json` beside this file: words to drop, each with the number of words after it,
targets whose mounts are dropped, options to replace and to add at either end, whether Landlock is left out, an error
that the filter answers with in place of its own, an environment of bubblewrap's own, whether its options are in the
process table, and whether it has a controlling terminal.
"""
import json, os, pty, struct, sys

BWRAP = "/usr/bin/bwrap"
EDITS = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "edits.json")))
args = sys.argv[1:]
if args[:1] != ["--args"]:
    os.execv(BWRAP, [BWRAP, *args])


def answered_otherwise(fd, code):
    """A copy of the filter in `fd` that answers every refusal with the error `code`."""
    program = os.pread(fd, 1 << 20, 0)
    changed = b""
    for at in range(0, len(program), 8):
        op, jt, jf, k = struct.unpack("=HBBI", program[at:at + 8])
        is_refusal = op == 0x06 and k >> 16 == 0x0005
        changed += struct.pack("=HBBI", op, jt, jf, 0x00050000 | code if is_refusal else k)
    copy = os.memfd_create("filter", 0)
    os.write(copy, changed)
    os.lseek(copy, 0, os.SEEK_SET)
    return copy


fd, command = int(args[1]), args[3:]
words = os.read(fd, 1 << 20).decode().split("\0")
kept, at = [], 0
while at < len(words):
    # The size of scratch space comes before its mount.
    if EDITS.get("sizes") and words[at] == "--size":
        at += 2
        continue
    if words[at] == "--seccomp" and "errno" in EDITS:
        kept += [words[at], str(answered_otherwise(int(words[at + 1]), EDITS["errno"]))]
        at += 2
        continue
    if words[at] in EDITS.get("drop", {}):
        at += 1 + EDITS["drop"][words[at]]
        continue
    # Permissions come before the mount that they are for.
    mount = at + 2 if words[at] == "--perms" else at
    n_words = {"--bind": 3, "--ro-bind": 3, "--ro-bind-data": 3, "--tmpfs": 2, "--remount-ro": 2}.get(words[mount])
    if n_words and words[mount + n_words - 1].startswith(tuple(EDITS.get("targets", ["\0"]))):
        at = mount + n_words
        continue
    replaced = EDITS.get("replace", {}).get(" ".join(words[at:at + 2]))
    if replaced:
        kept += replaced
        at += 2
        continue
    kept.append(words[at])
    at += 1
kept = EDITS.get("first", []) + kept + EDITS.get("add", [])
options = os.memfd_create("options", 0)
os.write(options, "\0".join(kept).encode())
os.lseek(options, 0, os.SEEK_SET)
os.set_inheritable(options, True)
if EDITS.get("without_landlock") and command[0] == "/run/omoi-entry":
    command = command[3:]
if EDITS.get("terminal"):
    # The first that a session without one opens becomes its own; its other end stays open.
    ours, theirs = pty.openpty()
    os.set_inheritable(ours, True)
    os.close(os.open(os.ttyname(theirs), os.O_RDWR))
told = [*kept[:-1], *filter(None, kept[-1:])] if EDITS.get("in_words") else ["--args", str(options)]
os.execve(BWRAP, [BWRAP, *told, "--", *command], {**os.environ, **EDITS.get("environment", {})})
