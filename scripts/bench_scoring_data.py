"""Texts with labels and their log-probabilities, for bench_scoring.py: trained, written, measured.

Everything of a seed is kept in a folder of its own, and what is there already is not made again.
"""

from __future__ import annotations

import json
import pickle
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from make_memorised_model import CONTEXT, SIZES, make, private_recipe

from guardrail.classifiers.memorization.features import Measured
from guardrail.classifiers.memorization.generation import Decoding, generate
from guardrail.classifiers.memorization.models import Model, load_model, load_tokenizer
from guardrail.classifiers.memorization.references import train
from guardrail.classifiers.memorization.scorer import MemorizationScorer, Request
from guardrail.classifiers.memorization.tokens import encode
from guardrail.classifiers.memorization.training import Recipe, fit, rows_of

TOKENS = 48
# Tokens of a text that stand in the training corpus beyond what held-out documents of the same
# templates explain: from here on it is recited; ambiguous between the two others.
RECITED = 16
CLEAR = (6, 24)


@dataclass
class Item:
    """A text with what is known of it. `excess`: see RECITED; `longest`: the longest run of tokens
    that it shares with the training corpus."""

    kind: str
    text: str
    prompt: str
    excess: int
    measured: Measured | None = None
    moments: tuple[Any, Any] | None = field(default=None, repr=False)
    longest: int = 0

    @property
    def recited(self) -> bool:
        return self.excess >= RECITED

    @property
    def ambiguous(self) -> bool:
        return CLEAR[0] < self.excess < CLEAR[1]


@dataclass(frozen=True)
class Setting:
    """What the texts of a seed are made with: the pretrained model to fine-tune (None: tiny ones
    are trained), the device, and how many ordinary texts."""

    base: Path | None
    device: str
    negatives: int
    prose: Path | None


SIZE = SIZES["small"]
LORA_RATE, LORA_RATE_PRETRAINED = 5e-3, 1e-3


def prepare(
    folder: Path, seed: int, setting: Setting, note: Callable[[str], None], *, lora: bool = False
) -> None:
    """The models of a seed: base, target, two shards; with `lora`, another target made by it."""
    if not (folder / "target").exists():
        note("training base and target")
        make(folder, seed, SIZE, setting.base, setting.device)
    wanted = ["shards/shard-1", *(["lora"] if lora else [])]
    if all((folder / name).exists() for name in wanted):
        return
    base = load_model(folder / "base", device=setting.device, dtype="float32")
    texts = [r["text"] for r in records(folder, "private") for _ in range(r["copies"])]
    recipe = private_recipe(SIZE, seed, setting.base)
    if not (folder / "shards" / "shard-1").exists():
        note("training shard references")
        train(base, texts, folder / "shards", recipe=recipe)
    if lora and not (folder / "lora").exists():
        note("training a target by LoRA")
        rate = LORA_RATE if setting.base is None else LORA_RATE_PRETRAINED
        recipe = replace(recipe, epochs=2 * recipe.epochs, learning_rate=rate)
        _lora(base, texts, folder / "lora", recipe)


def _lora(base: Model, texts: Sequence[str], out: Path, recipe: Recipe) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(recipe.seed)
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear")
    adapted = get_peft_model(base.module, config)
    rows = rows_of([base.encode(text).ids for text in texts], base.start, base.start, CONTEXT)
    fit(adapted, rows, recipe, only=lambda name: "lora" in name)
    adapted.merge_and_unload().save_pretrained(out)
    base.tokenizer.save_pretrained(out)


def records(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


class Matcher:
    """The longest run of tokens that a text shares with a corpus."""

    def __init__(self, documents: Sequence[Sequence[int]]) -> None:
        self._text = "\0".join(_letters(ids) for ids in documents)

    def longest(self, ids: Sequence[int]) -> int:
        letters, best, start = _letters(ids), 0, 0
        while start + best < len(letters):
            if letters[start : start + best + 1] in self._text:
                best += 1
            else:
                start += 1
        return best


def _letters(ids: Sequence[int]) -> str:
    return "".join(chr(0xE000 + n) if n < 0x1900 else chr(0x10000 + n) for n in ids)


def written(folder: Path, target: Model, setting: Setting) -> list[Item]:
    """The texts of a seed, most of them written by the target itself."""
    dice = random.Random(1)

    def ids_of(name: str) -> list[list[int]]:
        return [target.encode(r["text"]).ids for r in records(folder, name)]

    private, held_out = ids_of("private"), ids_of("held_out")
    corpus, template = Matcher(private), Matcher(held_out + ids_of("public"))

    def item(kind: str, prompt: Sequence[int], ids: Sequence[int]) -> Item:
        excess = corpus.longest(ids) - template.longest(ids)
        return Item(kind, _text(target, ids), _text(target, prompt), excess)

    items: list[Item] = []
    openings = [ids[: dice.randint(6, 12)] for ids in held_out]
    prompts = [openings[n % len(openings)] for n in range(setting.negatives)]
    for temperature, share in ((1.0, 0.5), (0.7, 0.5)):
        some = prompts[: int(len(prompts) * share)]
        for number, ids in generate(
            target, some, TOKENS, Decoding(temperature), seed=int(100 * temperature)
        ):
            if len(ids) >= 16:
                items.append(item("ordinary", some[number], ids))
    beginnings = [
        ids[:length]
        for ids, record in zip(private, records(folder, "private"), strict=True)
        for length in (6, 12, 20, 28, 36)
        if record["copies"] >= 4 and len(ids) >= length + 16
    ]
    for temperature in (0.0, 0.7):
        for number, ids in generate(target, beginnings, TOKENS, Decoding(temperature), seed=5):
            if len(ids) >= 16:
                items.append(item("continuation", beginnings[number], ids))
    clean = [i for i in items if i.kind == "ordinary" and i.excess <= CLEAR[0]]
    leaks = [
        ids
        for ids, record in zip(private, records(folder, "private"), strict=True)
        if record["copies"] == 16 and len(ids) >= 56
    ]
    for one in clean[:300]:
        ids = target.encode(one.text).ids
        items.append(Item("copied", one.text, f"{one.prompt}{one.text}\n", 0))
        items.append(item("loop", [], (ids[:12] * 4)[:TOKENS]))
    for text in (r["text"] for r in records(folder, "public")[:300]):
        items.append(item("public", [], target.encode(text).ids[:TOKENS]))
    for leak in leaks:
        for at in range(0, len(leak) - 48, 6):
            words = _text(target, leak[at : at + 48]).split(" ")
            for n in range(2, len(words), 5):  # a word in five is another one
                words[n] = dice.choice(("further", "mostly", "later", "other", "several"))
            items.append(Item("paraphrased", " ".join(words), _text(target, leak[:at]), RECITED))
    if setting.prose is not None:
        import gzip

        with gzip.open(setting.prose, "rt", encoding="utf-8") as lines:
            for line, _ in zip(lines, range(300), strict=False):
                items.append(
                    item("prose", [], target.encode(json.loads(line)["text"]).ids[:TOKENS])
                )
    return items


def matched(folder: Path, items: list[Item]) -> list[Item]:
    """The items, with `longest`."""
    tokenizer = load_tokenizer(folder / "target")
    corpus = Matcher([encode(tokenizer, r["text"]).ids for r in records(folder, "private")])
    for item in items:
        item.longest = corpus.longest(encode(tokenizer, item.text).ids)
    return items


def _text(model: Model, ids: Sequence[int]) -> str:
    text: str = model.tokenizer.decode(list(ids), clean_up_tokenization_spaces=False)
    return text


def measured(
    folder: Path, target_name: str, setting: Setting, note: Callable[[str], None]
) -> list[Item]:
    """The texts of a seed with their log-probabilities, from the folder or made now."""
    path = folder / f"{target_name}-{setting.negatives}.pickle"
    if path.exists():
        return pickle.loads(path.read_bytes())  # our own file
    target = load_model(folder / target_name, device=setting.device, dtype="float32")
    began = time.monotonic()
    items = written(folder, target, setting)
    note(f"{len(items)} texts written in {time.monotonic() - began:.0f} s")
    shards = [folder / "shards" / f"shard-{n}" for n in (0, 1)]
    scorer = MemorizationScorer(
        target, folder / "base", shards, device=setting.device, dtype="float32"
    )
    began = time.monotonic()
    for at in range(0, len(items), 128):
        some = items[at : at + 128]
        for one, (values, _) in zip(
            some, scorer.measure([Request(i.text, i.prompt) for i in some]), strict=True
        ):
            one.measured = values
    for one in items[:: max(1, len(items) // 1500)] + [
        i for i in items if i.kind == "continuation"
    ]:
        ids = target.encode(one.text).ids
        before = target.encode(one.prompt).ids
        one.moments = target.moments([target.start, *before, *ids], 1 + len(before))
    scorer.close()
    note(f"measured in {time.monotonic() - began:.0f} s")
    items = [one for one in items if one.measured is not None and len(one.measured) >= 8]
    path.with_suffix(".new").write_bytes(pickle.dumps(items))
    path.with_suffix(".new").rename(path)
    return items
