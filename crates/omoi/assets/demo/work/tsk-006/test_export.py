import csv
import io
import unittest

from todo.export import COLUMNS, write_csv


def written(*rows):
    out = io.StringIO(newline="")
    write_csv(rows, out)
    return out.getvalue()


class WriteCsvTest(unittest.TestCase):
    def test_values_become_cells(self):
        row = {
            "id": 3,
            "title": "Mow",
            "created": "2026-02-01",
            "done": True,
            "tags": ["home", "garden"],
            "due": "2026-02-03",
        }
        want = "3,Mow,2026-02-01,yes,home garden,2026-02-03"
        self.assertEqual(written(row).splitlines()[1], want)

    def test_what_is_missing_is_empty(self):
        row = {"id": 1, "title": "Mow", "created": "2026-02-01", "done": False, "due": None}
        self.assertEqual(written(row).splitlines()[1], "1,Mow,2026-02-01,no,,")

    def test_commas_quotes_and_line_breaks_are_quoted(self):
        title = 'a, "b"\nc'
        rows = list(csv.DictReader(io.StringIO(written({"title": title}), newline="")))
        self.assertEqual(rows[0]["title"], title)

    def test_without_todos_there_are_names(self):
        self.assertEqual(written(), ",".join(COLUMNS) + "\r\n")
