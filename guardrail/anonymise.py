"""Anonymising values by kind, with the operators of presidio-anonymizer and a pseudonym of our own.

What an operator makes stands in brackets with its kind: `[person:kq3x7a]`. Keys come from the
master key: who has it can restore what `encrypt` made, and can tell which values `hash` and
`pseudonym` made one token of, by trying values. Without it neither is possible.
"""

from __future__ import annotations

import base64
import hmac
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from guardrail.detector import Context
from guardrail.errors import SecretKeyError, UsageError
from guardrail.keys import Key
from guardrail.policy_settings import OperatorSettings, RedactionSettings
from guardrail.redaction import Operator, Redaction
from guardrail.text import canonicalise

TOKEN = 12
"""Characters of a pseudonym or a digest, five bits each: a million values share one by chance with
a probability of one in two million."""

_ENCRYPTED = re.compile(r"\[([A-Za-z0-9_.-]{1,64}):enc:([A-Za-z0-9_=-]{24,})\]")


class Anonymiser:
    """The operators of a policy, with their keys. Thread-safe."""

    def __init__(self, settings: RedactionSettings, key: Key) -> None:
        """Raises UsageError where the extra `pii` is missing."""
        self._base = settings.build()
        self._hash_key = key.derive("anonymise/hash")
        self._pseudonym_key = key.derive("anonymise/pseudonym")
        self._encryption_key = key.derive("anonymise/encrypt")
        self._presidio = _presidio()
        self._fixed: dict[str, Operator] = {}
        self._pseudonyms: list[str] = []
        for kind, operator in settings.operators.items():
            if operator.operator == "pseudonym":
                self._pseudonyms.append(kind)
            else:
                self._fixed[kind] = self._operator(kind, operator)

    def redaction(self, context: Context) -> Redaction:
        """How a response is redacted: pseudonyms hold for its conversation, or where it has none
        for this response alone."""
        scope = os.urandom(16)
        if context.conversation is not None:
            scope = context.conversation.encode("utf-8", "surrogatepass")
        key = hmac.digest(self._pseudonym_key, scope, "sha256")
        named = {kind: self._token(kind, key) for kind in self._pseudonyms}
        return replace(self._base, operators={**self._fixed, **named})

    def restore(self, text: str) -> str:
        """The text with encrypted values turned back. Raises SecretKeyError for another key."""
        decrypt = self._presidio["decrypt"]

        def value(match: re.Match[str]) -> str:
            try:
                restored: str = decrypt(match[2], {"key": self._encryption_key})
            except Exception:
                raise SecretKeyError(
                    "an encrypted value cannot be restored with this key, or was altered"
                ) from None
            return restored

        return _ENCRYPTED.sub(value, text)

    def _operator(self, kind: str, settings: OperatorSettings) -> Operator:
        if settings.operator == "hash":
            return self._token(kind, self._hash_key)
        if settings.operator == "encrypt":
            encrypt, key = self._presidio["encrypt"], {"key": self._encryption_key}
            return lambda value: f"[{kind}:enc:{encrypt(value, key)}]"
        run = self._presidio[settings.operator]
        if settings.operator == "replace":
            return lambda value: str(run(value, {"new_value": settings.new_value}))
        return lambda value: str(
            run(
                value,
                {
                    "masking_char": settings.masking_char,
                    "chars_to_mask": settings.chars_to_mask or len(value),
                    "from_end": settings.from_end,
                },
            )
        )

    @staticmethod
    def _token(kind: str, key: bytes) -> Operator:
        def token(value: str) -> str:
            # One value, however it is written: case, spacing and separators do not count.
            written = canonicalise(value).units.tobytes() or value.encode("utf-8", "surrogatepass")
            digest = hmac.digest(key, kind.encode() + b"\0" + written, "sha256")
            return f"[{kind}:{base64.b32encode(digest)[:TOKEN].decode().lower()}]"

        return token


def _presidio() -> dict[str, Callable[[str, dict[str, Any]], str]]:
    try:
        from presidio_anonymizer.operators import Decrypt, Encrypt, Mask, Replace
    except ImportError:
        raise UsageError(
            "redaction operators need the extra `pii`: pip install 'corpus-guardrail[pii]'"
        ) from None
    return {
        "decrypt": Decrypt().operate,
        "encrypt": Encrypt().operate,
        "mask": Mask().operate,
        "replace": Replace().operate,
    }
