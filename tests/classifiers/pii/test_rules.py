"""The table of cases, and check digits against another implementation."""

from __future__ import annotations

import importlib
import random

import pytest

from guardrail.classifiers.pii import checksums
from guardrail.classifiers.pii.rules import KINDS, RULES, engine
from tests.cases.pii import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.text[:40]}")
def test_case(case: Case) -> None:
    found = [case.text[h.start : h.end] for h in engine().scan(case.text) if h.kind == case.kind]
    assert found == ([case.value] if case.should_flag else [])


def test_every_kind_has_a_case() -> None:
    assert set(KINDS) == {case.kind for case in CASES if case.should_flag}


def test_every_rule_with_an_anchor_says_where_it_starts() -> None:
    for rule in RULES:
        assert not rule.starts or rule.needs or rule.digits, rule.name


# Check digits that both know, with the shape of a compact number.
OTHERS = {
    "luhn": ("luhn", "9" * 12),
    "verhoeff": ("verhoeff", "9" * 12),
    "iban": ("iban", "DE99999999999999999999"),
    "br_cpf": ("br.cpf", "9" * 11),
    "br_cnpj": ("br.cnpj", "9" * 14),
    "ar_cuit": ("ar.cuit", "20999999999"),
    "cl_rut": ("cl.rut", "99999999K"),
    "uk_nhs": ("gb.nhs", "9" * 10),
    "ie_pps": ("ie.pps", "9999999A"),
    "de_tax_id": ("de.idnr", "9" * 11),
    "fr_nir": ("fr.nir", "1" + "9" * 14),
    "es_dni": ("es.dni", "99999999A"),
    "pt_nif": ("pt.nif", "9" * 9),
    "nl_bsn": ("nl.bsn", "9" * 9),
    "be_national": ("be.nn", "9" * 11),
    "ch_ahv": ("ch.ssn", "7569999999999"),
    "at_svnr": ("at.vnr", "9" * 10),
    "gr_amka": ("gr.amka", "9" * 11),
    "no_birth_number": ("no.fodselsnummer", "9" * 11),
    "pl_pesel": ("pl.pesel", "9" * 11),
    "pl_nip": ("pl.nip", "9" * 10),
    "cz_birth_number": ("cz.rc", "9" * 10),
    "ro_cnp": ("ro.cnp", "9" * 13),
    "bg_egn": ("bg.egn", "9" * 10),
    "emso": ("si.emso", "9999099999999"),
    "hr_oib": ("hr.oib", "9" * 11),
    "baltic_code": ("ee.ik", "9" * 11),
    "ru_inn": ("ru.inn", "9" * 12),
    "ua_tax": ("ua.rntrc", "9" * 10),
    "tr_identity": ("tr.tckimlik", "9" * 11),
    "jp_my_number": ("jp.in_", "9" * 12),
    "th_identity": ("th.pin", "9" * 13),
    "in_aadhaar": ("in_.aadhaar", "9" * 12),
    "il_identity": ("il.idnr", "9" * 9),
    "za_identity": ("za.idnr", "9" * 13),
    "au_tfn": ("au.tfn", "9" * 9),
    "au_abn": ("au.abn", "9" * 11),
    "nz_ird": ("nz.ird", "9" * 9),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_another_implementation_takes_is_taken(name: str) -> None:
    module, shape = OTHERS[name]
    other = importlib.import_module(f"stdnum.{module}")
    check = getattr(checksums, name)
    rng = random.Random(7)
    taken = agreed = 0
    for _ in range(4000):
        value = "".join(
            rng.choice("0123456789") if char == "9" else rng.choice("ABCDEFGHIJKLMNOPQRSTUVW")
            if char == "A" else rng.choice("0123456789K") if char == "K" else char
            for char in shape
        )  # fmt: skip
        ours, theirs = check(value), other.is_valid(value)
        taken += ours
        agreed += theirs
        # `varied` turns placeholders away on purpose.
        assert ours or not theirs or not checksums.varied(value), value
    assert taken < 3200  # it does tell numbers apart
