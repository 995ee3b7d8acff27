"""Secrets: keys and tokens by their published formats, private keys, passwords in configuration.

Three kinds of evidence, strongest first: a format that only such a token has (`TOKEN_FORMATS`,
PEM blocks, JSON Web Tokens, passwords in URLs); the name of a service before a token of its form
(`KEYED_FORMATS`); and words such as `password` or `api_key` before a value that does not look like
an example. What only looks random is of the kind `high-entropy`, and only where it is quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from guardrail.classifiers.hits import Hit
from guardrail.classifiers.pattern_rule import PatternRule
from guardrail.classifiers.patterns import PatternEngine
from guardrail.classifiers.secret_rules import KEYED_FORMATS, TOKEN_FORMATS
from guardrail.classifiers.secret_values import (
    could_be_password,
    has_checksum,
    is_basic_credential,
    is_blanked,
    is_jwt,
    is_key_block,
    is_opaque,
    is_password_of_url,
    is_strong,
    is_token,
    is_user_and_password,
    is_uuid,
    is_wrapped_jwt,
    is_written_out,
    looks_random,
)
from guardrail.classifiers.unfinished import certain_progress, progress
from guardrail.detector import Context, Progress
from guardrail.findings import Finding, Span
from guardrail.text import CanonicalText


class SecretsDetector:
    """Finds secrets; a finding's kind names what it is, by service where that is known."""

    window = None

    def __init__(self, name: str) -> None:
        self.name = name
        self._engine = secrets_engine()

    def scan(self, text: CanonicalText, context: Context) -> Sequence[Finding]:
        """See `Detector.scan`."""
        return self._findings(self._engine.scan(text.raw))

    def scan_pieces(self, text: CanonicalText, context: Context, first: int) -> Sequence[Finding]:
        """See `PiecesDetector`."""
        return self._findings(self._engine.scan_pieces(text.raw, first))

    def scan_whole(self, text: CanonicalText, context: Context) -> Progress:
        """See `WholeDetector`: what is open are values that may not have ended."""
        hits = self._engine.scan(text.raw)
        return progress(self._engine, text.raw, hits, self._findings(hits), self.name)

    def open_pieces(self, text: CanonicalText, context: Context) -> Progress:
        """See `PiecesDetector`."""
        return certain_progress(self._engine, text.raw, self.name)

    def _findings(self, hits: Sequence[Hit]) -> list[Finding]:
        return [Finding(self.name, h.kind, Span(h.start, h.end), h.score) for h in hits]


@cache
def secrets_engine() -> PatternEngine:
    """The rules of `secret_rules` and of this module, compiled at first use."""
    return PatternEngine(secret_pattern_rules())


def secret_pattern_rules() -> list[PatternRule]:
    """All rules, in no order: the engine resolves overlaps by score."""
    rules = [
        PatternRule(
            f"{row.kind} {number}",
            row.kind,
            rf"(?<![A-Za-z0-9])(?:{row.pattern})(?![A-Za-z0-9])",
            0.9,
            row.needs,
            check=lambda token: not is_blanked(token),
            starts=row.starts,
            blanks=None if row.starts else 0,
            gate=row.gate,
            run=row.run,
            endless=row.starts,
        )
        for number, row in enumerate(TOKEN_FORMATS)
    ]
    for number, keyed in enumerate(KEYED_FORMATS):
        words = "|".join(map(re.escape, keyed.words))
        pattern = (
            rf"(?<![A-Za-z])(?i:{words})(?:{_NOT}[^\n]){{0,60}}?(?:\n\s{{0,20}})?"
            rf"(?<![\w/+.-])(?P<value>{keyed.pattern})(?![\w/+=-])"
        )
        name = f"{keyed.kind} by name {number}"
        rules.append(
            PatternRule(name, keyed.kind, pattern, 0.8, keyed.words, check=is_token, starts=True)
        )
    return rules + list(_RULES)


# --- what stands around a value ---------------------------------------------------------------

# Names of passwords and keys in configuration and code. `First_pass` is none.
_STRONG = (
    r"(?:pass(?:w(?:or)?d|phrase|code)|pwd|secret|(?:api|private|access|auth)[_ -]?key|"
    r"(?:auth|access)[_ -]?token|(?<=[A-Za-z][_-])(?<!first_)(?<!second_)(?<!First_)(?<!Second_)"
    r"pass(?![a-z])|(?<![A-Za-z_-])pass(?=[\"']?\s{0,3}(?:[:=]|is\b))|(?<=[_-])pw(?![a-z]))"
)
_STRONG_STARTS = ("pass", "pwd", "pw", "secret", "api", "private", "access", "auth")
_WEAK_STARTS = (
    *("pass", "pwd", "secret", "token", "key", "cred", "auth", "api", "bearer", "access"),
    *("webhook", "signature", "contribsys"),
)
_WEAK = "|".join(_WEAK_STARTS)
_TAIL = r"""[\w.-]{0,40}["'`\])]{0,3}"""
_JOIN = (
    r"(?:\s{0,20}(?::?\s{0,2}[A-Za-z_?]{1,12}\s{0,2}=|\[\d{0,4}\]\s{0,3}=|:{0,3}=|=>|[=!]==?|\?=|"
    r"[.+]=|<-|:|,)\s{0,4}@?|[ \t]{1,5})"
)
_QUOTED = r"""(?P<q>["'`])(?P<value>(?:(?!(?P=q))[^\n]){4,300})(?P=q)"""
# Names of what looks like a secret and is none: digests, and numbers by which things are known.
_NOT = (
    r"(?!(?i:hash|sha-?\d|md5|checksum|digest|commit|public|uuid|guid|csrf|integrity|"
    r"id[\"']?\s{0,3}[:=]))"
)
_NAME = rf"(?i:{_WEAK})(?:{_NOT}[\w.-]){{0,40}}"

_USER = r"://[^\s:/@\"'<>`]{0,100}:(?P<value>[^\s/@\"'<>`]{3,200})@"
_URL_WITH_USER = rf"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.-]{{1,30}}{_USER}"

_RULES = (
    PatternRule(
        "pem",
        "private-key",
        r"(?i:-----BEGIN) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?!-----)[\s\S]){0,20000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        1.0,
        ("-----begin",),
        check=is_key_block,
        starts=True,
    ),
    # Of its own, so that a block without an end so far is told from one that has ended.
    PatternRule(
        "pem without end",
        "private-key",
        r"(?i:-----BEGIN) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:\s|\\n|\\r){1,8}[^\s-][^\n-]{7,100}){1,400}",
        1.0,
        ("-----begin",),
        check=is_key_block,
        starts=True,
    ),
    PatternRule(
        "putty",
        "private-key",
        r"PuTTY-User-Key-File-\d:[\s\S]{0,4000}?Private-Lines: \d{1,3}"
        r"(?:\r?\n[A-Za-z0-9+/=]{40,80}){0,200}(?:\r?\n[A-Za-z0-9+/=]{1,80}(?=\r?\n|$))?",
        1.0,
        ("putty-user-key-file-",),
        starts=True,
    ),
    PatternRule(
        "jwk",
        "private-key",
        r"\"kty\"[^{}]{0,2000}?\"(?:d|k)\"\s{0,3}:\s{0,3}\"(?P<value>[\w-]{22,})\"",
        1.0,
        ('"kty"',),
        starts=True,
    ),
    PatternRule(
        "jwt",
        "jwt",
        r"(?<![\w.])ey[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{2,8000}(?:\.[A-Za-z0-9_-]{0,8000}){0,3}",
        1.0,
        ("ey",),
        check=is_jwt,
        starts=True,
        run=13,
    ),
    PatternRule(
        "wrapped jwt",
        "jwt",
        r"(?<![A-Za-z0-9+/])ZXlK[A-Za-z0-9+/]{40,8000}={0,2}",
        1.0,
        ("zxlk",),
        check=is_wrapped_jwt,
        starts=True,
        run=44,
    ),
    # Damaged, cut or made up, and of the form all the same.
    PatternRule(
        "jwt form",
        "jwt",
        r"(?<![\w.])ey[\w-]{16,2000}\.ey[\w/\\-]{16,8000}\.(?:[\w/\\-]{10,8000}={0,2})?",
        0.7,
        ("ey",),
        check=is_written_out,
        starts=True,
        run=21,
    ),
    PatternRule(
        "github checksum",
        "github-token",
        r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36}(?![A-Za-z0-9])",
        1.0,
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        check=has_checksum,
        starts=True,
    ),
    PatternRule(
        "url",
        "url-password",
        rf"{_URL_WITH_USER}[\w.\[%{{$-]",
        0.95,
        ("://",),
        blanks=0,
        gate=_USER,
        check=is_password_of_url,
    ),
    # On a host of the public network even a plain word is a password that somebody set.
    PatternRule(
        "public url",
        "url-password",
        rf"{_URL_WITH_USER}(?![\w.-]{{0,100}}(?:example|internal|local|test|domain|your))"
        r"(?:[\w-]{1,63}\.){1,6}[a-z]{2,18}(?![\w.])",
        0.8,
        ("://",),
        blanks=0,
        gate=_USER,
        check=is_written_out,
    ),
    PatternRule(
        "netrc",
        "password",
        r"(?i:login)\s{1,8}[^\s\"']{2,80}\s{1,8}(?i:password)\s{1,4}(?P<value>[^\s\"'<>]{4,100})",
        0.8,
        ("login",),
        check=is_password_of_url,
        starts=True,
    ),
    PatternRule(
        "basic",
        "authorization",
        r"(?i:basic)\s{1,3}(?P<value>[A-Za-z0-9+/_-]{8,500}={0,2})",
        0.9,
        ("basic",),
        check=is_basic_credential,
        starts=True,
    ),
    PatternRule(
        "header",
        "authorization",
        r"(?i:bearer|authorization|x-api-key|api-token|api-key)[ =:\"']{1,4}"
        r"(?i:token |bearer |key )?(?P<value>[A-Za-z0-9+/_.~-]{11,2000}={0,2})",
        0.8,
        ("bearer", "authorization", "x-api-key", "api-token", "api-key"),
        check=is_opaque,
        starts=True,
    ),
    PatternRule(
        "curl",
        "password",
        r"(?i:curl\b)(?:[^\n]|\\\n){0,400}?\s(?:-u|--user)[ =]{0,3}"
        r"[\"']?(?P<value>[^\s\"':]{0,100}[\"']?:(?:[\"']?[^\s\"']{4,100}|(?=[\s\"']|$)))",
        0.9,
        ("curl",),
        check=is_user_and_password,
        starts=True,
    ),
    PatternRule(
        "strong quoted",
        "password",
        rf"(?i:{_STRONG}){_TAIL}{_JOIN}{_QUOTED}",
        0.7,
        _STRONG_STARTS,
        check=could_be_password,
        starts=True,
    ),
    PatternRule(
        "strong bare",
        "password",
        rf"(?i:{_STRONG}){_TAIL}\s{{0,4}}(?::{{0,3}}=|=>|=|:|\s(?:is|was)\b:?|\s)\s{{0,4}}"
        r"[\"'`]?(?P<value>(?:[^\s\"'`<>;&]|[;&](?![\w ]{1,30}=|\s|$)){6,200})",
        0.6,
        _STRONG_STARTS,
        check=is_strong,
        starts=True,
    ),
    PatternRule(
        "compared",
        "password",
        rf"(?P<q>[\"'])(?P<value>[^\"'\n]{{4,200}})(?P=q)\s{{0,3}}[!=]==?\s{{0,3}}"
        rf"[\w.$]{{0,40}}?(?i:{_STRONG})",
        0.7,
        ("==", "!="),
        check=could_be_password,
    ),
    PatternRule(
        "element",
        "password",
        rf"(?i:{_STRONG})[\w:-]{{0,30}}>\s{{0,40}}(?P<value>[^\s<>][^<>\n]{{2,200}}[^\s<>])"
        r"\s{0,40}</",
        0.7,
        _STRONG_STARTS,
        check=could_be_password,
        starts=True,
    ),
    PatternRule(
        "attribute",
        "password",
        rf"(?i:{_STRONG}){_TAIL}[^\n]{{0,6}}?\s{{0,20}}(?i:\"?value\"?)\s{{0,3}}[=:]\s{{0,3}}{_QUOTED}",
        0.7,
        _STRONG_STARTS,
        check=could_be_password,
        starts=True,
    ),
    PatternRule(
        "manifest",
        "credential",
        r"(?i:kind:\s{0,3}[\"']?secret)\b[\s\S]{0,1500}?\n\s{0,12}(?:data|stringData):"
        r"(?:\s{0,20}#[^\n]{0,300})?\s{0,20}[\w.-]{1,80}:\s{0,3}"
        r"(?P<value>[A-Za-z0-9+/]{8,4000}={0,2})",
        0.7,
        ("kind:",),
        starts=True,
    ),
    PatternRule(
        "manifest from below",
        "credential",
        r"(?:data|stringData):\s{0,20}[\w.-]{1,80}:\s{0,3}[\"']?(?P<value>[A-Za-z0-9+/]{8,4000}={0,2})[\"']?\s"
        r"[\s\S]{0,1500}?\b(?i:kind:\s{0,3}[\"']?secret)\b",
        0.7,
        ("data:", "stringdata:"),
        starts=True,
    ),
    PatternRule(
        "weak quoted",
        "credential",
        rf"{_NAME}[\"'`\])]{{0,3}}{_NOT}{_JOIN}(?P<q>[\"'`])(?P<value>[\w+/=.~:-]{{10,400}})(?P=q)",
        0.65,
        _WEAK_STARTS,
        check=is_opaque,
        starts=True,
        run=10,
    ),
    PatternRule(
        "weak bare",
        "credential",
        rf"{_NAME}(?:\s{{0,3}}(?::{{0,3}}=|:)\s{{0,3}}|>\s{{0,30}})(?P<value>[\w+/=.~:-]{{14,400}})(?![\w(\[])",
        0.65,
        _WEAK_STARTS,
        check=is_opaque,
        starts=True,
        run=14,
    ),
    PatternRule(
        "near",
        "credential",
        rf"(?i:{_WEAK})(?:{_NOT}[^\n]){{0,50}}?(?:\n\s{{0,20}})?(?<![\w/+.~-])"
        r"(?P<value>(?=[A-Za-z_+/.~-]{0,40}\d)[A-Za-z0-9_][A-Za-z0-9_+/.~-]{14,400}={0,3})",
        0.6,
        _WEAK_STARTS,
        check=looks_random,
        starts=True,
        run=15,
        mixed=True,
    ),
    PatternRule(
        "joined",
        "credential",
        # Not "access" at the end of the words of an address, which pages are numbered after.
        r"(?i:key|token|secret|private|(?<!\w-)access)[-_. ]{1,3}(?P<value>[A-Za-z0-9]{20,200}|"
        r"[A-Za-z0-9]{8}(?:-[A-Za-z0-9]{4}){3}-[A-Za-z0-9]{12})(?![\w/.-])",
        0.6,
        ("key", "token", "secret", "private", "access"),
        check=looks_random,
        starts=True,
        run=20,
        mixed=True,
    ),
    PatternRule(
        "literal",
        "high-entropy",
        r"(?P<q>[\"'])(?P<value>[A-Za-z0-9+/_-]{32,400}={0,3})(?P=q)",
        0.3,
        ('"', "'"),
        check=lambda value: looks_random(value) and not is_uuid(value),
        starts=True,
        run=32,
        mixed=True,
    ),
)
