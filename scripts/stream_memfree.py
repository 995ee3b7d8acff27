"""What MemFree decoding costs, and what a model says instead, for bench_stream.py."""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList

from guardrail import Action, Guardrail
from guardrail.indexes.build import build
from guardrail.integrations.transformers import MemFree
from scripts.stream_leaks import KEY

TOKENS, QUICK_TOKENS = 64, 24
# Useful: at least so many words were said after the model was turned away, and so many of a hundred
# of them are different ones. Text that goes round in circles has fewer.
LEAST_WORDS, DIFFERENT = 12, 50
QUESTIONS = (
    "Explain how rain forms.",
    "Write a short letter of thanks to a neighbour.",
    "What is a good way to learn to cook?",
    "Tell me about the history of bicycles.",
)


def measure(folder: Path, corpus: list[str], quick: bool) -> Iterator[str]:
    torch.set_num_threads(1)
    tokens = QUICK_TOKENS if quick else TOKENS
    questions = QUESTIONS[:2] if quick else QUESTIONS
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def generate(question: str, processors: list[Any], **options: Any) -> tuple[str, float]:
        chat = [{"role": "user", "content": question}]
        inputs = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        began = time.process_time()
        out = model.generate(
            **inputs, max_new_tokens=tokens, do_sample=False,
            pad_token_id=tokenizer.eos_token_id, logits_processor=LogitsProcessorList(processors),
            **options,
        )  # fmt: skip
        spent = time.process_time() - began
        said = out[0, inputs["input_ids"].shape[1] :]
        return tokenizer.decode(said, skip_special_tokens=True), spent

    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        # What the model would say by itself is private here, so that it wants to leak.
        told = [generate(question, [])[0] for question in questions]
        rows = [{"id": str(n), "text": text} for n, text in enumerate([*told, *corpus])]
        (home / "told.jsonl").write_text("\n".join(map(json.dumps, rows)))
        build([str(home / "told.jsonl")], home / "told", KEY, jobs=1)
        (home / "rest.jsonl").write_text("\n".join(map(json.dumps, rows[len(told) :])))
        build([str(home / "rest.jsonl")], home / "rest", KEY, jobs=1)
        leaking = Guardrail.from_policy(indexes=[home / "told"], key=KEY)
        clean = Guardrail.from_policy(indexes=[home / "rest"], key=KEY)
        times: dict[str, list[float]] = {"without": [], "clean": [], "near": []}
        ask = QUESTIONS[0]
        fixed = {"min_new_tokens": tokens}
        for _ in range(2 if quick else 7):
            times["without"].append(generate(ask, [], **fixed)[1])
            times["clean"].append(generate(ask, [MemFree(clean, tokenizer)], **fixed)[1])
            times["near"].append(generate(ask, [MemFree(leaking, tokenizer)], **fixed)[1])
        best = {kind: min(values) for kind, values in times.items()}
        slower = {kind: 100 * (best[kind] / best["without"] - 1) for kind in ("clean", "near")}
        per_token = 1000 * best["without"] / tokens
        reached = "reached" if slower["clean"] <= 5 else "missed"
        yield f"SmolLM2-135M-Instruct, {tokens} tokens, one thread, time of the processor, least of"
        yield f"{len(times['clean'])} runs in turn: {per_token:.1f} ms a token without MemFree;"
        yield f"{slower['clean']:+.1f} % with it, {slower['near']:+.1f} % where the answer is one"
        yield f"that it has to go around (goal: 5 %: {reached}).\n"
        recovered = kept = would = 0
        for question in questions:
            said, _ = generate(question, [])
            if leaking.check(said).action is Action.ALLOW:
                continue
            would += 1
            other, _ = generate(question, [MemFree(leaking, tokenizer)])
            acted = [f.kind for f in leaking.check(other).findings if f.action >= Action.REDACT]
            kept += "verbatim" not in acted
            common = next(
                (n for n, (a, b) in enumerate(zip(said, other, strict=False)) if a != b), len(other)
            )
            words = re.findall(r"\w+", other[common:].lower())
            useful = len(words) >= LEAST_WORDS and 100 * len(set(words)) >= DIFFERENT * len(words)
            recovered += useful and not acted
        yield f"{would} answers that would leak from their first word on: {kept} came out without a"
        yield f"verbatim run that is redacted, and {recovered} of all went on usefully: with"
        yield f"{LEAST_WORDS} words or more, {DIFFERENT} % of them different ones, and without an"
        yield "edited copy that a check redacts.\n"
