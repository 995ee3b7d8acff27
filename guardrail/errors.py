"""The errors this package raises on purpose, one base class per seam.

    GuardrailError
    ├── UsageError              an argument that cannot be used, or a missing extra
    ├── SecretKeyError          a key that is missing, malformed, or not the index's
    ├── PolicyError             a policy that cannot be obeyed (names file and line)
    ├── SettingsError           settings of the service that cannot be obeyed (names file and line)
    ├── DetectorError           a detector that could not judge a text, or not all of it
    ├── SourceError             a source of documents that cannot be read
    │   └── DocumentError       one document inside a readable source
    ├── CorpusIndexError        an index that cannot be used
    │   ├── IndexMissingError   nothing there
    │   ├── IndexDamagedError   truncated, altered, swapped or foreign files
    │   ├── IndexVersionError   written by another format or canonicalisation version
    │   └── IndexBusyError      another process is changing it
    ├── ScoringError            a text whose memorization could not be judged
    │   ├── ModelError          a model that cannot be loaded or run
    │   ├── CalibrationError    missing, damaged, or made for other models
    │   └── OverloadError       the deadline passed, or too much waits already
    ├── StoreError              a database of keys and audit records that cannot be used
    │   ├── StoreVersionError   it belongs to another program or a newer release
    │   ├── StoreDamagedError   something else changed what stands there
    │   └── StoreUnavailableError   away, full, locked or too slow; later it may answer
    └── LimitError              a request that may not run now
        ├── RateLimitedError    too many requests, characters or tokens
        └── LimitsUnavailableError  the counters do not answer

A message says what was given, what is allowed and what to do. It never holds text of a response,
a prompt or a corpus: file names, offsets, counts and limits only.
"""


class GuardrailError(Exception):
    """Base of every error that this package raises on purpose."""


class UsageError(GuardrailError):
    """An argument, option or combination of them that cannot be used."""


class SecretKeyError(GuardrailError):
    """A key that is missing, malformed, or not the one that an index was built with."""


class PolicyError(GuardrailError):
    """A policy that cannot be obeyed; the message names file, line and allowed values."""


class SettingsError(GuardrailError):
    """Settings of the service that cannot be obeyed; names file and line, or the variable."""


class DetectorError(GuardrailError):
    """A detector that could not judge a text, or not all of it."""


class SourceError(GuardrailError):
    """A source of documents that cannot be read."""


class DocumentError(SourceError):
    """One document inside a readable source that cannot be read."""


class CorpusIndexError(GuardrailError):
    """An index that cannot be used."""


class IndexMissingError(CorpusIndexError):
    """There is no index at the place named."""


class IndexDamagedError(CorpusIndexError):
    """Files of an index are truncated, altered, swapped or from another index."""


class IndexVersionError(CorpusIndexError):
    """An index written by another format or canonicalisation version."""


class IndexBusyError(CorpusIndexError):
    """Another process is changing the index."""


class ScoringError(GuardrailError):
    """A text whose memorization could not be judged."""


class ModelError(ScoringError):
    """A model that cannot be loaded or run."""


class CalibrationError(ScoringError):
    """A calibration that is missing, damaged, or made for other models."""


class OverloadError(ScoringError):
    """The deadline passed before a text was scored, or too much is waiting already."""


class StoreError(GuardrailError):
    """A database of keys and audit records that cannot be used."""


class StoreVersionError(StoreError):
    """The database belongs to another program, or a newer release wrote it."""


class StoreDamagedError(StoreError):
    """Something other than this package changed what stands in the database."""


class StoreUnavailableError(StoreError):
    """The database is away, full, locked or too slow; later it may answer."""


class LimitError(GuardrailError):
    """A request that may not run now."""


class RateLimitedError(LimitError):
    """Too many requests, characters or tokens; `retry_after` is in whole seconds, at least 1."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LimitsUnavailableError(LimitError):
    """The counters of rate limits do not answer."""
