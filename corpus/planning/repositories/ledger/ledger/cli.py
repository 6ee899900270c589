"""Command line."""

import argparse
import sys
from datetime import date
from decimal import Decimal

from ledger import report
from ledger.book import Book, BookError
from ledger.entry import Entry


def build_parser():
    parser = argparse.ArgumentParser(prog="ledger")
    parser.add_argument("--book", default="ledger.csv", help="the CSV file")
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add", help="append an entry")
    add.add_argument("day", type=date.fromisoformat)
    add.add_argument("category")
    add.add_argument("amount", type=Decimal)
    add.add_argument("note", nargs="?", default="")
    listing = commands.add_parser("list", help="print entries")
    listing.add_argument("--category")
    listing.add_argument("--since", type=date.fromisoformat)
    commands.add_parser("report", help="print totals by category")
    return parser


def main(argv=None):
    args = build_parser().parse_args(argv)
    book = Book(args.book)
    try:
        return COMMANDS[args.command](book, args)
    except BookError as error:
        print(f"ledger: {error}", file=sys.stderr)
        return 1


def run_add(book, args):
    book.append(Entry(args.day, args.category, args.amount, args.note))
    return 0


def run_list(book, args):
    for entry in book.filtered(args.category, args.since):
        print(f"{entry.day}  {entry.category:<16}{entry.amount:>10.2f}  {entry.note}")
    return 0


def run_report(book, args):
    for line in report.render(book.entries()):
        print(line)
    return 0


COMMANDS = {"add": run_add, "list": run_list, "report": run_report}
