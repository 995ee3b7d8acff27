"""Secret keys: 32 random bytes from which every other key is derived.

A key comes from a file, from the environment, or from a hook (a function that asks a key
management service). It is never stored with an index; a manifest holds only its identifier.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import importlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from guardrail.errors import SecretKeyError

KEY_BYTES = 32
ENVIRONMENT_VARIABLE = "GUARDRAIL_KEY"
_PREFIX = "guardrail-key-1:"


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A master key. `repr` shows its identifier and never the secret."""

    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise SecretKeyError(
                f"a key has {KEY_BYTES} bytes, but {len(self.secret)} were given; "
                "make one with: guardrail key new FILE"
            )

    def __repr__(self) -> str:
        return f"Key({self.id})"

    @property
    def id(self) -> str:
        """16 hexadecimal digits that name the key and do not reveal it."""
        return self.derive("identifier", 8).hex()

    def derive(self, purpose: str, length: int = 32) -> bytes:
        """A key of `length` bytes (at most 64) for one purpose: one expansion step of HKDF
        (RFC 5869) with HMAC-SHA-512, whose extraction a uniformly random secret does not need."""
        block = hmac.digest(self.secret, f"corpus-guardrail/{purpose}".encode() + b"\x01", "sha512")
        return block[:length]

    def serialise(self) -> str:
        """The form in which key files and the environment hold a key."""
        return _PREFIX + base64.b64encode(self.secret).decode()


# The key of public indexes, which hide nothing: known to all, so that whoever has such an index can
# use it, and no private key is lent to it.
PUBLIC_KEY = Key(b"corpus-guardrail public index 01")


def new_key() -> Key:
    """A fresh key from the operating system's random source."""
    return Key(secrets.token_bytes(KEY_BYTES))


def write_key(path: str | os.PathLike[str], key: Key) -> None:
    """Write a key to a new file that only its owner can read.

    Raises SecretKeyError where the file exists already (a lost key makes an index useless) or
    cannot be written.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SecretKeyError(
            f"{os.fspath(path)} exists already and is not overwritten: indexes built with that "
            "key would be lost; name another file"
        ) from None
    except OSError as error:
        raise SecretKeyError(f"cannot write {os.fspath(path)}: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.serialise() + "\n")
        file.flush()
        os.fsync(file.fileno())


def parse_key(text: str, source: str) -> Key:
    """A key from its serialised form; `source` names the place in errors."""
    text = text.strip()
    if text.startswith(_PREFIX):
        try:
            return Key(base64.b64decode(text.removeprefix(_PREFIX), validate=True))
        except (binascii.Error, SecretKeyError):
            pass
    raise SecretKeyError(
        f"{source} holds no key: expected one line that starts with {_PREFIX!r} and goes on with "
        "44 characters of base64; make one with: guardrail key new FILE"
    )


def load_key(path: str | os.PathLike[str]) -> Key:
    """The key in a file. Raises SecretKeyError where it is missing, unreadable or malformed."""
    try:
        text = Path(path).read_text(encoding="ascii")
    except FileNotFoundError:
        raise SecretKeyError(
            f"there is no key file {os.fspath(path)}; make one with: guardrail key new FILE"
        ) from None
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        raise SecretKeyError(f"cannot read {os.fspath(path)}: {error.strerror}") from None
    return parse_key(text, os.fspath(path))


def key_from_environment(variable: str = ENVIRONMENT_VARIABLE) -> Key:
    """The key in an environment variable."""
    text = os.environ.get(variable)
    if not text:
        raise SecretKeyError(
            f"the environment variable {variable} is not set; set it to the content of a key "
            "file, or name the file with --key-file"
        )
    return parse_key(text, f"the environment variable {variable}")


def key_from_hook(name: str) -> Key:
    """The key that a function returns: `name` is `package.module:function`.

    The function takes no arguments and returns the 32 secret bytes, for instance from a key
    management service.
    """
    module_name, separator, function_name = name.partition(":")
    if not separator or not module_name or not function_name:
        raise SecretKeyError(f"a key hook is written package.module:function, not {name!r}")
    try:
        function: Callable[[], bytes] = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError):
        raise SecretKeyError(
            f"the key hook {name} cannot be imported; install its package or correct the name"
        ) from None
    try:
        secret = function()
    except Exception as error:
        # Only the type: the message of a foreign exception may hold the secret.
        raise SecretKeyError(f"the key hook {name} failed with {type(error).__name__}") from None
    if not isinstance(secret, bytes):
        raise SecretKeyError(
            f"the key hook {name} returned {type(secret).__name__}, not {KEY_BYTES} bytes"
        )
    return Key(secret)


def fingerprint(key: Key, purpose: str, data: bytes) -> int:
    """A keyed 64-bit hash of a short byte string, for looking names up without storing them."""
    secret = _derived(key, purpose)
    return int.from_bytes(hashlib.blake2b(data, digest_size=8, key=secret).digest(), "little")


# A build asks for each of its documents.
@lru_cache(maxsize=8)
def _derived(key: Key, purpose: str) -> bytes:
    return key.derive(purpose)
