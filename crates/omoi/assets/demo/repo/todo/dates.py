"""Dates as people type them and as the file keeps them."""

from __future__ import annotations

from datetime import date, datetime

from todo.errors import TodoError


def parse_iso_date(text: str) -> date:
    """The date that ``text`` writes as YYYY-MM-DD.

    No other spelling is accepted, so that equal dates are equal text in the file.
    """
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        raise TodoError(f"`{text}` is not a date of the form YYYY-MM-DD") from None


def in_words(days: int) -> str:
    """A number of days gone by, for people."""
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    return f"{days} days ago"
