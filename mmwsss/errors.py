"""Errors that a user can cause."""


class UsageError(ValueError):
    """A wrong setting or file of the user; the text is the one sentence that a tool ends with."""
