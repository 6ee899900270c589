"""Errors that are the user's to mend."""


class TodoError(ValueError):
    """Shown as one line; the program exits with code 2."""
