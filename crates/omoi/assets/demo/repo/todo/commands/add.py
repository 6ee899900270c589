"""``todo add``."""

from __future__ import annotations

NAME = "add"
HELP = "add a todo"


def configure(parser) -> None:
    parser.add_argument("title", help="what is to be done")


def run(args, context) -> None:
    todo = context.store.add(args.title, context.today)
    print(f"added {todo.id}: {todo.title}", file=context.out)
