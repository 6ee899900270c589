import tempfile
import unittest
from datetime import date
from decimal import Decimal
from pathlib import Path

from ledger.book import Book, BookError
from ledger.entry import Entry


class BookTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "book.csv"

    def test_absent_file_is_empty(self):
        self.assertEqual(Book(self.path).entries(), [])

    def test_appended_entries_come_back(self):
        entry = Entry(date(2024, 3, 1), "rent", Decimal("-700.00"), "march")
        Book(self.path).append(entry)
        self.assertEqual(Book(self.path).entries(), [entry])

    def test_bad_line_names_its_number(self):
        self.path.write_text("2024-03-01,rent,lots,\n")
        with self.assertRaisesRegex(BookError, ":1:"):
            Book(self.path).entries()
