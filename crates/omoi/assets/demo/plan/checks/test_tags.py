"""REQ-TODOTAGS-FUNC-001, as the plan asks for it."""

import json
import tempfile
import unittest
from datetime import date
from pathlib import Path

from todo.model import Todo
from todo.store import Store


class TagsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = Store(Path(folder.name) / "todos.json")

    def test_two_spellings_are_one_tag(self):
        todo = Todo(id=1, title="Mow", created=date(2026, 2, 1), tags=("Home", "home", "garden"))
        self.store.save([todo])
        self.assertEqual(tuple(self.store.load()[0].tags), ("home", "garden"))

    def test_a_file_from_before_tags_loads(self):
        old = [{"id": 1, "title": "Mow", "created": "2026-02-01", "done": False}]
        self.store.path.write_text(json.dumps(old), encoding="utf-8")
        self.assertEqual(tuple(self.store.load()[0].tags), ())
