"""REQ-TODOTAGS-USE-003, as the plan asks for it."""

import io
import tempfile
import unittest
from datetime import date
from pathlib import Path

from todo.cli import main
from todo.store import Store

MILK = ("add", "Buy milk", "--tag", "Home", "--tag", "food", "--due", "2026-02-03")


class AddOptionsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "todos.json"

    def run_todo(self, *argv):
        out = io.StringIO()
        code = main(["--file", str(self.file), *argv], today=date(2026, 2, 1), out=out)
        return code, out.getvalue()

    def test_both_are_stored(self):
        self.assertEqual(self.run_todo(*MILK)[0], 0)
        (todo,) = Store(self.file).load()
        self.assertEqual((tuple(todo.tags), todo.due), (("home", "food"), date(2026, 2, 3)))

    def test_both_are_listed(self):
        self.run_todo(*MILK)
        line = self.run_todo("list")[1]
        self.assertIn("#home #food", line)
        self.assertIn("due 2026-02-03", line)
