"""Sums over entries."""

from collections import defaultdict
from decimal import Decimal


def totals_by_category(entries):
    """Category to sum, categories in alphabetical order."""
    totals = defaultdict(Decimal)
    for entry in entries:
        totals[entry.category] += entry.amount
    return dict(sorted(totals.items()))


def balance(entries):
    return sum((entry.amount for entry in entries), Decimal(0))


def render(entries):
    """The report as lines of text, the balance last."""
    lines = [f"{name:<16}{total:>10.2f}" for name, total in totals_by_category(entries).items()]
    lines.append(f"{'balance':<16}{balance(entries):>10.2f}")
    return lines
