"""REQ-TODOTAGS-FUNC-002, as the plan asks for it."""

import json
import tempfile
import unittest
from datetime import date
from pathlib import Path

from todo.model import Todo
from todo.store import Store

DAY = date(2026, 1, 10)


class DueDatesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = Store(Path(folder.name) / "todos.json")

    def test_a_due_date_is_kept(self):
        self.store.save([Todo(id=1, title="Mow", created=DAY, due=date(2026, 2, 1))])
        self.assertIn("2026-02-01", self.store.path.read_text(encoding="utf-8"))
        self.assertEqual(self.store.load()[0].due, date(2026, 2, 1))

    def test_no_due_date_stays_none(self):
        self.store.save([Todo(id=1, title="Mow", created=DAY)])
        self.assertIsNone(self.store.load()[0].due)

    def test_a_file_from_before_due_dates_loads(self):
        old = [{"id": 1, "title": "Mow", "created": "2026-01-10", "done": False}]
        self.store.path.write_text(json.dumps(old), encoding="utf-8")
        self.assertIsNone(self.store.load()[0].due)
