"""The file that keeps the todos."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from todo.errors import TodoError
from todo.model import Todo


class Store:
    """A JSON file with a list of todos; a missing file is an empty list."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> list[Todo]:
        """Every todo, in the order of the file."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        try:
            return [Todo.from_dict(entry) for entry in json.loads(text)]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise TodoError(f"{self.path} is not a todo file: {error}") from None

    def save(self, todos: Iterable[Todo]) -> None:
        """Replaces the file in one step."""
        text = json.dumps([todo.to_dict() for todo in todos], indent=2, ensure_ascii=False)
        new = self.path.with_name(f"{self.path.name}.new")
        new.write_text(f"{text}\n", encoding="utf-8")
        os.replace(new, self.path)

    def add(
        self, title: str, today: date, *, tags: Iterable[str] = (), due: date | None = None
    ) -> Todo:
        """Adds a todo with the next free number."""
        todos = self.load()
        number = max((todo.id for todo in todos), default=0) + 1
        todo = Todo(id=number, title=title, created=today, tags=tuple(tags), due=due)
        self.save([*todos, todo])
        return todo

    def finish(self, number: int) -> Todo:
        """Marks the todo with this number as done."""
        todos = self.load()
        for index, todo in enumerate(todos):
            if todo.id == number:
                todos[index] = todo.finish()
                self.save(todos)
                return todos[index]
        raise TodoError(f"there is no todo {number}")
