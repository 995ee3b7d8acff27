"""Texts of other genres than prose, invented by Faker from a seed.

Each genre is one function from a Faker to a document. What is fixed in them, as the wordings of a
form, stands in many documents, as it does in a company's files.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable

from faker import Faker

# Wordings of letters, a line each, by locale: greeting, matter, request, promise, closing.
LETTERS = {
    "en_US": (
        ("Dear {name},", "Hi {first},", "Hello {first},", "Good morning {first},"),
        (
            "I am writing about the delivery to {city} that was promised for {date}.",
            "The invoice {number} over {amount} is still open.",
            "{company} has moved its office to {address}.",
            "As we said on the phone, {person} takes over the account of {company}.",
            "The audit of {company} begins on {date} in {city}.",
        ),
        (
            "Could you send me the figures by {date}?",
            "Please let me know whether {date} suits you.",
            "Please treat what {person} told you as confidential.",
            "Can you have the contract signed before {date}?",
        ),
        ("Let me know if you have any questions.", "I look forward to hearing from you."),
        ("Best regards,\n{person}\n{company}", "Kind regards\n{person}", "Thanks,\n{first}"),
    ),
    "de_DE": (
        ("Sehr geehrte Frau {name},", "Guten Tag Herr {name},", "Hallo {first},"),
        (
            "die Rechnung {number} über {amount} ist noch offen.",
            "wie telefonisch besprochen, übernimmt {person} die Betreuung von {company}.",
            "{company} ist am {date} nach {address} umgezogen.",
            "die Lieferung nach {city} war für den {date} zugesagt.",
        ),
        (
            "Bitte geben Sie mir bis zum {date} Bescheid, ob Ihnen der Termin passt.",
            "Bitte behandeln Sie die Angaben von {person} vertraulich.",
            "Könnten Sie mir die Zahlen bis {date} schicken?",
        ),
        ("Für Rückfragen stehe ich Ihnen gerne zur Verfügung.", "Ich freue mich auf Ihre Antwort."),
        ("Mit freundlichen Grüßen\n{person}\n{company}", "Viele Grüße\n{first}"),
    ),
    "fr_FR": (
        ("Madame, Monsieur,", "Bonjour {first},", "Cher Monsieur {name},"),
        (
            "la facture {number} d'un montant de {amount} reste impayée.",
            "comme convenu au téléphone, {person} reprend le dossier de {company}.",
            "{company} a déménagé au {address} le {date}.",
            "la livraison à {city} était prévue pour le {date}.",
        ),
        (
            "Merci de me confirmer avant le {date} que ce rendez-vous vous convient.",
            "Je vous prie de garder confidentiel ce que vous a dit {person}.",
            "Pourriez-vous m'envoyer les chiffres avant le {date} ?",
        ),
        ("Je reste à votre disposition pour toute question.", "Dans l'attente de votre réponse."),
        ("Cordialement,\n{person}\n{company}", "Bien à vous,\n{first}"),
    ),
}
CLAUSES = (
    '{a} (the "Supplier") shall deliver the goods named in Annex {n} to {b} at {address}.',
    "The price is {amount} and is due within {n} days of the date of the invoice.",
    "This agreement begins on {date} and ends on {later} unless it is renewed in writing.",
    "Either party may terminate this agreement with {n} days' written notice to the other party.",
    "{b} shall keep confidential all information that it receives from {a} under this agreement.",
    "The liability of {a} is limited to {amount} for each event except after gross negligence.",
    "Notices to {a} shall be sent to {person}, {address}.",
    "This agreement is governed by the laws of {state}; the courts of {city} decide.",
    "Should any provision of this agreement be invalid, the remaining provisions stay in force.",
    "{b} warrants that {person} is authorised to sign on its behalf and holds account {number}.",
    "Amendments to this agreement are valid only if made in writing and signed by both parties.",
    "Goods remain the property of {a} until {b} has paid the price in full.",
    "Neither party is liable for delays caused by events beyond its reasonable control.",
    "{a} may assign its claims under this agreement to {c} after notice to {b}.",
)
FINDINGS = (
    "pain in the left knee after a fall", "shortness of breath on exertion", "a dry cough at night",
    "numbness in both hands", "headache with nausea", "swelling of the right ankle",
    "palpitations at rest", "loss of weight without cause", "a rash on the forearms",
)  # fmt: skip
DRUGS = (
    "metoprolol",
    "ramipril",
    "metformin",
    "ibuprofen",
    "pantoprazole",
    "sertraline",
    "warfarin",
)
TURNS = (
    "Hello, what brings you here today?", "How long have you had this?", "Does it hurt at night?",
    "Are you taking any medication?", "Do you have any allergies?", "Let me have a look.",
    "When did it begin?", "Has anyone in your family had this?", "Do you smoke?",
    "I would like to see you again in {n} weeks.", "We will send you to {person} for an X-ray.",
)  # fmt: skip
ANSWERS = (
    "It began on {date}, when I was in {city}.", "No, not that I know of.", "Yes, since {date}.",
    "I take {drug}, {n} mg in the morning.", "I have {finding}.", "My mother had it too.",
    "It is worse when I work for {company}.", "Only at the weekend, with {person}.",
)  # fmt: skip


def _facts(fake: Faker) -> dict[str, object]:
    return {
        "name": fake.last_name(),
        "first": fake.first_name(),
        "person": fake.name(),
        "city": fake.city(),
        "company": fake.company(),
        "address": fake.address().replace("\n", ", "),
        "date": fake.date(),
        "later": fake.future_date(),
        "number": fake.random_number(8, True),
        "amount": f"{fake.random_int(100, 90_000):,} {fake.currency_code()}",
        "state": fake.country(),
        "n": fake.random_int(2, 90),
        "a": fake.company(),
        "b": fake.company(),
        "c": fake.company(),
        "drug": fake.random_element(DRUGS),
        "finding": fake.random_element(FINDINGS),
    }


def mail(locale: str) -> Callable[[Faker], str]:
    def write(fake: Faker) -> str:
        facts = _facts(fake)
        greeting, matter, request, promise, closing = (
            [fake.random_element(lines)] for lines in LETTERS[locale]
        )
        matter += [fake.random_element(LETTERS[locale][1]), fake.paragraph(6)]
        lines = [
            *greeting,
            "",
            " ".join(matter),
            fake.paragraph(4),
            *request,
            *promise,
            "",
            *closing,
        ]
        return "\n".join(lines).format(**facts)

    return write


def contract(fake: Faker) -> str:
    facts = _facts(fake)
    chosen = fake.random_elements(CLAUSES, length=10, unique=True)
    return "\n".join(f"{n}. {clause.format(**facts)}" for n, clause in enumerate(chosen, 1))


def medical_record(fake: Faker) -> str:
    rows = [
        f"Patient: {fake.name()}",
        f"Date of birth: {fake.date_of_birth()}",
        "Allergies: none known",
    ]
    rows += [f"Address: {fake.address()}", f"Admitted: {fake.date()} by Dr. {fake.last_name()}"]
    rows += [f"Reason for admission: {fake.random_element(FINDINGS)}"]
    rows += [f"Blood pressure: {fake.random_int(90, 180)}/{fake.random_int(55, 110)} mmHg"]
    rows += [f"Pulse: {fake.random_int(50, 120)} per minute", f"Notes: {fake.paragraph(5)}"]
    rows += ["Medication on discharge:"]
    rows += [
        f"- {drug} {fake.random_int(5, 500)} mg" for drug in fake.random_elements(DRUGS, length=3)
    ]
    rows += [
        "The patient was advised to return if the symptoms get worse.",
        f"Signed: Dr. {fake.name()}",
    ]
    return "\n".join(rows)


def json_records(fake: Faker) -> str:
    rows = []
    for _ in range(12):
        order = {"sku": fake.bothify("??-####"), "quantity": fake.random_int(1, 90)}
        rows.append(
            {
                "customer_id": fake.random_number(9, True),
                "full_name": fake.name(),
                "shipping_address": fake.address(),
                "registered_at": fake.iso8601(),
                "newsletter": fake.boolean(),
                "last_order": order,
                "remark": fake.sentence(8),
            }
        )
    return json.dumps(rows, indent=2, ensure_ascii=False)


def table(fake: Faker) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("account", "holder", "city", "opened", "balance", "status", "branch"))
    for _ in range(30):
        row = (fake.random_number(10, True), fake.name(), fake.city(), fake.date())
        status = fake.random_element(("active", "closed", "suspended pending review"))
        writer.writerow((*row, fake.random_int(0, 90_000), status, fake.street_name()))
    return out.getvalue()


def log(fake: Faker) -> str:
    forms = (
        "INFO  [http-nio-8080-exec-{n}] c.a.billing.Invoices - Invoice {number} of {company} sent",
        "WARN  [scheduler-{n}] c.a.sync.DirectorySync - Account {name} in {city} has no manager",
        "ERROR [http-nio-8080-exec-{n}] c.a.web.Errors - Request of {person} failed after {n} ms",
        "DEBUG [pool-2-thread-{n}] o.h.SQL - select * from orders where customer_id = {number}",
        "INFO  [main] c.a.Application - Started Application in {n} seconds (JVM for {number})",
    )
    lines = []
    for _ in range(25):
        when = fake.date_time().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]
        lines.append(f"{when} {fake.random_element(forms).format(**_facts(fake))}")
    return "\n".join(lines)


def dialogue(fake: Faker) -> str:
    lines = []
    for _ in range(14):
        facts = _facts(fake)
        lines.append("Doctor: " + fake.random_element(TURNS).format(**facts))
        lines.append("Patient: " + fake.random_element(ANSWERS).format(**facts))
    return "\n".join(lines)


GENRES: dict[str, tuple[str, Callable[[Faker], str]]] = {
    "mail": ("en_US", mail("en_US")),
    "mail, German": ("de_DE", mail("de_DE")),
    "mail, French": ("fr_FR", mail("fr_FR")),
    "contracts": ("en_US", contract),
    "medical records": ("en_US", medical_record),
    "JSON": ("en_US", json_records),
    "JSON, Japanese": ("ja_JP", json_records),
    "CSV": ("en_US", table),
    "logs": ("en_US", log),
    "dialogues": ("en_US", dialogue),
}


def documents(genre: str, count: int, seed: int) -> list[str]:
    """So many documents of a genre, the same for the same seed."""
    locale, write = GENRES[genre]
    fake = Faker(locale)
    fake.seed_instance(random.Random(f"{seed} {genre}").getrandbits(32))
    return [write(fake) for _ in range(count)]
