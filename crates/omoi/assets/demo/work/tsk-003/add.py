"""``todo add``."""

from __future__ import annotations

from todo.dates import parse_iso_date

NAME = "add"
HELP = "add a todo"


def configure(parser) -> None:
    parser.add_argument("title", help="what is to be done")
    parser.add_argument("--tag", action="append", default=[], help="a tag; may be given again")
    parser.add_argument("--due", help="the last day on which it is in time, YYYY-MM-DD")


def run(args, context) -> None:
    due = parse_iso_date(args.due) if args.due is not None else None
    todo = context.store.add(args.title, context.today, tags=args.tag, due=due)
    print(f"added {todo.id}: {todo.title}", file=context.out)
