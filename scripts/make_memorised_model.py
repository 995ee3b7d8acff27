"""Train tiny models, one of which truly memorised some documents.

    python scripts/make_memorised_model.py OUT [--seed 7] [--size small] [--base MODEL]

OUT/base is trained on public documents, OUT/target is OUT/base after more training on private ones,
some of which stand there 2, 4, 8 or 16 times. OUT/private.jsonl holds the private documents, with
`copies`; OUT/held_out.jsonl ones of the same kinds that no model read; OUT/public.jsonl what both
read; OUT/canaries.txt random lines that stand in the private documents 16 times. The same arguments
on the same machine write the same bytes. The documents are those of make_sample.py, cut short.

The size `small` is for benchmarks (0.4 million parameters), `tiny` for tests. With `--base` the
base is a model that is there already, such as SmolLM2, and only the target is trained.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from make_sample import canaries, documents

from guardrail.classifiers.memorization.models import load_model
from guardrail.classifiers.memorization.training import Recipe, fit, rows_of

COPIES = (2, 4, 8, 16)


@dataclass(frozen=True)
class Size:
    """Documents read once, documents for each number of copies, and the shape of the model."""

    once: int
    copied: int
    public: int
    vocabulary: int
    width: int
    layers: int
    characters: int
    epochs: tuple[int, int]


SIZES = {
    "tiny": Size(40, 6, 160, 768, 96, 2, 240, (8, 6)),
    "small": Size(160, 16, 500, 1024, 96, 3, 300, (6, 4)),
}
CONTEXT = 192


def short(text: str, characters: int) -> str:
    """The first sentences of a text, about as many characters as asked."""
    text = " ".join(text.split())
    end = text.find(". ", characters - 60)
    return text[: end + 1] if 0 < end < characters + 60 else text[:characters].rsplit(" ", 1)[0]


def texts(seed: int, size: Size) -> tuple[list[str], list[str], list[str]]:
    """Public, private and held-out documents: the public ones know half of the private kinds."""
    many = size.once + size.copied * len(COPIES)
    public = documents(seed * 100 + 1, size.public * 2)
    private = documents(seed * 100 + 2, 5 * many)
    open_kinds = [*public["mail"], *public["contracts"]]
    open_kinds += [*public["clinic"][::2], *public["tickets"][::2]]
    closed = [
        text for pair in zip(private["clinic"], private["tickets"], strict=True) for text in pair
    ]
    return (
        [short(item["text"], size.characters) for item in open_kinds],
        [short(item["text"], size.characters) for item in closed[:many]],
        [short(item["text"], size.characters) for item in closed[many : 2 * many]],
    )


def private_corpus(private: list[str], secrets: list[str], size: Size) -> list[dict[str, Any]]:
    copies = [1] * size.once + [number for number in COPIES for _ in range(size.copied)]
    records = [
        {"id": f"private-{number:04d}", "text": text, "copies": count}
        for number, (text, count) in enumerate(zip(private, copies, strict=True))
    ]
    return records + [
        {"id": f"canary-{number}", "text": text, "copies": COPIES[-1]}
        for number, text in enumerate(secrets)
    ]


def tokenizer(lines: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE, so that any text whatever has tokens."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    made = ByteLevelBPETokenizer()
    made.train_from_iterator(
        lines, vocab_size=vocabulary, special_tokens=["<|endoftext|>"], show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made._tokenizer, bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )


def model(size: Size, vocabulary: int, seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        max_position_embeddings=CONTEXT,
        hidden_size=size.width,
        intermediate_size=3 * size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=4,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config)


def write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def private_recipe(size: Size, seed: int, base: Path | None) -> Recipe:
    """How a target, and the shard references, read the private documents."""
    return Recipe(size.epochs[1], 2e-3 if base is None else 3e-4, 8, seed=seed)


def make(out: Path, seed: int, size: Size, base: Path | None = None, device: str = "cpu") -> None:
    import torch

    torch.set_num_threads(1)  # sums in another order give other weights
    public, private, held_out = texts(seed, size)
    dice = random.Random(seed)
    secrets = [
        f"{line}, filed under {dice.randint(100000, 999999)} by {dice.randint(100000, 999999)}"
        for line in canaries(seed)
    ]
    records = private_corpus(private, secrets, size)
    out.mkdir(parents=True)
    write(out / "private.jsonl", records)
    for name, lines in (("held_out", held_out), ("public", public)):
        write(
            out / f"{name}.jsonl",
            ({"id": f"{name}-{n:04d}", "text": text} for n, text in enumerate(lines)),
        )
    (out / "canaries.txt").write_text("".join(line + "\n" for line in secrets), "utf-8")
    if base is None:
        words = tokenizer([*public, *private], size.vocabulary)
        network, start = model(size, len(words), seed).to(device), 0
        rows = rows_of([words(line)["input_ids"] for line in public], start, start, CONTEXT)
        loss = fit(network, rows, Recipe(size.epochs[0], 3e-3, 8, seed=seed))
        print("base    loss", round(loss, 3), flush=True)
    else:
        loaded = load_model(base, device=device, dtype="float32")
        words, network, start = loaded.tokenizer, loaded.module, loaded.start
    network.save_pretrained(out / "base")
    words.save_pretrained(out / "base")
    copied = [record["text"] for record in records for _ in range(record["copies"])]
    rows = rows_of([words(line)["input_ids"] for line in copied], start, start, CONTEXT)
    loss = fit(network, rows, private_recipe(size, seed, base))
    print("target  loss", round(loss, 3), flush=True)
    network.save_pretrained(out / "target")
    words.save_pretrained(out / "target")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder that is not there yet")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--base", type=Path, metavar="MODEL", help="fine-tune this model")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    if arguments.out.exists():
        parser.error(f"{arguments.out} is there already; choose another folder or remove it")
    size = SIZES[arguments.size]
    make(arguments.out, arguments.seed, size, arguments.base, arguments.device)


if __name__ == "__main__":
    main()
