"""The secrets of API keys: `gr_`, 43 letters and digits (256 random bits), 6 of a checksum.

The prefix and the checksum let scanners of source code tell a leaked key from any other string.

What is stored is an HMAC-SHA-256 of the secret. A slow hash, as for passwords, would gain nothing:
it makes guessing expensive, and 256 random bits cannot be guessed. A keyed one does: who can write
to the database and has not the master key cannot put a key of their own there.
"""

from __future__ import annotations

import hmac
import secrets
import zlib
from dataclasses import dataclass

from guardrail.keys import Key

PREFIX = "gr_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH, _CHECKSUM_LENGTH = 43, 6  # 62**43 > 2**256, 62**6 > 2**32
LENGTH = len(PREFIX) + _SECRET_LENGTH + _CHECKSUM_LENGTH


def new_secret() -> str:
    body = PREFIX + _base62(int.from_bytes(secrets.token_bytes(32), "big"), _SECRET_LENGTH)
    return body + _checksum(body)


def well_formed(token: str) -> bool:
    """Whether a string has the form of a secret; a mistyped one has not."""
    if len(token) != LENGTH or not token.startswith(PREFIX) or not token.isascii():
        return False
    return token[-_CHECKSUM_LENGTH:] == _checksum(token[:-_CHECKSUM_LENGTH])


@dataclass(frozen=True, slots=True, repr=False)
class Sealer:
    """What is derived from the master key for API keys."""

    digest_key: bytes
    seal_key: bytes

    @classmethod
    def of(cls, key: Key) -> Sealer:
        return cls(key.derive("api key digest"), key.derive("api key seal"))

    def digest(self, token: str) -> bytes:
        return hmac.digest(self.digest_key, token.encode(), "sha256")

    def seal(self, digest: bytes, body: str, revision: int) -> bytes:
        """A code over all of a stored key, so that nobody widens one in the database."""
        message = digest + revision.to_bytes(8, "big") + body.encode()
        return hmac.digest(self.seal_key, message, "sha256")


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
