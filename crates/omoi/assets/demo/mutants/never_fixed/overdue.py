"""What is overdue."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date


def is_overdue(due: date | None, done: bool, today: date) -> bool:
    """Whether something due on this day, if it has one, is late today."""
    return due is not None and not done and due <= today


def overdue(todos: Iterable, today: date) -> list:
    """The overdue ones, the oldest due date first."""
    late = [todo for todo in todos if is_overdue(todo.due, todo.done, today)]
    return sorted(late, key=lambda todo: (todo.due, todo.id))
