import unittest
from datetime import date

from todo.errors import TodoError
from todo.model import TITLE_MAX, Todo

DAY = date(2026, 2, 1)


class TodoTest(unittest.TestCase):
    def test_needs_a_title(self):
        for title in ("", "   "):
            with self.subTest(title), self.assertRaises(TodoError):
                Todo(id=1, title=title, created=DAY)

    def test_titles_have_a_limit(self):
        Todo(id=1, title="x" * TITLE_MAX, created=DAY)
        with self.assertRaises(TodoError):
            Todo(id=1, title="x" * (TITLE_MAX + 1), created=DAY)

    def test_finish_gives_a_done_copy(self):
        todo = Todo(id=1, title="Buy milk", created=DAY)
        self.assertTrue(todo.finish().done)
        self.assertFalse(todo.done)

    def test_finish_twice_is_refused(self):
        done = Todo(id=7, title="Buy milk", created=DAY).finish()
        with self.assertRaisesRegex(TodoError, "todo 7 is done already"):
            done.finish()

    def test_age_is_counted_in_days(self):
        todo = Todo(id=1, title="Buy milk", created=DAY)
        self.assertEqual(todo.age(date(2026, 2, 15)), 14)

    def test_survives_the_file(self):
        for todo in (
            Todo(id=1, title="Buy milk", created=DAY),
            Todo(id=2, title="Zähne putzen", created=DAY, done=True),
        ):
            with self.subTest(todo.title):
                self.assertEqual(Todo.from_dict(todo.to_dict()), todo)
