import unittest
from datetime import date

from todo.overdue import is_overdue


class DueTodayTest(unittest.TestCase):
    def test_the_due_date_itself_is_in_time(self):
        day = date(2026, 2, 1)
        self.assertFalse(is_overdue(day, done=False, today=day))
