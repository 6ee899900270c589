"""``todo done``."""

from __future__ import annotations

NAME = "done"
HELP = "mark a todo as done"


def configure(parser) -> None:
    parser.add_argument("number", type=int, help="number of the todo")


def run(args, context) -> None:
    todo = context.store.finish(args.number)
    print(f"done {todo.id}: {todo.title}", file=context.out)
