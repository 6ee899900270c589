import unittest
from datetime import date

from todo.errors import TodoError
from todo.model import Todo
from todo.tags import clean_tags

DAY = date(2026, 2, 1)


class CleanTagsTest(unittest.TestCase):
    def test_spellings_are_one_tag(self):
        self.assertEqual(clean_tags(["Home", "home", "HOME"]), ("home",))

    def test_the_order_stays(self):
        self.assertEqual(clean_tags(["work", "alarm", "Work"]), ("work", "alarm"))

    def test_a_tag_is_one_word(self):
        for tag in ("", "  ", "at home"):
            with self.subTest(tag), self.assertRaises(TodoError):
                clean_tags([tag])


class TaggedTodoTest(unittest.TestCase):
    def test_tags_survive_the_file(self):
        todo = Todo(id=1, title="Mow", created=DAY, tags=("Home", "garden"))
        self.assertEqual(Todo.from_dict(todo.to_dict()).tags, ("home", "garden"))

    def test_files_without_tags_load(self):
        todo = Todo.from_dict({"id": 1, "title": "Mow", "created": "2026-02-01"})
        self.assertEqual(todo.tags, ())

    def test_finish_keeps_tags(self):
        self.assertEqual(Todo(id=1, title="Mow", created=DAY, tags=("home",)).finish().tags, ("home",))
