"""What a todo is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date

from todo.dates import parse_iso_date
from todo.errors import TodoError
from todo.tags import clean_tags

TITLE_MAX = 200


@dataclass(frozen=True)
class Todo:
    """One thing to do."""

    id: int
    title: str
    created: date
    done: bool = False
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.title.strip():
            raise TodoError("a todo needs a title")
        if len(self.title) > TITLE_MAX:
            raise TodoError(f"a title has at most {TITLE_MAX} characters")
        object.__setattr__(self, "tags", clean_tags(self.tags))

    def finish(self) -> Todo:
        """The same todo, done."""
        if self.done:
            raise TodoError(f"todo {self.id} is done already")
        return replace(self, done=True)

    def age(self, today: date) -> int:
        """Days since it was created."""
        return (today - self.created).days

    def to_dict(self) -> dict:
        """As the file keeps it."""
        return {
            "id": self.id,
            "title": self.title,
            "created": self.created.isoformat(),
            "done": self.done,
            "tags": list(self.tags),
        }

    @classmethod
    def from_dict(cls, data: Mapping) -> Todo:
        """The todo that ``to_dict`` wrote; fields that came later may be missing."""
        return cls(
            id=data["id"],
            title=data["title"],
            created=parse_iso_date(data["created"]),
            done=data.get("done", False),
            tags=tuple(data.get("tags", ())),
        )
