"""Fine-tuning a causal model on documents, reproducibly; what shard references are made with."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from guardrail.errors import UsageError

Rows = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a model is trained. The same recipe, rows and machine give the same weights.

    `layers`: only the last so many blocks learn, with what follows them; None: everything does.
    """

    epochs: int = 4
    learning_rate: float = 2e-4
    batch_rows: int = 16
    warmup: float = 0.05
    weight_decay: float = 0.01
    layers: int | None = None
    seed: int = 0


def rows_of(
    documents: Sequence[Sequence[int]], start: int, end: int | None, context: int
) -> list[list[int]]:
    """Documents as training rows of at most `context` tokens, each after the start token."""
    rows = []
    for document in documents:
        ids = [*document, *([] if end is None else [end])]
        rows += [[start, *ids[at : at + context - 1]] for at in range(0, len(ids), context - 1)]
    return [row for row in rows if len(row) > 1]


def learning(module: Any, layers: int | None) -> dict[str, Any]:
    """The parameters that learn, by name. Raises UsageError where a model has no such blocks."""
    named = dict(module.named_parameters())
    if layers is None:
        return named
    blocks = _blocks(module)
    if not 1 <= layers <= len(blocks):
        raise UsageError(
            f"{layers} layers cannot be trained: the model has {len(blocks)}; give 1 to "
            f"{len(blocks)}, or none for all of it"
        )
    chosen = {id(value) for block in blocks[-layers:] for value in block.parameters()}
    return {name: value for name, value in named.items() if id(value) in chosen}


def _blocks(module: Any) -> Any:
    """The decoder's blocks: its longest list of modules."""
    from torch import nn

    lists = [part for part in module.modules() if isinstance(part, nn.ModuleList)]
    if not lists:
        raise UsageError("the model has no list of blocks; train all of it (no --layers)")
    return max(lists, key=len)


def fit(
    module: Any,
    rows: Rows,
    recipe: Recipe,
    progress: Callable[[float], None] = lambda share: None,
    only: Callable[[str], bool] = lambda name: True,
) -> float:
    """Train in place; returns the mean loss of the last epoch, in nats per token.

    AdamW, linear warm-up, cosine decay; rows of like length share a batch. `only` tells
    by name which of the recipe's parameters learn. Raises UsageError where there is no row.
    """
    import torch

    if not rows:
        raise UsageError("there is no document to train on")
    chosen = {k: v for k, v in learning(module, recipe.layers).items() if only(k)}
    for name, value in module.named_parameters():
        value.requires_grad_(name in chosen)
    device = next(module.parameters()).device
    optimizer = torch.optim.AdamW(
        chosen.values(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    dice = random.Random(recipe.seed)
    torch.manual_seed(recipe.seed)
    steps = recipe.epochs * math.ceil(len(rows) / recipe.batch_rows)
    warmup = max(1, int(steps * recipe.warmup))
    module.train()
    step, total, count = 0, 0.0, 0
    for _ in range(recipe.epochs):
        total, count = 0.0, 0
        for batch in _batches(rows, recipe.batch_rows, dice):
            ids, labels = _padded(batch, device)
            rate = min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / steps)))
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * rate
            logits = module(ids, use_cache=False).logits[:, :-1]
            loss = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100
            )
            loss.backward()
            torch.nn.utils.clip_grad_norm_(chosen.values(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tokens = int((labels[:, 1:] >= 0).sum())
            total, count, step = total + loss.item() * tokens, count + tokens, step + 1
            progress(step / steps)
    module.eval()
    module.requires_grad_(False)
    return total / count


def _batches(rows: Rows, size: int, dice: random.Random) -> list[list[Sequence[int]]]:
    order = list(range(len(rows)))
    dice.shuffle(order)
    order.sort(key=lambda number: len(rows[number]) // 16)
    batches = [[rows[n] for n in order[at : at + size]] for at in range(0, len(order), size)]
    dice.shuffle(batches)
    return batches


def _padded(batch: Sequence[Sequence[int]], device: Any) -> tuple[Any, Any]:
    """Ids padded on the right with 0, and labels in which the padding is -100."""
    import torch

    width = max(map(len, batch))
    ids = torch.zeros(len(batch), width, dtype=torch.long)
    labels = torch.full((len(batch), width), -100)
    for number, row in enumerate(batch):
        ids[number, : len(row)] = labels[number, : len(row)] = torch.tensor(row)
    return ids.to(device), labels.to(device)
