import csv
import io
import tempfile
import unittest
from datetime import date
from pathlib import Path

from todo.cli import main
from todo.model import Todo
from todo.store import Store

DAY = date(2026, 2, 1)


class ExportCommandTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.file = self.folder / "todos.json"
        tagged = Todo(id=2, title="Mow", created=DAY, tags=("home",), due=date(2026, 2, 3))
        Store(self.file).save([Todo(id=1, title="Milk, bread", created=DAY), tagged])

    def run_todo(self, *argv):
        out, err = io.StringIO(newline=""), io.StringIO()
        code = main(["--file", str(self.file), *argv], DAY, out, err)
        return code, out.getvalue(), err.getvalue()

    def test_the_file_has_a_row_for_each_todo(self):
        path = self.folder / "todos.csv"
        self.assertEqual(self.run_todo("export", str(path))[0], 0)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([row["title"] for row in rows], ["Milk, bread", "Mow"])
        self.assertEqual((rows[1]["tags"], rows[1]["due"]), ("home", "2026-02-03"))

    def test_standard_output_is_the_default(self):
        self.assertTrue(self.run_todo("export")[1].startswith("id,title,"))

    def test_a_path_that_cannot_be_written_is_named(self):
        code, _, err = self.run_todo("export", str(self.folder / "no" / "todos.csv"))
        self.assertEqual(code, 2)
        self.assertIn("todos.csv", err)
