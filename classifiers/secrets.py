"""Secrets: keys and tokens by their published formats, private keys, passwords in configuration.

Three kinds of evidence, strongest first: a format that only such a token has (`TOKEN_FORMATS`,
PEM blocks, JSON Web Tokens, passwords in URLs); the name of a service before a token of its form
(`KEYED_FORMATS`); and words such as `password` or `api_key` before a value that does not look like
an example. A string that looks random is nothing without such a word near it.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections.abc import Sequence
from functools import cache

from guardrail.classifiers.patterns import PatternEngine, PatternRule
from guardrail.classifiers.secret_rules import KEYED_FORMATS, TOKEN_FORMATS
from guardrail.detector import Context
from guardrail.findings import Finding, Span
from guardrail.text import CanonicalText


class SecretsDetector:
    """Finds secrets; a finding's kind names what it is, by service where that is known."""

    window = None

    def __init__(self, name: str) -> None:
        self.name = name

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`."""
        return [
            Finding(self.name, hit.kind, Span(hit.start, hit.end), hit.score)
            for hit in secrets_engine().scan(text.raw)
        ]


@cache
def secrets_engine() -> PatternEngine:
    """The rules of `secret_rules` and of this module, compiled at first use."""
    return PatternEngine(secret_pattern_rules())


# --- values -----------------------------------------------------------------------------------

# What people write where a secret belongs.
_PLACEHOLDER = re.compile(
    r"x{4,}|\*{3,}|\.{3,}|_{4,}|-{6,}|#{3,}|0{8,}|example|sample|dummy|placeholder|change[-_ ]?me|"
    r"replace|your|redacted|hidden|insert|<[^<>]*>|\[[A-Za-z_ -]+\]|fake|todo|secret[-_]?here|"
    r"key[-_]?here|token[-_]?here|abcdefgh|\.\.\.|…|notreal|not[-_]a[-_]real|lorem|foobar",
    re.IGNORECASE,
)
# Values that are a reference to a secret and not the secret.
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
    r"this|is|a|an|of|for|to|and|or|not|no|db|database|mysql|postgres|postgresql|mongo|redis|app|"
    r"hash(?:ed)?|encrypted|plain|auth|bearer|basic|client|access|refresh|jwt|session|field|name|"
    r"type|input|form|email|id|data|here|very|long|hello|world|foo|bar|baz|qwerty|abc|letmein|"
    r"correct|horse|battery|staple|monkey|dragon|welcome|hunter|example",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+")


def is_placeholder(value: str) -> bool:
    """Whether a value stands for a secret: `xxxx`, `<your-key>`, `${TOKEN}`, `changeme`."""
    return bool(_PLACEHOLDER.search(value) or _REFERENCE.fullmatch(value)) or len(set(value)) < 4


def is_ordinary(value: str) -> bool:
    """Whether a value is made of nothing but words of examples and messages, and short numbers:
    `my_secret_password`, `password123`, `Password is required`."""
    words = _WORD.findall(value)
    if sum(map(str.isdigit, value)) > 4 or not words:
        return not words and len(value) < 8
    left = "".join(_ORDINARY.sub("", word) for word in words)
    return len(left) <= len("".join(words)) // 4


def _changes(value: str) -> int:
    """How often letters and digits, or small letters and capitals, take turns."""
    count, last = 0, ""
    for char in value:
        now = "9" if char.isdigit() else "a" if char.islower() else "A" if char.isupper() else ""
        if now and last and now != last and not (last == "A" and now == "a"):
            count += 1
        last = now or last
    return count


def entropy(value: str) -> float:
    """Shannon's entropy of the characters, in bits a character."""
    length = len(value)
    return -sum(
        count / length * math.log2(count / length)
        for count in (value.count(char) for char in set(value))
    )


def looks_random(value: str) -> bool:
    """Whether nobody would have made a value up: no words, identifiers, dates, versions, paths."""
    digits = sum(map(str.isdigit, value))
    letters = sum(map(str.isalpha, value))
    if not digits or not letters or is_placeholder(value):
        return False
    if _changes(value) < max(4, 0.2 * (digits + letters)):
        return False
    return entropy(value) >= 2.7


def _not_placeholder(value: str) -> bool:
    return not is_placeholder(value)


def _assigned(value: str) -> bool:
    """Whether a quoted value of a name such as `password` can be one."""
    return (
        any(map(str.isalnum, value))
        and not is_placeholder(value)
        and not is_ordinary(value)
        and not _CODE.search(value)
    )


_CODE = re.compile(r"^[\w.]+\(|^\s|\s$|^\W{0,2}[\w-]{1,3}\W{0,2}$|^[a-z]+(?:[._-][a-z]+)*$|^[A-Z][a-z]+$|^[A-Z_]+$")
_SYMBOL = re.compile(r"[^\w\s.,;()=:/+-]")


def _bare(value: str) -> bool:
    """Whether a value without quotes is a password rather than code: random, or of many signs."""
    if is_placeholder(value) or is_ordinary(value) or value.count("(") > value.count(")"):
        return False
    if re.fullmatch(r"[\w.]+[\[(].*[\])][;,]?", value):
        return False
    kinds = (
        any(map(str.islower, value)) + any(map(str.isupper, value))
        + any(map(str.isdigit, value)) + bool(_SYMBOL.search(value))
    )
    if len(set(_SYMBOL.findall(value))) >= 4:
        return any(map(str.isalnum, value))
    return (kinds >= 3 and any(map(str.isdigit, value)) and _changes(value) >= 2) or (
        len(value) >= 16 and looks_random(value)
    )


def _url_password(value: str) -> bool:
    return not is_placeholder(value) and not is_ordinary(value) and not value.isdigit()


def _user_and_password(value: str) -> bool:
    _, _, password = value.partition(":")
    return len(password) > 3 and _url_password(password.strip("\"'"))


def _basic(value: str) -> bool:
    plain = _base64(value)
    return b":" in plain and plain.isascii() and _user_and_password(plain.decode())


def _base64(value: str) -> bytes:
    try:
        return base64.b64decode(value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4), b"-_" if "-" in value or "_" in value else None)
    except (binascii.Error, ValueError):
        return b""


def _is_json(part: str) -> dict[str, object] | None:
    try:
        value = json.loads(_base64(part))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_jwt(value: str) -> bool:
    head, _, rest = value.partition(".")
    header = _is_json(head)
    return header is not None and "alg" in header and (
        "enc" in header or _is_json(rest.partition(".")[0]) is not None
    )


def _is_wrapped_jwt(value: str) -> bool:
    plain = _base64(value[: len(value) // 4 * 4])
    return plain.isascii() and _is_json(plain.decode().partition(".")[0]) is not None


_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def has_checksum(value: str) -> bool:
    """Whether the last six of a token are the CRC-32 of what stands between prefix and them, in
    base 62, as GitHub and npm make them."""
    body = value.partition("_")[2]
    number = zlib.crc32(body[:-6].encode())
    digits = ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return body[-6:] == digits


# --- rules ------------------------------------------------------------------------------------

# Names of passwords and keys in configuration and code, and what may stand before them.
_STRONG = (
    r"pass(?:w(?:or)?d|phrase|code)|passwd|pwd|secret|api[_ -]?key|private[_ -]?key|access[_ -]?key|"
    r"auth[_ -]?(?:key|token)|access[_ -]?token|(?<=[_-])pass(?![a-z])|(?<=[_-])pw(?![a-z])"
)
_STRONG_NEEDS = (
    "passw", "passphrase", "passcode", "pwd", "secret", "key", "token", "_pass", "-pass", "_pw", "-pw",
)
_WEAK = (
    r"pass|pwd|secret|token|key|cred|auth|api|bearer|access|webhook|signature"
)
_WEAK_NEEDS = ("pass", "pwd", "secret", "token", "key", "cred", "auth", "api", "bearer", "access", "webhook", "signature")
_JOIN = r"""(?:\s{0,4}(?::\s{0,2}[A-Za-z_?]{1,12}\s{0,2}=|\[\d{0,4}\]\s{0,3}=|:{0,3}=|=>|[=!]==?|\?=|[.+]=|<-|:|,|\s)\s{0,4}@?)"""
_TAIL = r"""[\w.-]{0,40}["'`\])]{0,3}"""


def _quoted(name: str) -> str:
    return rf"""(?i:{name}){_TAIL}{_JOIN}(?P<q>["'`])(?P<value>(?:(?!(?P=q))[^\n]){{4,300}})(?P=q)"""


def secret_pattern_rules() -> list[PatternRule]:
    """All rules, in no order: `PatternEngine` resolves overlaps by score."""
    rules = []
    for number, row in enumerate(TOKEN_FORMATS):
        pattern = rf"(?<![A-Za-z0-9])(?:{row.pattern})(?![A-Za-z0-9])"
        rules.append(PatternRule(f"{row.kind} {number}", row.kind, pattern, 0.9, row.needs, check=_not_placeholder))
    for number, keyed in enumerate(KEYED_FORMATS):
        words = "|".join(map(re.escape, keyed.words))
        pattern = rf"(?i:{words})[^\n]{{0,60}}?(?<![\w/+.-])(?P<value>{keyed.pattern})(?![\w/+=-])"
        rules.append(PatternRule(f"{keyed.kind} by name {number}", keyed.kind, pattern, 0.8, keyed.words, check=looks_random))
    return rules + list(_RULES)


_RULES = (
    PatternRule(
        "pem", "private-key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:(?!-----)[\s\S]){0,20000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|"
        r"(?:(?:\s|\\n|\\r){1,8}[^\s-][^\n-]{7,100}){1,400})",
        1.0, ("private key",), check=lambda value: not re.search(r"-----\W{0,20}(?:-----|$)|\.\.\.|…|your|<[^>]*>", value, re.IGNORECASE),
    ),
    PatternRule(
        "putty", "private-key",
        r"PuTTY-User-Key-File-\d:[\s\S]{0,4000}?Private-Lines: \d{1,3}(?:\r?\n[A-Za-z0-9+/=]{1,80}){1,200}",
        1.0, ("putty-user-key-file-",),
    ),
    PatternRule("jwk", "private-key", r"\"kty\"[^{}]{0,2000}?\"(?:d|k)\"\s{0,3}:\s{0,3}\"(?P<value>[\w-]{22,})\"", 1.0, ('"kty"',)),
    PatternRule("jwt", "jwt", r"(?<![\w.])ey[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{2,8000}(?:\.[A-Za-z0-9_-]{0,8000}){0,3}", 1.0, ("ey",), check=_is_jwt),
    PatternRule("wrapped jwt", "jwt", r"(?<![A-Za-z0-9+/])ZXlK[A-Za-z0-9+/]{40,8000}={0,2}", 1.0, ("zxlk",), check=_is_wrapped_jwt),
    PatternRule("github checksum", "github-token", r"(?<![A-Za-z0-9])(?:gh[pousr]|npm)_[A-Za-z0-9]{36}(?![A-Za-z0-9])", 1.0, ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "npm_"), check=has_checksum),
    PatternRule(
        "url", "url-password",
        r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{1,30}://[^\s:/@\"'<>`]{0,100}:(?P<value>[^\s/@\"'<>`]{3,200})@[\w.\[%{$-]",
        0.9, ("://",), check=_url_password,
    ),
    PatternRule(
        "basic", "authorization", r"(?i:\bbasic)\s{1,3}(?P<value>[A-Za-z0-9+/_-]{8,500}={0,2})", 0.9, ("basic",), check=_basic,
    ),
    PatternRule(
        "bearer", "authorization",
        r"(?i:\b(?:bearer|token|apikey|key))[ =:\"']{1,4}(?P<value>[A-Za-z0-9+/_.~-]{16,2000}={0,2})", 0.8, ("bearer", "authorization"), check=looks_random,
    ),
    PatternRule(
        "curl", "password", r"(?i:\bcurl\b)[^\n]{0,300}?\s(?:-u|--user)[ =]{0,3}[\"']?(?P<value>[^\s\"':]{1,100}:[^\s\"']{4,100})", 0.9, ("curl",), check=_user_and_password,
    ),
    PatternRule("strong quoted", "password", _quoted(_STRONG), 0.7, _STRONG_NEEDS, check=_assigned),
    PatternRule(
        "compared", "password",
        rf"(?P<q>[\"'])(?P<value>[^\"'\n]{{4,200}})(?P=q)\s{{0,3}}[!=]==?\s{{0,3}}[\w.$]{{0,40}}?(?i:{_STRONG})", 0.7, _STRONG_NEEDS, check=_assigned,
    ),
    PatternRule(
        "strong bare", "password",
        rf"(?i:{_STRONG}){_TAIL}\s{{0,4}}(?::{{0,3}}=|=>|=|:|\s(?:is|was)\b:?|\s)\s{{0,4}}(?P<value>[^\s\"'`<>;&]{{6,200}})", 0.7, _STRONG_NEEDS, check=_bare,
    ),
    PatternRule(
        "element", "password", rf"<(?:[\w:-]{{0,30}}(?i:{_STRONG})[\w:-]{{0,30}})>\s{{0,20}}(?P<value>[^\s<>][^<>\n]{{2,200}}[^\s<>])\s{{0,20}}</", 0.7, _STRONG_NEEDS, check=_assigned,
    ),
    PatternRule(
        "attribute", "password",
        rf"(?i:{_STRONG}){_TAIL}[^\n]{{0,6}}?\s{{0,20}}(?i:\"?value\"?)\s{{0,3}}[=:]\s{{0,3}}(?P<q>[\"'])(?P<value>[^\"'\n]{{4,200}})(?P=q)", 0.7, _STRONG_NEEDS, check=_assigned,
    ),
    PatternRule(
        "near", "credential",
        rf"(?i:{_WEAK})(?:(?!(?i:hash|sha-?\d|md5|checksum|digest|commit|public|uuid|guid|csrf|integrity))[^\n]){{0,50}}?"
        r"(?<![\w/+.~-])(?P<value>(?=[A-Za-z_+/.~-]{0,40}\d)[A-Za-z0-9_][A-Za-z0-9_+/.~-]{14,400}={0,3})",
        0.6, _WEAK_NEEDS, check=looks_random,
    ),
)
