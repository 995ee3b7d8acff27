"""Canonical text: what may change without changing it, and that offsets lead back exactly."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrail.findings import Span
from guardrail.text import STRAY, canonical_units, canonicalise
from tests.cases.disguises import DISGUISES
from tests.cases.scripts import SPELLED
from tests.cases.scripts import WAYS as SCRIPT_WAYS

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=80)
PROSE = st.text(st.sampled_from("abcdefghijklmnopqrstuvwxyz ABCXYZ 0123456789 .,éß"), max_size=80)


def form(text: str) -> bytes:
    return canonical_units(text)[0].tobytes()


# --- invariances -------------------------------------------------------------------------------


@pytest.mark.parametrize("change", DISGUISES.values(), ids=DISGUISES.keys())
@settings(max_examples=60)
@given(PROSE)
def test_what_is_invisible_or_alike_changes_nothing(
    change: Callable[[str], str], text: str
) -> None:
    assert form(change(text)) == form(text)


@given(ANY_TEXT)
def test_case_changes_nothing_in_any_script_where_case_is_reversible(text: str) -> None:
    for char in text:
        for other in (char.upper(), char.lower(), char.title()):
            if other.casefold() == char.casefold():
                assert form(other) == form(char), ascii(char)


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_all_four_normal_forms_are_one(text: str) -> None:
    for normal in ("NFC", "NFD", "NFKC", "NFKD"):
        assert form(unicodedata.normalize(normal, text)) == form(text)


SENTENCES = {
    "Arabic": "أعلنت الإدارة أنّ مكتبة المدينة ستفتح أبوابها يوم 12 أيلول في كل مدرسة كبرى",
    "German": "Die Straße führt über die Brücke, bevor man die Mühle von Köln sieht.",
    "Hindi": "क़ानून की किताब पढ़कर उसने 12 पृष्ठ लिखे और बड़े शहर को चला गया।",
    "Japanese": "ことしの夏、北の島でサクラの木が三本も見つかった。",
    "Korean": "지난해 여름 북쪽 섬에서 벚나무 세 그루가 발견되었다.",
    "Russian": "Ещё весной ёлку посадили у старого дома на краю села.",
    "Thai": "ร้านหนังสือเปิดเวลา 9 โมงเช้าทุกวันจันทร์",
    "Turkish": "Işıklı çarşının girişinde iyi bir İstanbul haritası asılıydı.",
}
SAME_IN_SCRIPT = [
    (name, way, text)
    for name, text in SENTENCES.items()
    for way, (pattern, change) in SCRIPT_WAYS.items()
    if re.search(pattern, text) and change(text) != text and way not in SPELLED
]


@pytest.mark.parametrize(("name", "way", "text"), SAME_IN_SCRIPT)
def test_what_one_script_writes_in_several_ways_is_one(name: str, way: str, text: str) -> None:
    assert form(SCRIPT_WAYS[way][1](text)) == form(text)


def test_every_way_of_a_script_is_tried() -> None:
    assert {way for _, way, _ in SAME_IN_SCRIPT} | SPELLED == set(SCRIPT_WAYS)


# --- what must stay apart ----------------------------------------------------------------------


@given(st.text("0123456789", max_size=20), st.text("0123456789", max_size=20))
def test_different_numbers_stay_different(one: str, other: str) -> None:
    assert (form(one) == form(other)) == (one == other)


def test_numbers_of_all_scripts_are_the_same_numbers() -> None:
    for digits in ("٠١٢٣٤٥٦٧٨٩", "०१२३४५६७८९", "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "０１２３４５６７８９", "⓪①②③④⑤⑥⑦⑧⑨"):
        assert form(digits) == form("0123456789")


@pytest.mark.parametrize(
    ("script", "letters"),
    [
        ("Greek", "αβγδεζηθικλμνξοπρστυφχψω"),
        ("Cyrillic", "абвгдежзийклмнопрстуфхцчшщъыьэюя"),
        ("Hebrew", "אבגדהוזחטיכלמנסעפצקרשת"),
        ("Arabic", "ابتثجحخدذرزسشصضطظعغفقكلمنهوي"),
        ("Devanagari", "अआइईउऊएऐओऔकखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह"),
        ("Thai", "กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ"),
        ("Georgian", "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ"),
        (
            "kana",
            "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろ",
        ),
    ],
)
def test_letters_of_a_script_keep_most_of_their_differences(script: str, letters: str) -> None:
    assert len({form(letter) for letter in letters}) >= 0.8 * len(letters)


def test_scripts_weigh_about_as_much_as_they_tell() -> None:
    assert len(form("漢")) == 3
    assert len(form("かカｶ")) == 6
    assert len(form("한글")) == 6
    assert len({form(chr(c)) for c in range(0x4E00, 0x9FFF)}) > 20_900


# --- offsets -----------------------------------------------------------------------------------


@given(ANY_TEXT)
def test_offsets_lead_back_to_the_code_point_of_each_unit(text: str) -> None:
    units, offsets = canonical_units(text)
    rebuilt = b"".join(form(char) for char in text)
    assert units.tobytes() == rebuilt
    origins = [place for place, char in enumerate(text) for _ in form(char)]
    assert offsets.tolist() == origins


def test_every_code_point_there_is() -> None:
    everything = "".join(map(chr, range(0x110000)))
    units, offsets = canonical_units(everything)
    assert len(units) == len(offsets)
    assert (np.diff(offsets.astype(np.int64)) >= 0).all()
    assert max(len(form(chr(point))) for point in range(0xFB50, 0xFE00)) == 15


def test_ascii_and_wide_strings_take_the_same_way() -> None:
    text = "".join(map(chr, range(128)))
    assert form(text) == form(text + "\u200b")


@given(ANY_TEXT, st.randoms(use_true_random=False))
def test_a_span_covers_its_units_and_ends_at_word_edges(text: str, dice: random.Random) -> None:
    canonical = canonicalise(text)
    if not len(canonical):
        return
    start = dice.randrange(len(canonical))
    end = dice.randrange(start, len(canonical)) + 1
    span = canonical.span(start, end)
    assert 0 <= span.start < span.end <= len(text)
    # Of what was meant, at most a stray letter or two at either end stay out.
    assert sum(char.isalnum() for char in text[canonical.offsets[start] : span.start]) <= STRAY
    assert sum(char.isalnum() for char in text[span.end : canonical.offsets[end - 1] + 1]) <= STRAY
    for edge in (span.start, span.end):
        inside_a_word = 0 < edge < len(text) and text[edge - 1].isalnum() and text[edge].isalnum()
        assert not inside_a_word


def test_an_endless_word_is_not_walked_to_its_ends() -> None:
    canonical = canonicalise("x" * 1_000_000)
    assert canonical.span(500_000, 500_010) == Span(499_800, 500_210)


@pytest.mark.parametrize(
    ("text", "meant", "span"),
    [
        ("the secret is out", "secret", "secret"),
        ("the secret is out", "secret i", "secret"),
        ("the secret issue", "secret is", "secret"),
        ("the secret issue", "secret iss", "secret issue"),
        ("the secret issue", "he secret", "secret"),
        ("breathe, secret", "he, secret", "secret"),
        ("breathe, secret", "the, secret", "breathe, secret"),
        ("number 4111111", "number 4", "number"),
        ("a b", "a b", "a b"),
        ("abcdef", "bc", "abcdef"),
    ],
)
def test_cut_words_are_taken_in_unless_a_stray_letter_or_two(
    text: str, meant: str, span: str
) -> None:
    start = len(form(text[: text.index(meant)]))
    found = canonicalise(text).span(start, start + len(form(meant)))
    assert text[found.start : found.end] == span


def test_empty() -> None:
    assert form("") == b""
    assert form(" \n\u200b!") == b""
