"""Write a sample corpus of invented private documents, and answers to check against it.

    python scripts/make_sample.py OUT [--seed 7] [--documents 600]

OUT/corpus/ holds mail (mbox), clinic notes and tickets (JSON Lines), contracts (Markdown and text)
and source code, one fifth of the documents each. OUT/phrases.txt lists project names and canaries,
one a line. OUT/responses.jsonl holds answers of a model, one JSON object a line: clean ones, and
ones that leak a passage as it stands or disguised; `expect` tells which.

The same arguments write the same bytes, whatever the Python version. A document depends on the
seed and its own number alone. Needs Faker, for names and addresses; the prose is in
sample_prose.toml and sample_code.toml beside this file.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import textwrap
import tomllib
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from faker import Faker
from sample_responses import responses
from sample_writer import PROJECTS, Writer

HERE = Path(__file__).resolve().parent

PROSE = tomllib.loads((HERE / "sample_prose.toml").read_text("utf-8"))
CODE = tomllib.loads((HERE / "sample_code.toml").read_text("utf-8"))


def mail(writer: Writer, number: int) -> dict[str, str]:
    topics = list(PROSE["mail"]["topics"].values())
    topic = topics[number % len(topics)]
    parts = PROSE["mail"]
    body = writer.some(topic["body"], 4, 6)
    body[2:2] = writer.some(parts["linking"], 1, 2)
    half = writer.random.randint(2, len(body) - 2)
    text = "\n\n".join(
        [
            writer.one(parts["opening"]),
            " ".join(body[:half]),
            " ".join(body[half:]),
            writer.one(parts["closing"]),
        ]
    )
    return {
        "id": f"mail-{number:04d}",
        "subject": writer.prose(topic["subject"]),
        "text": text,
        "from": writer.fact("sender"),
        "to": writer.fact("person1"),
        "company": writer.fact("company9"),
        "sent": (writer.day() + timedelta(minutes=writer.random.randrange(600))).isoformat(),
    }


def clinic_note(writer: Writer, number: int) -> dict[str, str]:
    parts = PROSE["clinic"]
    conditions = list(parts["conditions"].values())
    body = writer.some(conditions[number % len(conditions)]["body"], 3, 4)
    opening = writer.one(parts["opening"])
    text = " ".join([opening, writer.one(parts["social"]), *body, writer.one(parts["closing"])])
    return {"id": f"note-{number:04d}", "patient": writer.fact("record"), "text": text}


def contract(writer: Writer, number: int) -> dict[str, str]:
    parts = PROSE["contract"]
    kind, purpose = parts["kinds"][number % len(parts["kinds"])]
    writer.facts |= {"kind": kind, "purpose": writer.prose(purpose)}
    titles = list(parts["clauses"])
    picked = sorted(writer.random.sample(range(len(titles)), writer.random.randint(6, 9)))
    markdown = number % 2 == 0
    blocks = [f"# {kind}" if markdown else kind.upper(), writer.one(parts["parties"])]
    for position, index in enumerate(picked, start=1):
        title = f"{position}. {titles[index]}"
        clause = writer.one(parts["clauses"][titles[index]])
        blocks.append(f"## {title}\n\n{clause}" if markdown else f"{title}\n    {clause}")
    name = f"{number:04d}-{kind.lower().replace(' ', '-')}{'.md' if markdown else '.txt'}"
    return {"id": name, "text": "\n\n".join(blocks) + "\n"}


def ticket(writer: Writer, number: int) -> dict[str, str]:
    parts = PROSE["ticket"]
    case = number % len(parts["title"])
    lines = [
        writer.prose(parts["title"][case]),
        writer.prose(parts["report"][case]),
        *writer.some(parts["work"], 3, 5),
        writer.one(parts["outcome"]),
    ]
    return {
        "id": f"ticket-{number:04d}",
        "opened": writer.day().date().isoformat(),
        "text": "\n".join(lines),
    }


def source_file(writer: Writer, number: int) -> dict[str, str]:
    entities, files = CODE["entities"], list(CODE["files"].values())
    # One step of the kind more in each round over the entities, so that pairs repeat late.
    lap = number // len(entities)
    entity = entities[number % len(entities)]
    template = files[(number + lap) % len(files)]
    writer.facts |= {"entity": entity, "Entity": entity.capitalize()}
    path = writer.code(template["path"])
    generation = number // (len(entities) * len(files))
    return {
        "id": f"generation-{generation + 1}/{path}" if generation else path,
        "text": writer.code(template["text"]).lstrip("\n"),
    }


KINDS: dict[str, Callable[[Writer, int], dict[str, str]]] = {
    "mail": mail,
    "clinic": clinic_note,
    "contracts": contract,
    "tickets": ticket,
    "code": source_file,
}


def documents(seed: int, count: int) -> dict[str, list[dict[str, str]]]:
    """The documents of each kind; the kinds that come first take what does not divide evenly."""
    fake = Faker("en_US", use_weighting=False)
    share, rest = divmod(count, len(KINDS))
    return {
        kind: [
            make(Writer(fake, seed, kind, number), number)
            for number in range(share + (position < rest))
        ]
        for position, (kind, make) in enumerate(KINDS.items())
    }


def address(name: str, company: str) -> str:
    user = re.sub(r"[^a-z]+", ".", name.lower())
    domain = re.sub(r"[^a-z]+", "-", company.lower()).strip("-")
    return f"{name} <{user}@{domain}.example>"


def mailbox(messages: Iterable[dict[str, str]]) -> str:
    """An mbox file, written by hand: what the library folds and quotes varies between versions."""
    blocks = []
    for message in messages:
        sent = datetime.fromisoformat(message["sent"])
        sender = address(message["from"], message["company"])
        headers = [
            f"From {sender.partition('<')[2].rstrip('>')} {sent.ctime()}",
            f"From: {sender}",
            f"To: {address(message['to'], message['company'])}",
            f"Subject: {message['subject']}",
            f"Date: {format_datetime(sent)}",
            f"Message-ID: <{message['id']}@sample.example>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 8bit",
        ]
        lines = [
            line
            for paragraph in message["text"].splitlines()
            for line in textwrap.wrap(paragraph, 76, break_on_hyphens=False) or [""]
        ]
        body = re.sub("^(>*From )", r">\1", "\n".join(lines), flags=re.MULTILINE)
        blocks.append("\n".join(headers) + f"\n\n{body}\n\n")
    return "".join(blocks)


def json_lines(records: Iterable[object]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def canaries(seed: int) -> list[str]:
    chooser = random.Random(f"{seed}/canaries")
    letters = "bcdfghjkmnpqrstvwxz"
    return [
        f"canary {''.join(chooser.choices(letters, k=9))} {chooser.randint(10000, 99999)}"
        for _ in range(4)
    ]


def files(seed: int, count: int) -> Iterator[tuple[str, str]]:
    """Path and content of everything that the sample consists of."""
    made = documents(seed, count)
    phrases = [*PROJECTS, *canaries(seed)]
    yield "corpus/mail/team.mbox", mailbox(made["mail"])
    yield "corpus/clinic/notes.jsonl", json_lines(made["clinic"])
    for document in made["contracts"]:
        yield f"corpus/contracts/{document['id']}", document["text"]
    yield "corpus/tickets/tickets.jsonl", json_lines(made["tickets"])
    for document in made["code"]:
        yield f"corpus/code/{document['id']}", document["text"]
    yield "phrases.txt", "\n".join(phrases) + "\n"
    yield "responses.jsonl", json_lines(responses(made, phrases, random.Random(f"{seed}/answers")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder that is not there yet")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--documents", type=int, default=600)
    arguments = parser.parse_args()
    if arguments.documents < 5:
        parser.error("--documents must be at least 5, one of each kind")
    if arguments.out.exists() and (not arguments.out.is_dir() or any(arguments.out.iterdir())):
        parser.error(f"{arguments.out} is not an empty folder; choose another or remove it")
    size = 0
    for name, content in files(arguments.seed, arguments.documents):
        path = arguments.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        size += path.write_bytes(content.encode("utf-8"))
    print(f"{arguments.documents} documents in {arguments.out}, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
