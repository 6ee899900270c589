"""Says words of wordlist."""

import wordlist


def first():
    """The first word that is said."""
    return wordlist.FIRST
