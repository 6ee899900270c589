import unittest
from datetime import date

from todo.errors import TodoError
from todo.model import Todo

DAY = date(2026, 1, 10)


class DueTodoTest(unittest.TestCase):
    def test_a_due_date_survives_the_file(self):
        todo = Todo(id=1, title="Mow", created=DAY, due=date(2026, 2, 1))
        self.assertEqual(todo.to_dict()["due"], "2026-02-01")
        self.assertEqual(Todo.from_dict(todo.to_dict()).due, date(2026, 2, 1))

    def test_no_due_date_is_null_in_the_file(self):
        self.assertIsNone(Todo(id=1, title="Mow", created=DAY).to_dict()["due"])

    def test_files_without_due_dates_load(self):
        todo = Todo.from_dict({"id": 1, "title": "Mow", "created": "2026-01-10"})
        self.assertIsNone(todo.due)

    def test_a_broken_due_date_is_refused(self):
        data = {"id": 1, "title": "Mow", "created": "2026-01-10", "due": "soon"}
        with self.assertRaisesRegex(TodoError, "`soon`"):
            Todo.from_dict(data)
