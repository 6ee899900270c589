"""A household ledger in one CSV file."""

__version__ = "0.3.0"
