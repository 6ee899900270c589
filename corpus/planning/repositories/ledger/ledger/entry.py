"""One line of the ledger."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation


class EntryError(ValueError):
    """A line that is no entry."""


@dataclass(frozen=True)
class Entry:
    day: date
    category: str
    amount: Decimal
    note: str = ""

    def to_row(self):
        return [self.day.isoformat(), self.category, str(self.amount), self.note]


def parse_row(row):
    """Builds an entry from the four columns of a row."""
    if len(row) != 4:
        raise EntryError(f"expected 4 columns, found {len(row)}")
    day, category, amount, note = row
    try:
        return Entry(date.fromisoformat(day), category, Decimal(amount), note)
    except (ValueError, InvalidOperation) as error:
        raise EntryError(f"not an entry: {row!r}") from error
