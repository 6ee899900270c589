import io
import tempfile
import unittest
from datetime import date
from pathlib import Path

from todo.cli import main


class CommandsTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = str(Path(folder.name) / "todos.json")

    def run_todo(self, *argv, today=date(2026, 2, 1)):
        out, err = io.StringIO(), io.StringIO()
        code = main(["--file", self.file, *argv], today=today, out=out, err=err)
        return code, out.getvalue(), err.getvalue()

    def test_add_says_the_number(self):
        self.assertEqual(self.run_todo("add", "Buy milk"), (0, "added 1: Buy milk\n", ""))

    def test_list_shows_open_todos(self):
        self.run_todo("add", "Buy milk")
        self.run_todo("add", "Call Ann")
        self.run_todo("done", "1")
        code, out, _ = self.run_todo("list", today=date(2026, 2, 4))
        self.assertEqual((code, out), (0, "  2 [ ] Call Ann (3 days ago)\n"))

    def test_list_all_shows_done_todos(self):
        self.run_todo("add", "Buy milk")
        self.run_todo("done", "1")
        self.assertEqual(self.run_todo("list", "--all")[1], "  1 [x] Buy milk (today)\n")

    def test_refusals_have_code_2_and_a_reason(self):
        self.assertEqual(self.run_todo("done", "4"), (2, "", "todo: there is no todo 4\n"))

    def test_an_empty_title_stores_nothing(self):
        self.assertEqual(self.run_todo("add", " ")[0], 2)
        self.assertEqual(self.run_todo("list", "--all")[1], "")
