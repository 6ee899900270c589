"""REQ-TODOTAGS-FUNC-006, as the plan asks for it."""

import csv
import io
import unittest

from todo.export import write_csv


def rows(*todos):
    out = io.StringIO(newline="")
    write_csv(todos, out)
    return list(csv.reader(io.StringIO(out.getvalue(), newline="")))


class CsvRowsTest(unittest.TestCase):
    def test_the_first_row_names_the_columns(self):
        self.assertEqual(rows(), [["id", "title", "created", "done", "tags", "due"]])

    def test_a_difficult_title_comes_back(self):
        title = 'Read "Emma",\nthen rest'
        todo = {"id": 1, "title": title, "created": "2026-02-01", "done": False}
        self.assertEqual(rows(todo)[1][1], title)
