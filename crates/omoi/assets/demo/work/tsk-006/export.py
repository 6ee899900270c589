"""Todos as CSV, as RFC 4180 describes it."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from typing import TextIO

COLUMNS = ("id", "title", "created", "done", "tags", "due")


def write_csv(rows: Iterable[Mapping], out: TextIO) -> None:
    """Writes a row of column names and one row for each mapping."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_cell(row.get(column)) for column in COLUMNS])


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return " ".join(value)
    return value
