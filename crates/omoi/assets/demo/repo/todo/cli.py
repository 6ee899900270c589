"""The command line: finds the command, runs it, turns errors into exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TextIO

from todo import commands
from todo.errors import TodoError
from todo.store import Store


@dataclass(frozen=True)
class Context:
    """What a command works with."""

    store: Store
    today: date
    out: TextIO


def parser() -> argparse.ArgumentParser:
    """The arguments of every command."""
    top = argparse.ArgumentParser(prog="todo", description="A todo list for the terminal.")
    top.add_argument("--file", default="todos.json", help="where the todos are kept")
    below = top.add_subparsers(required=True, metavar="COMMAND")
    for command in commands.every():
        arguments = below.add_parser(command.NAME, help=command.HELP)
        command.configure(arguments)
        arguments.set_defaults(run=command.run)
    return top


def main(
    argv: Sequence[str] | None = None,
    today: date | None = None,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Runs one command and returns its exit code."""
    args = parser().parse_args(argv)
    context = Context(Store(Path(args.file)), today or date.today(), out or sys.stdout)
    try:
        args.run(args, context)
    except TodoError as error:
        print(f"todo: {error}", file=err or sys.stderr)
        return 2
    return 0
