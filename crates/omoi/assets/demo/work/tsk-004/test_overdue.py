import unittest
from datetime import date
from types import SimpleNamespace

from todo.overdue import is_overdue, overdue

TODAY = date(2026, 2, 1)


class IsOverdueTest(unittest.TestCase):
    def test_the_day_before_is_late(self):
        self.assertTrue(is_overdue(date(2026, 1, 31), done=False, today=TODAY))

    def test_tomorrow_is_in_time(self):
        self.assertFalse(is_overdue(date(2026, 2, 2), done=False, today=TODAY))

    def test_without_a_due_date_nothing_is_late(self):
        self.assertFalse(is_overdue(None, done=False, today=TODAY))

    def test_done_is_never_late(self):
        self.assertFalse(is_overdue(date(2020, 1, 1), done=True, today=TODAY))


class OverdueTest(unittest.TestCase):
    def test_the_oldest_comes_first(self):
        days = [None, date(2026, 1, 20), date(2025, 12, 1), date(2026, 1, 20)]
        todos = [SimpleNamespace(id=n, due=due, done=False) for n, due in enumerate(days)]
        self.assertEqual([todo.id for todo in overdue(todos, TODAY)], [2, 1, 3])
