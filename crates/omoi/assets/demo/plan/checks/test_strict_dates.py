"""Equal dates must be equal text, so only one spelling of a date may be read."""

import unittest

from todo.dates import parse_iso_date
from todo.errors import TodoError


class StrictDatesTest(unittest.TestCase):
    def test_days_and_months_have_two_digits(self):
        for text in ("2026-2-1", "2026-02-1", "2026-2-01"):
            with self.subTest(text), self.assertRaises(TodoError):
                parse_iso_date(text)
