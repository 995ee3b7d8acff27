"""Check digits of identifiers. Every function takes a value as it was written, separators included,
and says whether its check digits are right; what is no digit is passed over where the identifier
has digits only. Sources are named where an identifier is not described by a common algorithm."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from hashlib import sha256

from guardrail.classifiers.pii.reserved import is_specimen_ssn

_SEPARATORS = re.compile(r"[\s./-]+")


def digits(value: str) -> list[int]:
    """The decimal digits of a value, of any script."""
    return [int(char) for char in value if char.isdecimal()]


def compact(value: str) -> str:
    """A value in capitals, without blanks, dots, slashes and hyphens."""
    return _SEPARATORS.sub("", value).upper()


def weighted(numbers: Sequence[int], weights: Sequence[int]) -> int:
    """The sum of numbers times weights."""
    return sum(number * weight for number, weight in zip(numbers, weights, strict=True))


def real_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day, between 1850 and 2100."""
    try:
        date(year, month, day)
    except ValueError:
        return False
    return 1850 <= year <= 2100


def _dated(year: int, month: int, day: int) -> bool:
    """Whether a year of two digits, a month and a day are a date in some century."""
    return real_date(2000 + year, month, day) or real_date(1900 + year, month, day)


def varied(value: str) -> bool:
    """Whether a value has at least three different digits: 0000 and 1111 are placeholders."""
    return len(set(digits(value))) >= 3


# --- common algorithms ------------------------------------------------------------------------


def luhn(value: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    total = 0
    for place, number in enumerate(reversed(digits(value))):
        doubled = number * 2 if place % 2 else number
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


_D5 = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_TURN = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def verhoeff(value: str) -> bool:
    """Verhoeff 1969: products in the dihedral group of the pentagon."""
    turned = list(range(10))
    check = 0
    for number in reversed(digits(value)):
        check = _D5[check][turned[number]]
        turned = [_TURN[entry] for entry in turned]
    return check == 0


def mod_97_10(value: str) -> bool:
    """ISO 7064, MOD 97-10, over digits and letters (A is 10): LEI."""
    return int("".join(str(int(char, 36)) for char in compact(value))) % 97 == 1


def mod_11_10(value: str) -> bool:
    """ISO 7064, MOD 11,10: German tax numbers, Croatian OIB."""
    product = 10
    *numbers, check = digits(value)
    for number in numbers:
        product = ((number + product - 1) % 10 + 1) * 2 % 11
    return (11 - product) % 10 == check


def ean(value: str) -> bool:
    """The check digit of GS1 numbers (EAN-13)."""
    numbers = digits(value)[::-1]
    return (sum(numbers[::2]) + 3 * sum(numbers[1::2])) % 10 == 0


# --- money ------------------------------------------------------------------------------------

# Lengths of the IBAN by country (SWIFT, IBAN Registry).
_IBAN = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FK", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU", "YE"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}


def iban(value: str) -> bool:
    """ISO 13616: the country's length, and MOD 97-10 with the first four characters moved last."""
    number = compact(value)
    return _IBAN.get(number[:2]) == len(number) and mod_97_10(number[4:] + number[:4])


def routing_number(value: str) -> bool:
    """Routing numbers of US banks (ABA)."""
    numbers = digits(value)
    first = numbers[0] * 10 + numbers[1]
    ranges = 1 <= first <= 12 or 21 <= first <= 32 or 61 <= first <= 72 or first == 80
    return ranges and weighted(numbers, (3, 7, 1) * 3) % 10 == 0


_BASE58 = {
    char: value
    for value, char in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
}


def base58_check(value: str) -> bool:
    """Base58Check: the last four bytes are those of a double SHA-256 (Bitcoin, Litecoin, Tron)."""
    number = 0
    for char in value:
        number = number * 58 + _BASE58[char]
    size = (number.bit_length() + 7) // 8
    zeros = len(value) - len(value.lstrip("1"))
    data = bytes(zeros) + number.to_bytes(size, "big")
    return len(data) == 25 and sha256(sha256(data[:-4]).digest()).digest()[:4] == data[-4:]


_BECH32 = {char: value for value, char in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}


def bech32(value: str) -> bool:
    """Bech32 and Bech32m (BIP 173 and 350): the addresses that start with bc1, tb1 or ltc1."""
    prefix, _, data = value.lower().partition("1")
    symbols = [ord(char) >> 5 for char in prefix] + [0] + [ord(char) & 31 for char in prefix]
    symbols += [_BECH32.get(char, 0) for char in data]
    check = 1
    for symbol in symbols:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ symbol
        for bit, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            if top >> bit & 1:
                check ^= generator
    return check in (1, 0x2BC830A3)


# --- vehicles, devices, health ----------------------------------------------------------------

_VIN = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (*range(1, 9), *range(1, 6), 7, 9, *range(2, 10)), strict=True)
)


def vin(value: str) -> bool:
    """49 CFR 565: the ninth place of a vehicle's number checks the others (North America)."""
    number = value.upper()
    values = [int(char) if char.isdecimal() else _VIN[char] for char in number]
    remainder = weighted(values, (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return number[8] == ("X" if remainder == 10 else str(remainder)) and varied(value)


def npi(value: str) -> bool:
    """US National Provider Identifier: Luhn behind the prefix 80840."""
    return luhn("80840" + "".join(map(str, digits(value))))


def dea(value: str) -> bool:
    """US DEA registration of a prescriber."""
    numbers = digits(value)
    total = sum(numbers[0:6:2]) + 2 * sum(numbers[1:6:2])
    return total % 10 == numbers[6]


# --- national and tax numbers -----------------------------------------------------------------


def us_ssn(value: str) -> bool:
    """Areas, groups and serials that are given out (SSA); no well-known specimen."""
    numbers = "".join(map(str, digits(value)))
    area, group, serial = numbers[:3], numbers[3:5], numbers[5:]
    if area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000":
        return False
    return not is_specimen_ssn(numbers) and varied(numbers)


def us_itin(value: str) -> bool:
    numbers = digits(value)
    group = numbers[3] * 10 + numbers[4]
    return numbers[0] == 9 and (50 <= group <= 65 or (70 <= group <= 99 and group not in (89, 93)))


def uk_nhs(value: str) -> bool:
    numbers = digits(value)
    return varied(value) and weighted(numbers, (*range(10, 1, -1), 1)) % 11 == 0


def ie_pps(value: str) -> bool:
    number = compact(value)
    total = weighted(digits(number), range(8, 1, -1))
    if len(number) == 9 and number[8] != "W":
        total += 9 * (ord(number[8]) - 64)
    return number[7] == "WABCDEFGHIJKLMNOPQRSTUV"[total % 23]


def de_tax_id(value: str) -> bool:
    """Steueridentifikationsnummer: among the first ten digits one stands two or three times."""
    numbers = digits(value)
    repeated = [count for count in map(numbers[:10].count, range(10)) if count > 1]
    return numbers[0] > 0 and len(repeated) == 1 and repeated[0] <= 3 and mod_11_10(value)


def de_social(value: str) -> bool:
    """Versicherungsnummer of the German pension insurance."""
    number = compact(value)
    spread = digits(number[:8]) + digits(f"{ord(number[8]) - 64:02d}") + digits(number[9:])
    *body, check = spread
    products = (a * b for a, b in zip(body, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    day = int(number[2:4]) % 50 or 1
    return sum(p // 10 + p % 10 for p in products) % 10 == check and _dated(
        int(number[6:8]), int(number[4:6]), day
    )


def fr_nir(value: str) -> bool:
    """Numéro de sécurité sociale; Corsican departments count as 19 and 18."""
    number = compact(value)
    body = number[:13].replace("2A", "19").replace("2B", "18")
    return body.isdecimal() and 97 - int(body) % 97 == int(number[13:])


def es_dni(value: str) -> bool:
    """DNI and NIE."""
    number = compact(value)
    body = str("XYZ".find(number[0])) + number[1:-1] if number[0] in "XYZ" else number[:-1]
    return number[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(body) % 23]


_CF_ODD = (
    1,
    0,
    5,
    7,
    9,
    13,
    15,
    17,
    19,
    21,
    2,
    4,
    18,
    20,
    11,
    3,
    6,
    8,
    12,
    14,
    16,
    10,
    22,
    25,
    24,
    23,
)


def it_fiscal_code(value: str) -> bool:
    """Codice fiscale."""
    number = compact(value)
    places = [int(char) if char.isdecimal() else ord(char) - 65 for char in number[:15]]
    total = sum(_CF_ODD[place] for place in places[::2]) + sum(places[1::2])
    return number[15] == chr(65 + total % 26)


def pt_nif(value: str) -> bool:
    numbers = digits(value)
    return (11 - weighted(numbers[:8], range(9, 1, -1)) % 11) % 11 % 10 == numbers[8]


def nl_bsn(value: str) -> bool:
    """The test of eleven."""
    numbers = digits(value)
    return varied(value) and weighted(numbers, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def be_national(value: str) -> bool:
    """Rijksregisternummer; who was born from 2000 on counts with a 2 in front."""
    number = "".join(map(str, digits(value)))
    body, check = number[:9], int(number[9:])
    return int(number[2:4]) % 20 <= 12 and check in (
        97 - int(body) % 97,
        97 - int("2" + body) % 97,
    )


def ch_ahv(value: str) -> bool:
    return digits(value)[:3] == [7, 5, 6] and ean(value)


def at_svnr(value: str) -> bool:
    numbers = digits(value)
    check = weighted(numbers[:3] + numbers[4:], (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11
    return check == numbers[3] and numbers[0] > 0


def se_personal(value: str) -> bool:
    """Personnummer and samordningsnummer, whose days are 60 higher."""
    numbers = digits(value)[-10:]
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    return _dated(year, month, day - 60 if day > 60 else day) and luhn("".join(map(str, numbers)))


def no_birth_number(value: str) -> bool:
    numbers = digits(value)
    day, month, year = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    first = weighted(numbers[:10], (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11
    second = weighted(numbers, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11
    return first == second == 0 and _dated(year, month % 40, day % 40)


def dk_cpr(value: str) -> bool:
    """The date alone: since 2007 numbers are given out that fail the old checksum."""
    numbers = digits(value)
    day, month, year = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    return _dated(year, month, day)


def fi_personal(value: str) -> bool:
    """Henkilötunnus."""
    number = value.upper()
    body = int(number[:6] + number[7:10])
    dated = _dated(int(number[4:6]), int(number[2:4]), int(number[:2]))
    return dated and number[10] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[body % 31]


def is_kennitala(value: str) -> bool:
    numbers = digits(value)
    day, month, year = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    valid = weighted(numbers[:9], (3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0
    return valid and numbers[9] in (8, 9, 0) and _dated(year, month, day % 40)


def pl_pesel(value: str) -> bool:
    numbers = digits(value)
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    valid = weighted(numbers, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
    return valid and _dated(year, month % 20, day)


def pl_nip(value: str) -> bool:
    numbers = digits(value)
    return weighted(numbers[:9], (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == numbers[9] and varied(value)


def cz_birth_number(value: str) -> bool:
    """Rodné číslo, Czech and Slovak, of ten digits."""
    numbers = digits(value)
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    number = int("".join(map(str, numbers)))
    valid = number % 11 == 0 or (number // 10 % 11 == 10 and numbers[9] == 0)
    return valid and _dated(year, month % 50 % 20, day)


def ro_cnp(value: str) -> bool:
    numbers = digits(value)
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (1, 3, 5))
    check = weighted(numbers[:12], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (
        numbers[0] > 0 and (1 if check == 10 else check) == numbers[12] and _dated(year, month, day)
    )


def bg_egn(value: str) -> bool:
    numbers = digits(value)
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    check = weighted(numbers[:9], (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return check == numbers[9] and _dated(year, month % 20, day)


def emso(value: str) -> bool:
    """JMBG and EMŠO, of the countries that were Yugoslavia."""
    numbers = digits(value)
    day, month = numbers[0] * 10 + numbers[1], numbers[2] * 10 + numbers[3]
    year = numbers[4] * 100 + numbers[5] * 10 + numbers[6]
    check = (11 - weighted(numbers[:12], (7, 6, 5, 4, 3, 2) * 2) % 11) % 11 % 10
    return check == numbers[12] and real_date(year + (1000 if year > 800 else 2000), month, day)


def baltic_code(value: str) -> bool:
    """Isikukood and asmens kodas, Estonian and Lithuanian."""
    numbers = digits(value)
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (1, 3, 5))
    check = weighted(numbers[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(numbers[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return 1 <= numbers[0] <= 8 and check == numbers[10] and _dated(year, month, day)


def lv_code(value: str) -> bool:
    numbers = digits(value)
    if numbers[0] == 3 and numbers[1] == 2:  # given out since 2017, without a date
        return True
    day, month, year = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    check = (1 + weighted(numbers[:10], (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))) % 11 % 10
    return check == numbers[10] and _dated(year, month, day)


def gr_amka(value: str) -> bool:
    numbers = digits(value)
    day, month, year = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    return _dated(year, month, day) and luhn(value)


def tr_identity(value: str) -> bool:
    numbers = digits(value)
    tenth = (7 * sum(numbers[0:9:2]) - sum(numbers[1:8:2])) % 10
    return numbers[0] > 0 and numbers[9] == tenth and sum(numbers[:10]) % 10 == numbers[10]


def za_identity(value: str) -> bool:
    numbers = digits(value)
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    return _dated(year, month, day) and numbers[10] < 2 and luhn(value)


def in_aadhaar(value: str) -> bool:
    return digits(value)[0] > 1 and varied(value) and verhoeff(value)


def br_cpf(value: str) -> bool:
    numbers = digits(value)
    first = weighted(numbers[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = weighted(numbers[:10], range(11, 1, -1)) * 10 % 11 % 10
    return numbers[9:] == [first, second] and varied(value)


def br_cnpj(value: str) -> bool:
    numbers = digits(value)
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    first = weighted(numbers[:12], weights[1:])
    second = weighted(numbers[:13], weights)
    return numbers[12:] == [0 if s % 11 < 2 else 11 - s % 11 for s in (first, second)]


def ar_cuit(value: str) -> bool:
    numbers = digits(value)
    check = 11 - weighted(numbers[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return numbers[10] == {11: 0, 10: 9}.get(check, check) and varied(value)


def cl_rut(value: str) -> bool:
    number = compact(value)
    total = sum(int(char) * (2 + place % 6) for place, char in enumerate(reversed(number[:-1])))
    return number[-1] == "0K987654321"[total % 11]


def mx_curp(value: str) -> bool:
    symbols = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    number = value.upper()
    total = weighted([symbols.find(char) for char in number[:17]], range(18, 1, -1))
    return int(number[17]) == -total % 10 and _dated(
        int(number[4:6]), int(number[6:8]), int(number[8:10])
    )


def cn_identity(value: str) -> bool:
    """GB 11643: ISO 7064 MOD 11-2, a date of birth, and a province."""
    number = value.upper()
    numbers = digits(number[:17])
    check = "10X98765432"[weighted(numbers, [pow(2, 17 - i, 11) for i in range(17)]) % 11]
    dated = real_date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    return 1 <= numbers[0] <= 8 and dated and number[17] == check


def hk_identity(value: str) -> bool:
    number = re.sub(r"[()\s]", "", value.upper()).rjust(9)
    values = [
        36 if char == " " else 10 if place == 8 and char == "A" else int(char, 36)
        for place, char in enumerate(number)
    ]
    return weighted(values, range(9, 0, -1)) % 11 == 0


def tw_identity(value: str) -> bool:
    number = value.upper()
    area = "ABCDEFGHJKLMNPQRSTUVXYWZIO".find(number[0]) + 10
    return (
        weighted([area // 10, area % 10, *digits(number[1:])], (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1))
        % 10
        == 0
    )


def kr_resident(value: str) -> bool:
    """The date and the century alone: numbers given out since 2020 carry no check digit."""
    numbers = digits(value)
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    return numbers[6] in range(1, 9) and _dated(year, month, day)


def jp_my_number(value: str) -> bool:
    numbers = digits(value)
    remainder = weighted(numbers[:11], (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return numbers[11] == (0 if remainder <= 1 else 11 - remainder) and varied(value)


def sg_nric(value: str) -> bool:
    number = value.upper()
    shift = {"S": 0, "F": 0, "T": 4, "G": 4, "M": 3}[number[0]]
    remainder = (weighted(digits(number), (2, 7, 6, 5, 4, 3, 2)) + shift) % 11
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}
    table = letters.get(number[0], "XWUTRQPNMLK")
    return number[8] == (table[10 - remainder] if number[0] == "M" else table[remainder])


def my_nric(value: str) -> bool:
    """The date alone; the number carries no check digit."""
    numbers = digits(value)
    year, month, day = (numbers[i] * 10 + numbers[i + 1] for i in (0, 2, 4))
    return _dated(year, month, day)


def th_identity(value: str) -> bool:
    numbers = digits(value)
    return (11 - weighted(numbers[:12], range(13, 1, -1)) % 11) % 10 == numbers[12] and varied(
        value
    )


def il_identity(value: str) -> bool:
    return varied(value) and luhn(value)


def au_tfn(value: str) -> bool:
    numbers = digits(value)
    return varied(value) and weighted(numbers, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def au_medicare(value: str) -> bool:
    numbers = digits(value)
    check = weighted(numbers[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10
    return 2 <= numbers[0] <= 6 and check == numbers[8]


def au_abn(value: str) -> bool:
    first, *rest = digits(value)
    return weighted([first - 1, *rest], (10, *range(1, 20, 2))) % 89 == 0


def nz_ird(value: str) -> bool:
    numbers = [0, *digits(value)][-9:]
    check = -weighted(numbers[:8], (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    if check == 10:
        check = -weighted(numbers[:8], (7, 4, 3, 2, 5, 2, 7, 6)) % 11
    return check == numbers[8]


def ru_inn(value: str) -> bool:
    """ИНН of ten (companies) or twelve digits (persons)."""
    numbers = digits(value)
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    if len(numbers) == 10:
        return weighted(numbers[:9], weights[2:]) % 11 % 10 == numbers[9]
    first = weighted(numbers[:10], weights[1:]) % 11 % 10
    second = weighted(numbers[:11], weights) % 11 % 10
    return numbers[10:] == [first, second]


def ru_snils(value: str) -> bool:
    numbers = digits(value)
    total = weighted(numbers[:9], range(9, 0, -1)) % 101 % 100
    return varied(value) and total == numbers[9] * 10 + numbers[10]


def ua_tax(value: str) -> bool:
    numbers = digits(value)
    return weighted(numbers[:9], (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == numbers[9]


def hr_oib(value: str) -> bool:
    return varied(value) and mod_11_10(value)
