"""Whether a value can be a secret: examples, references and plain words told from real ones."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections import Counter
from itertools import pairwise

from guardrail.classifiers.pattern_rule import ENDLESS

# What people write where a secret belongs: in a token of a published format, and anywhere. In lower
# case, as an expression that ignores case takes three times as long.
_BLANKED = re.compile(
    r"x{5,}|\*{3,}|\.{3,}|#{4,}|0{10,}|…|example|your|placeholder|change[-_ ]?me|redacted|insert"
)
_PLACEHOLDER = re.compile(
    r"x{4,}|\*{3,}|\.{3,}|_{4,}|-{6,}|#{3,}|0{8,}|…|example|sample|dummy|placeholder|"
    r"change[-_ ]?me|replace|your|redacted|hidden|insert|<[^<>]*>|\[[a-z_ -]+\]|"
    r"(?<![a-z])fake(?![a-z])|todo|"
    r"(?:secret|key|token|value)[-_ ]?(?:here|goes)|not[-_ ]?(?:a[-_ ])?real|lorem|foobar"
)
# What refers to a secret without being one.
_REFERENCE = re.compile(
    r"\$\w+|\$?\{\{?[^{}]*\}?\}|\$\([^()]*\)|<[^<>]+>|%\w+%|%\(?\w*\)?s|\[[\w .-]+\]|@\w+@|"
    r"(?:os|process|env|config|settings|self|this|request|req|ctx|vault|secrets?)[.\[(].*|"
    r"(?:arn|ssm|file|vault|op|secretsmanager|ref|env|https?):.{3,}|/[\w./-]+",
    re.IGNORECASE,
)
# Words that a password in an example, a label or a message is made of.
_ORDINARY = re.compile(
    r"pass(?:word|wd|phrase|code)?|pwd|secrets?|user(?:name)?|login|tokens?|api|keys?|my|new|old|"
    r"current|confirm|enter|invalid|incorrect|wrong|required|must|please|should|the|wallet|"
    r"test(?:ing)?|demo|admin|root|guest|default|temp|none|null|nil|undefined|true|false|string|"
    r"str|text|value|super|strong|secure|securely|safe|random|generated?|private|public|some|any|"
    r"this|is|an?(?![a-z])|of|for|to|and|or|not|no|db|database|mysql|postgres|postgresql|mongo|redis|app|"
    r"hash(?:ed)?|encrypted|plain|auth|bearer|basic|client|access|refresh|jwt|session|field|name|"
    r"type|input|form|email|id|data|here|very|long|hello|world|foo|bar|baz|qwerty|abc|letmein|"
    r"correct|horse|battery|staple|monkey|dragon|welcome|hunter|example|fake"
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+")
# A call, a padded text, a sign or two, an identifier, one word, a path: no password.
_CODE = re.compile(
    r"^[\w.]+\(|^\s|\s$|^\W{0,2}[\w-]{1,3}\W{0,2}$|^[a-z]+(?:[._-][a-z]+)*$|^[A-Za-z]+$|^[A-Z_]+$|"
    r"^[a-z_]+\d?(?:/[a-z_]+\d?)+$"
)
# A label of a field, which speaks of secrets.
_LABEL = re.compile(r"\s.*\b(?:keys?|tokens?|passwords?|secrets?)\b", re.IGNORECASE)
_CALL = re.compile(r"[\w.]+[\[(].*|\((?:N?VAR)?CHAR2?\(.*")
# Four letters: of random characters, 1 to 4 in 100 are half made of such runs (16 to 40 of them).
_SPELLED = re.compile(r"[A-Z]?[a-z]{4,}")
_CODE_WORD = re.compile(
    r"base64|b64(?:en|de)code|utf_?(?:8|16)|(?:public|private)key|sha(?:1|256)(?!~)|\.[a-z]{1,4}$",
    re.IGNORECASE,
)
_PART = re.compile(r"[A-Za-z]+\d{0,4}")
_SYMBOL = re.compile(r"[^\w\s.,;()=:/+-]")
# Five in a row are in no name, and in most random strings of 20 letters or more.
_CONSONANTS = re.compile(r"[b-df-hj-np-tv-xz]{5}")
_HEXADECIMAL = re.compile(r"[0-9a-f]{20,}|[0-9A-F]{20,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def is_blanked(token: str) -> bool:
    """Whether a token of a published format is an example: `AKIAIOSFODNN7EXAMPLE`, `ghp_xxxx`."""
    token = token[:ENDLESS].lower()
    return bool(_BLANKED.search(token)) or (len(token) >= 28 and len(set(token)) < 8)


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a secret: `xxxx`, `<your-key>`, `${TOKEN}`, `changeme`."""
    return (
        bool(_PLACEHOLDER.search(value.lower()) or _REFERENCE.fullmatch(value))
        or len(set(value)) < 4
    )


def is_ordinary(value: str) -> bool:
    """Whether a value is made of nothing but words of examples and messages, and short numbers:
    `my_secret_password`, `password123`, `Password is required`."""
    words = _WORD.findall(value)
    if not words:
        return len(value) < 8
    if 2 * sum(map(len, words)) < len(value.replace(" ", "")):
        return False
    if sum(map(str.isdigit, value)) > 4:
        return False
    # All at once: no word of examples goes over a line.
    left = len(_ORDINARY.sub("", "\n".join(words).lower())) - len(words) + 1
    return left <= sum(map(len, words)) // 4


def entropy(value: str) -> float:
    """Shannon's entropy of the characters, in bits a character."""
    length = len(value)
    return -sum(n / length * math.log2(n / length) for n in Counter(value).values())


def _changes(value: str) -> int:
    """How often letters and digits, or small letters and capitals, take turns; a capital before a
    small letter begins a word and does not count."""
    count, last = 0, ""
    for char in value:
        now = "9" if char.isdigit() else "a" if char.islower() else "A" if char.isupper() else ""
        if now and last and now != last and not (last == "A" and now == "a"):
            count += 1
        last = now or last
    return count


def is_uuid(value: str) -> bool:
    """Whether a value has the form of a UUID."""
    return bool(_UUID.fullmatch(value))


def is_dated_uuid(value: str) -> bool:
    """Whether a value is a UUID of version 1, 2 or 6: a time and a machine, which tells nothing
    that is hard to guess (RFC 9562, section 8)."""
    return is_uuid(value) and value[14] in "126" and value[19] in "89abAB"


def is_identifier(value: str) -> bool:
    """Whether a value is a name in code: `x25519.PublicKey`, `utf8_to_utf16`, `sha1TransformId`."""
    if _CODE_WORD.search(value):
        return True
    if _is_unspeakable(value):
        return False
    letters = sum(map(str.isalpha, value))
    cased = any(map(str.isupper, value)) and any(map(str.islower, value))
    few_digits = 4 * sum(map(str.isdigit, value)) < len(value)
    if cased and few_digits and 2 * sum(map(len, _SPELLED.findall(value))) >= letters:
        return True
    parts = re.split(r"[._/-]", value)
    names = sum(_PART.fullmatch(part) is not None for part in parts)
    return len(parts) > 3 and 4 * names >= 3 * len(parts)


def _is_unspeakable(value: str) -> bool:
    # `HTTPSProxy` has such a row, but of capitals.
    longest = max(re.split(r"[^A-Za-z0-9]+", value), key=len)
    return len(longest) >= 16 and bool(
        _CONSONANTS.search(longest.lower() if longest.isupper() else longest)
    )


def looks_random(value: str) -> bool:
    """Whether nobody would have made a value up: no words, identifiers, dates, versions, paths."""
    digits = sum(map(str.isdigit, value))
    letters = sum(map(str.isalpha, value))
    if not digits or not letters or is_placeholder(value) or entropy(value) < 2.7:
        return False
    if 8 * sum(ord(b) - ord(a) == 1 for a, b in pairwise(value)) > 7 * len(value):
        return False  # an alphabet
    if is_uuid(value):
        return not is_dated_uuid(value)
    if _HEXADECIMAL.fullmatch(value):
        return True
    if _is_unspeakable(value):
        return digits > 1
    return _changes(value) >= max(4, 0.2 * (digits + letters)) and not is_identifier(value)


def is_token(value: str) -> bool:
    """Whether a value of a token's form, beside its service's name, is one: random, or a row of
    letters that is too long for a word."""
    letters = value.isalpha() and len(value) >= 20 and (value.islower() or value.isupper())
    return looks_random(value) or (letters and len(set(value)) > 8 and not is_placeholder(value))


def is_opaque(value: str) -> bool:
    """Whether a value that is given to a key or token can be one: no words, nor made of words."""
    if is_placeholder(value) or is_ordinary(value):
        return False
    if value.isdigit():
        return len(value) >= 15
    if not any(map(str.isdigit, value)) or entropy(value) < 2.7:
        return False
    if value.replace(":", "").isalnum():
        return not is_identifier(value) and (_changes(value) >= 3 or _is_unspeakable(value))
    return looks_random(value)


# What somebody says: 'full of secrets. "And I am here to see that it goes on."'
_SENTENCE = re.compile(r"[A-Z][\w'\u2019]*(?:,? [a-zA-Z][\w'\u2019-]*){5,}[.!?,]")


def could_be_password(value: str) -> bool:
    """Whether a quoted value that is given to a password can be one."""
    return (
        any(map(str.isalnum, value))
        and not is_placeholder(value)
        and not is_ordinary(value)
        and not _CODE.search(value)
        and not _LABEL.search(value)
        and not _SENTENCE.fullmatch(value)
    )


def is_strong(value: str) -> bool:
    """Whether a value without quotes is a password rather than code: random, or of many signs."""
    value = re.sub(r"(?:\\[nrt])+$", "", value)
    if is_placeholder(value) or is_ordinary(value) or _CALL.fullmatch(value):
        return False
    if is_identifier(value):
        return False
    signs = set(_SYMBOL.findall(value))
    if len(signs) >= 4:
        return any(map(str.isalnum, value))
    if value.count("(") > value.count(")") or not any(map(str.isdigit, value)):
        return False
    kinds = any(map(str.islower, value)) + any(map(str.isupper, value)) + bool(signs)
    if signs and len(value) >= 8 and kinds >= 2:
        return True
    return (kinds >= 2 and _changes(value) >= 2) or (len(value) >= 14 and is_opaque(value))


def is_password_of_url(value: str) -> bool:
    """Whether what stands between `:` and `@` of a URL is a password."""
    return not is_placeholder(value) and not is_ordinary(value) and not value.isdigit()


def is_user_and_password(value: str) -> bool:
    """Whether `user:password` holds a real password."""
    user, _, password = value.partition(":")
    if not password.strip("\"'"):
        return looks_random(user) or is_strong(user)  # a key in place of a name
    return len(password) > 3 and is_password_of_url(password)


def is_written_out(value: str) -> bool:
    """Whether a value is more than a place to fill in: for where nothing else is written."""
    return not is_placeholder(value) and any(map(str.isalnum, value))


def is_basic_credential(value: str) -> bool:
    """Whether a value is `user:password` in Base64, as HTTP's basic authentication has it."""
    plain = _from_base64(value)
    user, colon, password = plain.partition(b":")
    if not colon or not plain.isascii() or not plain.decode().isprintable():
        return False
    return is_password_of_url((password or user).decode())


def is_key_block(value: str) -> bool:
    """Whether a PEM block holds more than dots or a note."""
    body = re.sub(r"-----[^-]{0,80}-----", "", value).replace("\\n", "").strip()
    return len(body) > 8 and not re.search(r"^\W*\.\.\.|…|your|<[^>]*>|\.\.\.\W*$", body)


def is_jwt(value: str) -> bool:
    """Whether the header of a JSON Web Token names an algorithm, and its claims are JSON."""
    head, _, rest = value.partition(".")
    header = _json_object(head)
    if header is None or "alg" not in header:
        return False
    return "enc" in header or _json_object(rest.partition(".")[0]) is not None


def is_wrapped_jwt(value: str) -> bool:
    """Whether a value is a JSON Web Token in Base64 once more."""
    plain = _from_base64(value[: len(value) // 4 * 4])
    return plain.isascii() and is_jwt(plain.decode())


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def checksum(body: str) -> str:
    """The CRC-32 of a text in six digits of base 62, as the end of GitHub's and npm's tokens."""
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return digits


def has_checksum(token: str) -> bool:
    """Whether a token ends in the checksum of what stands between it and the prefix."""
    body = token.partition("_")[2]
    return checksum(body[:-6]) == body[-6:]


def _from_base64(value: str) -> bytes:
    value = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError):
        return b""


def _json_object(part: str) -> dict[str, object] | None:
    try:
        value = json.loads(_from_base64(part))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
