import unittest
from datetime import date

from todo.dates import in_words, parse_iso_date
from todo.errors import TodoError


class ParseIsoDateTest(unittest.TestCase):
    def test_reads_a_date(self):
        self.assertEqual(parse_iso_date("2026-02-01"), date(2026, 2, 1))

    def test_reads_a_leap_day(self):
        self.assertEqual(parse_iso_date("2028-02-29"), date(2028, 2, 29))

    def test_refuses_words(self):
        for text in ("", "tomorrow", "next week"):
            with self.subTest(text), self.assertRaises(TodoError):
                parse_iso_date(text)

    def test_refuses_other_orders(self):
        for text in ("01-02-2026", "2026/02/01"):
            with self.subTest(text), self.assertRaises(TodoError):
                parse_iso_date(text)

    def test_the_reason_names_the_text(self):
        with self.assertRaisesRegex(TodoError, "`soon` is not a date"):
            parse_iso_date("soon")


class InWordsTest(unittest.TestCase):
    def test_near_days_have_names(self):
        self.assertEqual([in_words(0), in_words(1)], ["today", "yesterday"])

    def test_other_days_are_counted(self):
        self.assertEqual(in_words(12), "12 days ago")
