import io
import tempfile
import unittest
from datetime import date
from pathlib import Path

from todo.cli import main


class WrongDatesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name) / "todos.json"

    def run_todo(self, *argv):
        out, err = io.StringIO(), io.StringIO()
        code = main(["--file", str(self.file), *argv], date(2026, 2, 1), out, err)
        return code, err.getvalue()

    def test_a_day_that_is_not_in_the_calendar_is_named(self):
        code, err = self.run_todo("add", "Mow", "--due", "2026-02-30")
        self.assertEqual(code, 2)
        self.assertIn("2026-02-30", err)

    def test_other_words_are_refused(self):
        for text in ("", "tomorrow", "2026/02/03"):
            with self.subTest(text):
                self.assertEqual(self.run_todo("add", "Mow", "--due", text)[0], 2)

    def test_a_refusal_leaves_the_file_as_it_is(self):
        self.run_todo("add", "Buy milk", "--due", "2026-02-03")
        before = self.file.read_bytes()
        self.run_todo("add", "Mow", "--due", "2026-13-01")
        self.assertEqual(self.file.read_bytes(), before)
