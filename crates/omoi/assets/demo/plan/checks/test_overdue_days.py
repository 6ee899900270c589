"""REQ-TODOTAGS-FUNC-005 #1 and #2, as the plan asks for them."""

import unittest
from datetime import date

from todo.overdue import is_overdue

TODAY = date(2026, 2, 1)


class OverdueDaysTest(unittest.TestCase):
    def test_due_yesterday_is_overdue_until_done(self):
        yesterday = date(2026, 1, 31)
        self.assertTrue(is_overdue(yesterday, done=False, today=TODAY))
        self.assertFalse(is_overdue(yesterday, done=True, today=TODAY))

    def test_due_today_is_not_overdue(self):
        self.assertFalse(is_overdue(TODAY, done=False, today=TODAY))
