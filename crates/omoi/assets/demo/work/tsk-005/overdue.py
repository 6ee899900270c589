"""``todo overdue``."""

from __future__ import annotations

from todo.overdue import overdue

NAME = "overdue"
HELP = "list what is overdue, the oldest due date first"


def configure(parser) -> None:
    del parser  # It takes no arguments.


def run(args, context) -> None:
    late = overdue(context.store.load(), context.today)
    for todo in late:
        print(f"{todo.id:3} {todo.due.isoformat()} {todo.title}", file=context.out)
    if not late:
        print("nothing is overdue", file=context.out)
