"""Errors of files that users bring, which the tools print as one sentence."""


class FileProblemError(ValueError):
    """A file that cannot be used; the text names it, what is wrong and what to do."""


def problem_sentence(error: Exception) -> str | None:
    r"""Return the sentence of an error about a user's file, None for any other error.

    Args:
        error: Raised here, or in a process of a data loader, which sends its traceback along.

    Example:
        >>> problem_sentence(FileNotFoundError('a.jpg is missing: add it.'))
        'a.jpg is missing: add it.'
        >>> problem_sentence(FileNotFoundError(2, 'No such file or directory'))
    """
    # a missing file that the system reports was looked for by mistake: that needs the traceback
    missing = isinstance(error, FileNotFoundError) and error.errno is None
    if not missing and not isinstance(error, FileProblemError):
        return None
    text = str(error).rstrip()
    if '\nOriginal Traceback' in text:
        text = text.splitlines()[-1].partition(': ')[2]
    return None if text.startswith('[Errno') else text
