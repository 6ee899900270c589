import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from ledger.cli import main


class CliTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.book = str(Path(folder.name) / "book.csv")

    def run_cli(self, *args):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = main(["--book", self.book, *args])
        return code, out.getvalue()

    def test_report_sums_by_category(self):
        self.run_cli("add", "2024-03-01", "rent", "-700")
        self.run_cli("add", "2024-03-02", "salary", "1000")
        code, text = self.run_cli("report")
        self.assertEqual(code, 0)
        self.assertIn("300.00", text)

    def test_list_filters_by_category(self):
        self.run_cli("add", "2024-03-01", "rent", "-700")
        self.run_cli("add", "2024-03-02", "food", "-20")
        self.assertNotIn("rent", self.run_cli("list", "--category", "food")[1])
