"""Why something could not be read, in words that never quote it."""

from __future__ import annotations

import os

from guardrail.errors import DocumentError


class Rejected(DocumentError):
    """A document that is refused for a reason that is safe to print."""


def explain(error: Exception, doing: str) -> str:
    """The reason to report for `error`, raised while `doing` something.

    Libraries quote what they choke on in their messages, so only the class of a foreign error
    is told; the operating system's errors are told by their number's meaning.
    """
    if isinstance(error, DocumentError):
        return str(error)
    name = type(error).__name__
    if isinstance(error, OSError) and error.errno is not None:
        return f"{name}: {os.strerror(error.errno)}"
    if isinstance(error, RecursionError):
        return f"nested too deeply ({name} while {doing})"
    if isinstance(error, EOFError):
        return f"cut short ({name} while {doing})"
    return f"damaged or not of this format ({name} while {doing})"
