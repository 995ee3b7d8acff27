"""Fills the templates of make_sample.py with invented names, sums and dates."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from faker import Faker

EPOCH = datetime(2024, 1, 8, 8, 0)

PROJECTS = (
    "Project Tin Lantern",
    "Project Quiet Harbour",
    "Project Ninth Orchard",
    "Project Copper Thistle",
    "Project Salt Meridian",
    "Project Hollow Reed",
)
PRODUCTS = ("Ferrovane", "Brightlock", "Paxilo", "Cordelay", "Nimbrel", "Tessaline", "Vantero")
ROLES = ("plant controller", "senior buyer", "test engineer", "head of field service", "data clerk")
JOBS = ("welder", "primary school teacher", "lorry driver", "baker", "bookkeeper", "paramedic")
MONTHS = ("January", "March", "April", "June", "August", "September", "November")
CALENDAR = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
WORDS = ("amber", "delta", "finch", "granite", "juniper", "kestrel", "larch", "ochre", "quartz")
# Slots that stand for something else each time; all others keep their value in a document.
VARYING = ("small", "month", "amount", "percent")


class Writer:
    """Fills templates for one document."""

    def __init__(self, fake: Faker, seed: int, kind: str, number: int) -> None:
        self.random = random.Random(f"{seed}/{kind}/{number}")
        self.fake = fake
        self.fake.seed_instance(f"{seed}/{kind}/{number}")
        self.facts: dict[str, str] = {}
        self._choices: dict[str, str] = {}

    def prose(self, template: str) -> str:
        chosen = re.sub(r"<([^<>]*)>", lambda m: self.random.choice(m[1].split("|")), template)
        return re.sub(r"\{(\w+)\}", lambda m: self.fact(m[1]), chosen)

    def code(self, template: str) -> str:
        """As `prose`, but the same alternatives are decided once in a file: they may be names."""
        chosen = re.sub("«([^«»]*)»", lambda m: self._choice(m[1]), template)
        return re.sub(r"@(\w+)@", lambda m: self.fact(m[1]), chosen)

    def some(self, pool: Sequence[str], fewest: int, most: int) -> list[str]:
        """Some of the templates, filled, in the order in which they stand."""
        count = min(len(pool), self.random.randint(fewest, most))
        picked = sorted(self.random.sample(range(len(pool)), count))
        return [self.prose(pool[index]) for index in picked]

    def one(self, pool: Sequence[str]) -> str:
        return self.prose(self.random.choice(pool))

    def day(self) -> datetime:
        return EPOCH + timedelta(days=self.random.randrange(700))

    def whole(self, low: int, high: int) -> str:
        return str(self.random.randint(low, high))

    def decimal(self, low: float, high: float) -> str:
        return f"{self.random.uniform(low, high):.1f}"

    def fact(self, slot: str) -> str:
        if slot in VARYING:
            return self._invent(slot)
        if slot not in self.facts:
            base = slot.rstrip("0123456789")
            taken = [value for name, value in self.facts.items() if name.startswith(base)]
            value = self._invent(slot)
            for _ in range(20):
                if value not in taken:
                    break
                value = self._invent(slot)
            self.facts[slot] = value
        return self.facts[slot]

    def _choice(self, alternatives: str) -> str:
        if alternatives not in self._choices:
            self._choices[alternatives] = self.random.choice(alternatives.split("|"))
        return self._choices[alternatives]

    def _invent(self, slot: str) -> str:
        base = slot.rstrip("0123456789")
        if base in ("first", "last"):
            given, _, family = self.fact(slot.replace(base, "person")).partition(" ")
            return given if base == "first" else family
        return SLOTS[slot if slot in SLOTS else base](self)


def person(writer: Writer) -> str:
    return f"{writer.fake.first_name()} {writer.fake.last_name()}"


def written_date(moment: datetime) -> str:
    return f"{moment.day} {CALENDAR[moment.month - 1]} {moment.year}"


SLOTS: dict[str, Callable[[Writer], str]] = {
    "age": lambda w: w.whole(19, 88),
    "amount": lambda w: f"{w.random.randint(12, 980) * 1000 + w.random.randint(0, 999):,} euros",
    "birth": lambda w: written_date(EPOCH - timedelta(days=w.random.randint(7000, 32000))),
    "cholesterol": lambda w: w.decimal(5.1, 8.9),
    "city": lambda w: w.fake.city(),
    "code": lambda w: f"{w.random.choice('EFKQ')}-{w.random.randint(1000, 9999)}",
    "company": lambda w: w.fake.company(),
    "creatinine": lambda w: w.decimal(0.7, 1.9),
    "date": lambda w: written_date(w.day()),
    "day": lambda w: w.random.choice(DAYS),
    "degrees": lambda w: w.whole(25, 70),
    "diastolic": lambda w: w.whole(84, 108),
    "haemoglobin": lambda w: w.decimal(9.4, 12.8),
    "hba": lambda w: w.decimal(6.4, 10.9),
    "host": lambda w: f"{w.random.choice(WORDS)}-{w.random.randint(10, 99)}.intranet.example",
    "insurance": lambda w: w.fake.bothify("?###-####-##", letters="ABCDEFGH"),
    "intranet": lambda w: "@mail.intranet.example",
    "job": lambda w: w.random.choice(JOBS),
    "milligrams": lambda w: w.whole(20, 160),
    "month": lambda w: w.random.choice(MONTHS),
    "number": lambda w: w.whole(1021, 98760),
    "ordinal": lambda w: w.random.choice(("second", "third", "fourth")),
    "patient": lambda w: w.fact("person1"),
    "peak": lambda w: w.whole(210, 430),
    "percent": lambda w: w.decimal(1.1, 34.9),
    "person": person,
    "phone": lambda w: w.fake.numerify("555-01##-%##"),
    "phq": lambda w: w.whole(11, 24),
    "potassium": lambda w: w.decimal(3.4, 5.2),
    "power": lambda w: w.whole(3, 5),
    "product": lambda w: w.random.choice(PRODUCTS),
    "project": lambda w: w.random.choice(PROJECTS),
    "pulse": lambda w: w.whole(54, 104),
    "record": lambda w: w.fake.numerify("PR-%####-%##"),
    "role": lambda w: w.random.choice(ROLES),
    "room": lambda w: f"{w.random.randint(0, 4)}.{w.random.randint(10, 48)}",
    "saturation": lambda w: w.whole(90, 98),
    "sender": lambda w: w.fact("person9"),
    "senderfirst": lambda w: w.fact("first9"),
    "small": lambda w: w.whole(2, 9),
    "street": lambda w: w.fake.street_address(),
    "systolic": lambda w: w.whole(142, 188),
    "time": lambda w: f"{w.random.randint(6, 19)}:{w.random.choice(('05', '20', '35', '50'))}",
    "week": lambda w: w.whole(9, 36),
    "weight": lambda w: w.whole(2450, 4310),
    "word": lambda w: w.random.choice(WORDS),
    # A full name goes before the bare one: these are counts of days or rows, shares, years of age.
    "number2": lambda w: w.whole(11, 96),
    "percent3": lambda w: w.random.choice(("99.5", "99.8", "99.9", "99.95")),
    "age2": lambda w: w.whole(48, 69),
}
