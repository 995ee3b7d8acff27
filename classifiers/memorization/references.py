"""Shard references: models that each read another part of a corpus.

Every shard knows what is common in the corpus, and each lacks a part of what is particular. Of
several, the one that explains a text worse is the reference, so that what only one of them has
read counts as unread (the construction of near access-freeness, Vyas et al. 2023).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from guardrail.classifiers.memorization.models import DELTA, Model
from guardrail.classifiers.memorization.training import Recipe, fit, learning, rows_of
from guardrail.errors import UsageError
from guardrail.text import canonical_units


def shards_of(texts: Iterable[str], count: int) -> list[list[str]]:
    """Texts in `count` disjoint parts. Copies of one text, whatever their case and spacing, are
    in one part: a copy in each would teach every shard what it has to lack."""
    if count < 2:
        raise UsageError(f"{count} shards were asked for; a reference needs at least 2")
    parts: list[list[str]] = [[] for _ in range(count)]
    for text in texts:
        digest = hashlib.sha256(canonical_units(text)[0].tobytes()).digest()
        parts[int.from_bytes(digest[:8], "big") % count].append(text)
    if not all(parts):
        raise UsageError(
            f"the corpus is too small for {count} shards: one of them would be empty; give more "
            "documents or ask for fewer shards"
        )
    return parts


def train(
    base: Model,
    texts: Sequence[str],
    out: str | os.PathLike[str],
    *,
    shards: int = 2,
    recipe: Recipe = Recipe(),  # noqa: B008 (frozen)
    progress: Callable[[str, float], None] = lambda stage, share: None,
) -> list[Path]:
    """Train shard references from `base` and write the folders OUT/shard-0, OUT/shard-1, ...

    Each holds only the weights that changed, so that loaded beside the base it costs only those.
    The same base, texts, recipe and machine give the same files. `base` itself stays as it is.
    Raises UsageError.
    """
    from copy import deepcopy

    from safetensors.torch import save_file

    parts = shards_of(texts, shards)
    folder = Path(out)
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not an empty folder; choose another or remove it")
    learning(base.module, recipe.layers)  # refused before the first shard costs anything
    made = []
    for number, part in enumerate(parts):
        name = f"shard-{number}"
        documents = [base.encode(text).ids for text in sorted(part)]
        module = deepcopy(base.module)
        rows = rows_of(documents, base.start, base.tokenizer.eos_token_id, base.context)
        loss = fit(module, rows, recipe, lambda share, name=name: progress(name, share))  # type: ignore[misc]
        place = folder / name
        place.mkdir(parents=True)
        delta = {key: value.contiguous() for key, value in learning(module, recipe.layers).items()}
        save_file(delta, place / "delta.safetensors")
        about: dict[str, Any] = {
            "base": base.fingerprint,
            "shard": [number, shards],
            "documents": len(part),
            "corpus": _digest(part),
            "recipe": asdict(recipe),
            "loss": round(loss, 4),
        }
        (place / DELTA).write_text(json.dumps(about, indent=1) + "\n", "utf-8")
        made.append(place)
    return made


def _digest(texts: Sequence[str]) -> str:
    """Which documents a shard has read, for one who has them; of no use to one who has not."""
    digest = hashlib.sha256()
    for text in sorted(texts):
        digest.update(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    return digest.hexdigest()
