#!/usr/bin/python3 -I
"""Stands in for bubblewrap and takes walls away before it runs: the switch that only tests have.

Which ones stands in `edits.json` beside this file: words to drop, each with the number of words after it,
targets whose mounts are dropped, options to replace and to add at either end, and whether Landlock is left out.
"""
import json, os, sys

BWRAP = "/usr/bin/bwrap"
EDITS = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "edits.json")))
args = sys.argv[1:]
if args[:1] != ["--args"]:
    os.execv(BWRAP, [BWRAP, *args])

fd, command = int(args[1]), args[3:]
words = os.read(fd, 1 << 20).decode().split("\0")
kept, at = [], 0
while at < len(words):
    # The size of scratch space comes before its mount.
    if EDITS.get("sizes") and words[at] == "--size":
        at += 2
        continue
    if words[at] in EDITS.get("drop", {}):
        at += 1 + EDITS["drop"][words[at]]
        continue
    if words[at] in ("--bind", "--ro-bind") and words[at + 2].startswith(tuple(EDITS.get("targets", ["\0"]))):
        at += 3
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
os.execv(BWRAP, [BWRAP, "--args", str(options), "--", *command])
