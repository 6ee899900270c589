import unittest

from todo.dates import parse_iso_date
from todo.errors import TodoError


class StrictDatesTest(unittest.TestCase):
    def test_only_one_spelling_is_read(self):
        for text in ("2026-2-1", "2026-02-1", "20260201", "2026-W05-7", " 2026-02-01", "２０２６-02-01"):
            with self.subTest(text), self.assertRaises(TodoError):
                parse_iso_date(text)

    def test_days_that_are_not_in_the_calendar_are_refused(self):
        for text in ("2026-02-30", "2026-13-01", "2027-02-29", "0000-01-01"):
            with self.subTest(text), self.assertRaises(TodoError):
                parse_iso_date(text)
