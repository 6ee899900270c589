"""``todo export``."""

from __future__ import annotations

from todo.errors import TodoError
from todo.export import write_csv

NAME = "export"
HELP = "write all todos as CSV"


def configure(parser) -> None:
    parser.add_argument("path", nargs="?", default="-", help="file to write; `-` is standard output")


def run(args, context) -> None:
    rows = [todo.to_dict() for todo in context.store.load()]
    if args.path == "-":
        write_csv(rows, context.out)
        return
    try:
        with open(args.path, "w", encoding="utf-8", newline="") as out:
            write_csv(rows, out)
    except OSError as error:
        raise TodoError(f"could not write {args.path}: {error.strerror}") from None
    print(f"exported {len(rows)} to {args.path}", file=context.out)
