"""``todo list``."""

from __future__ import annotations

from datetime import date

from todo.dates import in_words
from todo.model import Todo

NAME = "list"
HELP = "list the todos"


def configure(parser) -> None:
    parser.add_argument("--all", action="store_true", help="list those that are done too")


def run(args, context) -> None:
    for todo in context.store.load():
        if args.all or not todo.done:
            print(line(todo, context.today), file=context.out)


def line(todo: Todo, today: date) -> str:
    """One todo on one line."""
    box = "[x]" if todo.done else "[ ]"
    return f"{todo.id:3} {box} {todo.title} ({in_words(todo.age(today))})"
