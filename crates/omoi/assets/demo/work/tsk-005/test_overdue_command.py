import io
import tempfile
import unittest
from datetime import date
from pathlib import Path

from todo.cli import main
from todo.model import Todo
from todo.store import Store

DAY = date(2026, 1, 1)


class OverdueCommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "todos.json"

    def overdue(self, *todos):
        Store(self.file).save(todos)
        out = io.StringIO()
        code = main(["--file", str(self.file), "overdue"], today=date(2026, 2, 1), out=out)
        self.assertEqual(code, 0)
        return out.getvalue()

    def test_the_oldest_due_date_comes_first(self):
        out = self.overdue(
            Todo(id=1, title="Mow", created=DAY, due=date(2026, 1, 31)),
            Todo(id=2, title="Pay rent", created=DAY, due=date(2026, 1, 3)),
            Todo(id=3, title="Buy milk", created=DAY, due=date(2026, 2, 3)),
            Todo(id=4, title="Call Ann", created=DAY),
        )
        self.assertEqual(out, "  2 2026-01-03 Pay rent\n  1 2026-01-31 Mow\n")

    def test_an_empty_list_says_so(self):
        self.assertEqual(self.overdue(), "nothing is overdue\n")
