"""Dates as people type them and as the file keeps them."""

from __future__ import annotations

import re
from datetime import date

from todo.errors import TodoError

SHAPE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_iso_date(text: str) -> date:
    """The date that ``text`` writes as YYYY-MM-DD.

    No other spelling is accepted, so that equal dates are equal text in the file.
    """
    try:
        # `strptime` would take `2026-2-1`, and newer Pythons read `20260201` here.
        if SHAPE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise TodoError(f"`{text}` is not a date of the form YYYY-MM-DD")


def in_words(days: int) -> str:
    """A number of days gone by, for people."""
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    return f"{days} days ago"
