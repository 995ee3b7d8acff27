"""Values that belong to no one: set aside for fiction and documents by those who give them out.

They look like personal data and are none. The detector does not report them; where a corpus holds
one, it is found as text or as a record.
"""

from __future__ import annotations

import ipaddress
import re

# RFC 2606 and 6761; and domains that stand for one's own in every manual.
_DOMAIN_ENDS = (".example", ".test", ".invalid", ".localhost", ".local")
_DOMAINS = ("example", "domain", "yourdomain", "test", "company", "companyname", "yourcompany")

# Addresses of every home network and of a machine itself (RFC 1918, 3927, 4193), and of documents
# (RFC 5737, 3849).
_NETWORKS = tuple(
    map(
        ipaddress.ip_network,
        ("0.0.0.0/8", "10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.2.0/24", "192.168.0.0/16",
         "198.51.100.0/24", "203.0.113.0/24", "255.0.0.0/8", "::/96", "fe80::/10", "fc00::/7", "2001:db8::/32"),
    )
)  # fmt: skip

# Telephone numbers for fiction: 555-0100 to 555-0199 in every area of North America (NANPA, ATIS
# 0300115); "Telephone numbers for drama use" of Britain (Ofcom); numbers "for use in TV shows, films
# and creative works" of Australia (ACMA); those for productions of France (ARCEP, decision 2018-0881)
# and Germany (Bundesnetzagentur, Mitteilung 148/2021).
_FICTION = re.compile(
    r"(?:1?[2-9]\d\d|001[2-9]\d\d)?55501\d\d"
    r"|(?:0|(?:00)?440?)(?:11[3-8]4960|1[2-6]14960|1914980|2079460|2896496|2920180|1632960|7700900|3069990)\d{3}"
    r"|(?:0|(?:00)?610?)(?:[2378](?:5550|7010)\d{4}|491570(?:006|110|15[6-9]))"
    r"|(?:0|(?:00)?330?)(?:19900|26191|35301|46571|53649|63998)\d{4}"
    r"|(?:0|(?:00)?490?)(?:(?:3023125|6990009|4066969|2214710|8999998)\d{3}|(?:17139200|176040690)\d\d)"
)

# No area of North America is 555, as it is written there; and digits in a row.
_PLACEHOLDER = re.compile(
    r"(?:\+?1[ .-]?)?(?:\(555\) ?|555-)\d{3}[-.]\d{4}|\+1[ .-]?555[ .-]?\d{3}[ .-]?\d{4}"
    r"|\+?1?[ .-]?\(?(?:123\)?[ .-]?456[ .-]?7890|012\)?[ .-]?345[ .-]?6789|098\)?[ .-]?765[ .-]?4321)"
)

# Postal codes 20200 to 20599 are those of the government of the United States (USPS): nobody lives
# there.
_GOVERNMENT = re.compile(r"\bD\.?C\.?,?\s{1,3}20[2-5]\d\d\b")

# Numbers of the Social Security Administration that were printed on specimens (078-05-1120, which
# thousands then used; 219-09-9999), and what forms are filled in with, whatever area is put before:
# one real number in a million ends so.
_SPECIMEN_SSNS = ("078051120", "219099999")
_SPECIMEN_SSN_END = "456789"


def is_reserved_domain(domain: str) -> bool:
    """Whether nobody's mail goes to a domain, in lower case."""
    name, _, suffix = domain.partition(".")
    return (
        # A part of somebody's own domain (test.acme.com) may have mail.
        (name in _DOMAINS and all(len(label) <= 3 for label in suffix.split(".")[:-1]))
        or domain.endswith(_DOMAIN_ENDS)
        or "example" in suffix.split(".")
    )


def is_reserved_address(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address of a network is nobody's in particular."""
    return any(address in network for network in _NETWORKS if network.version == address.version)


def is_fictional_number(number: str) -> bool:
    """Whether a telephone number was set aside for fiction, however it is written, or is what
    forms are filled in with."""
    digits = "".join(filter(str.isdecimal, number))
    return (_FICTION.fullmatch(digits) or _PLACEHOLDER.match(number.strip())) is not None


def is_government(address: str) -> bool:
    """Whether a postal address is one of the government of the United States."""
    return _GOVERNMENT.search(address) is not None


def is_specimen_ssn(digits: str) -> bool:
    """Whether nine digits are those of a specimen."""
    return digits in _SPECIMEN_SSNS or digits.endswith(_SPECIMEN_SSN_END)
