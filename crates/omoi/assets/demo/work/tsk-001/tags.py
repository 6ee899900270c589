"""What a tag is."""

from __future__ import annotations

from collections.abc import Iterable

from todo.errors import TodoError


def clean_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags in lower case, each once, in the order given."""
    cleaned = []
    for tag in tags:
        if len(tag.split()) != 1:
            raise TodoError(f"`{tag}` is not a tag; a tag is one word")
        cleaned.append(tag.strip().lower())
    return tuple(dict.fromkeys(cleaned))
