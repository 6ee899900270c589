"""The ledger file: reading, appending, filtering."""

import csv
from pathlib import Path

from ledger.entry import EntryError, parse_row


class BookError(Exception):
    """The ledger file cannot be used."""


class Book:
    def __init__(self, path):
        self.path = Path(path)

    def entries(self):
        """All entries in file order; an absent file is an empty ledger."""
        if not self.path.exists():
            return []
        found = []
        with self.path.open(newline="") as handle:
            for number, row in enumerate(csv.reader(handle), start=1):
                try:
                    found.append(parse_row(row))
                except EntryError as error:
                    raise BookError(f"{self.path}:{number}: {error}") from error
        return found

    def append(self, entry):
        with self.path.open("a", newline="") as handle:
            csv.writer(handle).writerow(entry.to_row())

    def filtered(self, category=None, since=None):
        """Entries of one category and not before `since`."""
        return [
            entry
            for entry in self.entries()
            if (category is None or entry.category == category)
            and (since is None or entry.day >= since)
        ]
