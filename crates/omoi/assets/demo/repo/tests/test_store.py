import tempfile
import unittest
from datetime import date
from pathlib import Path

from todo.errors import TodoError
from todo.store import Store

DAY = date(2026, 2, 1)


class StoreTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = Store(Path(folder.name) / "todos.json")

    def test_a_missing_file_is_empty(self):
        self.assertEqual(self.store.load(), [])

    def test_numbers_go_up(self):
        added = [self.store.add(title, DAY) for title in ("a", "b", "c")]
        self.assertEqual([todo.id for todo in added], [1, 2, 3])

    def test_what_is_added_is_there_again(self):
        added = self.store.add("Buy milk", DAY)
        self.assertEqual(self.store.load(), [added])

    def test_finish_is_kept(self):
        self.store.add("Buy milk", DAY)
        self.store.finish(1)
        self.assertTrue(self.store.load()[0].done)

    def test_unknown_numbers_are_refused(self):
        with self.assertRaisesRegex(TodoError, "there is no todo 9"):
            self.store.finish(9)

    def test_a_broken_file_is_named(self):
        for text in ("{", "[1]", '[{"id": 1}]'):
            self.store.path.write_text(text, encoding="utf-8")
            with self.subTest(text), self.assertRaisesRegex(TodoError, "not a todo file"):
                self.store.load()
