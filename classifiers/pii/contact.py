"""Ways to reach a person or a machine: mail, telephone, handles, addresses on networks."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from guardrail.classifiers.pattern_rule import PatternRule
from guardrail.classifiers.pii import checksums as c
from guardrail.classifiers.pii.reserved import (
    is_fictional_number,
    is_reserved_address,
    is_reserved_domain,
)

# Mailboxes of a function: reported with a low score, as no one in particular reads them.
_ROLES = (
    "abuse|account|accounts|admin|billing|bugs|care|contact|customer[._-]?(?:care|services?|support)"
    "|careers|dpo|enquiries|events|feedback|git|hello|help|helpdesk|hr|info|inquiries|jobs|kundenbetreuung|kundenservice|legal|mail"
    "|marketing|media|no-?reply|office|orders|postmaster|press|privacy|sales|security|service|services|support"
    "|team|webmaster"
)
_ROLE = re.compile(rf"(?:{_ROLES})(?:[._-][\w.-]*)?@", re.IGNORECASE)
_MAILBOX = r"(?<![\w.+%-])[\w.+%'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-]|\.[^\W\d_])"


# Mailboxes of nobody, as forms and examples have them.
_NOBODY = re.compile(
    r"(?:[\w.-]{0,30}your[._-]?(?:first|last|user)?[._-]?(?:name|e?mail|address|id)?(?:[._-]?address)?|my[._-]?e?mail|example|someone|user(?:name)?|name"
    r"|first[._-]?(?:name)?[._-]?last[._-]?(?:name)?|(?:john|jane)[._-]?doe\d{0,3})@",
    re.IGNORECASE,
)


def _is_example(value: str) -> bool:
    return is_reserved_domain(value.rpartition("@")[2].lower())


def _is_role(value: str) -> bool:
    return (_ROLE.match(value) or _NOBODY.match(value)) is not None


def _mailbox(value: str) -> bool:
    return not (_is_example(value) or _is_role(value))


def _role_mailbox(value: str) -> bool:
    return not _is_example(value) and _is_role(value)


def _public_ip(value: str) -> bool:
    try:
        return not is_reserved_address(ipaddress.ip_address(value))
    except ValueError:
        return False


def _mac(value: str) -> bool:
    return len(set(value.lower()) - set(":-.")) > 2


# --- telephone numbers ------------------------------------------------------------------------

_TRUNK_REGIONS = ("GB", "DE", "FR", "IT", "AU", "NL", "BE", "CH", "AT", "SE", "IN", "JP", "ZA", "IE",
                  "NZ", "BR", "TR", "ID", "FI", "RO", "IL", "KR", "TH", "UA", "PH", "MY", "AR", "HR")  # fmt: skip
_PHONE = ("phone", "phone number", "telephone", "tel", "tel no", "call", "mobile", "cell", "cellphone",
          "fax", "whatsapp", "sms", "text me", "contact number", "contact", "reach", "dial", "hotline",
          "handy", "telefon", "telefono", "teléfono", "telefone", "téléphone", "portable", "celular",
          "móvil", "mobil", "puhelin", "telefoon", "numéro", "ring me", "my number")  # fmt: skip


# Regions whose numbers are taken without a country code, where they start with a 0 and are grouped.


# Kinds of numbers that belong to no person (phonenumbers.PhoneNumberType): toll-free, premium rate,
# shared cost, and those of companies that are the same everywhere.
_SERVICES = frozenset((3, 4, 5, 9))
_TOLL_FREE = re.compile(r"(?:00|\+)?1?8(?:00|33|44|55|66|77|88)\d{7}")


def _valid(number: str, regions: Iterable[str | None], *, possible: bool = False) -> bool:
    """Whether a number is given out in one of the regions, or only has a possible length there."""
    # Imported by the first candidate: it takes a tenth of a second.
    import phonenumbers

    if is_fictional_number(number):
        return False
    for region in regions:
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed) or (
            possible and phonenumbers.is_possible_number(parsed)
        ):
            return phonenumbers.number_type(parsed) not in _SERVICES
    return False


def _international(value: str) -> bool:
    number = value.strip()
    return _valid("+" + number[2:] if number.startswith("00") else number, (None,), possible=True)


def _north_american(value: str) -> bool:
    return _valid(value, ("US",), possible=True)


def _trunk(value: str) -> bool:
    return _valid(value, _TRUNK_REGIONS)


def _dialled(value: str) -> bool:
    """What stands beside a word for a telephone: 7 to 15 digits that are no date."""
    count = sum(char.isdecimal() for char in value)
    if not 7 <= count <= 15 or _DATE.fullmatch(value.strip()):
        return False
    if is_fictional_number(value):
        return False
    return not _TOLL_FREE.fullmatch("".join(char for char in value if char.isdecimal()))


_DATE = re.compile(
    r"(?:19|20)\d\d[-./ ]\d{1,2}[-./ ]\d{1,2}.*|\d{1,2}[-./ ]\d{1,2}[-./ ](?:19|20)\d\d.*"
)
_EXTENSION = r"(?: ?(?:x|ext\.?|extension|#) ?\d{1,6})?"

CONTACT = (
    PatternRule("email", "email_address", _MAILBOX, 0.95, needs=("@",), blanks=0, check=_mailbox),
    PatternRule("email_role", "email_address", _MAILBOX, 0.5, needs=("@",), blanks=0, check=_role_mailbox),
    PatternRule(
        "email_obfuscated", "email_address",
        r"(?<![\w.+-])[\w.+-]{1,64}(?: ?(?:\[dot\]|\(dot\)| dot ) ?[\w+-]{1,64}){0,3} ?(?:\[at\]|\(at\)|\{at\}| at ) ?[\w-]{1,63}(?: ?(?:\[dot\]|\(dot\)|\{dot\}| dot ) ?[\w-]{2,63}){1,4}(?!\w)",
        0.85, blanks=8, needs=("dot]", "dot)", "dot}", " dot "),
    ),
    PatternRule(
        "url", "url",
        r"(?i:\b(?:https?|ftp)://|\bwww\.)[^\s<>\"'`{}|\\^\[\]]{3,2000}(?<![.,;:!?)*_~])",
        0.6, needs=("http://", "https://", "ftp://", "www."), starts=True,
    ),
    PatternRule(
        "handle", "username", r"(?<![\w@./])@[A-Za-z_][\w.]{1,29}(?<!\.)(?!\w|[@(/])", 0,
        needs=("@",), starts=True, context=("twitter", "instagram", "tiktok", "telegram", "handle", "mastodon", "threads",
                               "snapchat", "follow", "username", "discord", "tweet", "dm"), context_score=0.7,
    ),
    PatternRule(
        "username", "username",
        r"(?i:\b(?:user ?name|user ?id|login(?: name)?|screen ?name|handle|gamertag|account name)(?: is|:| =|=)\s{0,3}[\"'`]?)(?P<value>(?=[^\s]{0,30}[\d_.-])[\w.@-]{3,40}(?<![.]))",
        0.7, needs=("user", "login", "screen", "handle", "gamertag", "account name"), starts=True,
    ),
    PatternRule(
        "phone_international", "phone_number",
        # Neither a sum nor a number with a decimal.
        r"(?<![\w+./])(?:\+(?! )|(?<![\w)] )\+|00)[ (]?[1-9](?:[ ().\-/]{0,2}\d){6,14}(?<!\.\d)"
        rf"{_EXTENSION}(?!\w|-\d|\.\d(?!\d))",
        0.9, digits=7, starts=True, back=3, check=_international,
    ),
    PatternRule(
        "phone_north_american", "phone_number",
        rf"(?<![\w.+/-])(?:1[ .-])?(?:\([2-9]\d{{2}}\) ?|[2-9]\d{{2}}([ .-]))[2-9]\d{{2}}[ .-]\d{{4}}{_EXTENSION}(?![\w/]|[-.]\d)",
        0.8, digits=10, starts=True, back=1, check=_north_american, context=_PHONE, context_score=0.9,
    ),
    PatternRule(
        "phone_trunk", "phone_number",
        r"(?<![\w.,+/-])(?<!\d[ ./-])\(?0\d{1,5}\)?(?:[ ./-]{1,3}\d{2,8}){1,5}(?![\w/]|[-.,]\d)", 0.75,
        digits=8, starts=True, back=1, check=_trunk, context=_PHONE, context_score=0.9,
    ),
    PatternRule(
        "phone_in_context", "phone_number",
        rf"(?<![\w.,+$€£/-])(?<!\d[ ./)-])(?<!\d\) )(?<!\d \()(?:\+ ?)?\(?\d(?:[ ().\-/]{{0,2}}\d){{6,14}}{_EXTENSION}(?![\w/%]|[-.,]\d)", 0,
        digits=7, starts=True, back=3, check=_dialled, context=_PHONE, context_score=0.75,
    ),
    PatternRule(
        "ipv4", "ip_address",
        r"(?<![\w.-])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w-]|\.\d)",
        0.8, digits=4, starts=True, check=_public_ip,
        context=("ip", "ip address", "ipv4", "host", "server", "client", "address"), context_score=0.85,
    ),
    PatternRule(
        "ipv6", "ip_address", r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.]\w|\w)",
        0.8, gate=r":[0-9A-Fa-f]{0,4}:", blanks=0, check=_public_ip,
    ),
    PatternRule(
        "mac", "mac_address", r"(?<![\w:.-])[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}(?![\w:-])",
        0.85, gate=r":[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:", blanks=0, check=_mac,
    ),
    PatternRule(
        "mac_dashes", "mac_address", r"(?<![\w:.-])[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}(?![\w:-])",
        0.85, gate=r"-[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-", blanks=0, check=_mac,
    ),
    PatternRule(
        "imei", "device_id", r"(?<![\w-])\d{2}[- ]?\d{6}[- ]?\d{6}[- ]?\d(?![\w-])", 0,
        digits=15, starts=True, check=c.luhn, context=("imei", "device"), context_score=0.99,
    ),
)  # fmt: skip
