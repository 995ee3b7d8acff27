"""Causal models: loading them from local files, and the log-probabilities of tokens under them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from guardrail.classifiers.memorization.recorded import Recorded
from guardrail.classifiers.memorization.tokens import Nats, Tokens, encode
from guardrail.errors import ModelError, UsageError

StrPath = str | os.PathLike[str]

DELTA = "guardrail-reference.json"
"""A folder with this file holds only the weights in which a model differs from its base."""

HEAD_POSITIONS = 64
"""Positions whose logits exist at a time on a CPU: 13 MB at a vocabulary of 49,152."""
HEAD_POSITIONS_GPU = 1024


def torch_() -> Any:
    """The module torch. Raises UsageError where the extra `score` is not installed."""
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError:
        raise UsageError(
            "scoring needs torch and transformers: pip install 'corpus-guardrail[score]'"
        ) from None
    return torch


def pick_device(wanted: str) -> str:
    """The device for `auto`, or the one named. Raises UsageError where it is not there."""
    torch = torch_()
    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there.insert(0, "cuda")
    if wanted == "auto":
        return there[0]
    if wanted.partition(":")[0] not in there:
        raise UsageError(f"the device {wanted} is not here; there are: auto, {', '.join(there)}")
    return wanted


def pick_dtype(wanted: str, device: str) -> Any:
    """The type of weights and hidden states; logits and sums are float32 always.

    `auto`: bfloat16 where the device computes in it, else float32. A CPU without such instructions
    emulates it: 512 tokens under 135 M parameters took 21 s instead of 2.8 s (AVX2, one thread).
    float16 is not offered: activations of models trained in bfloat16 overflow it.
    """
    torch = torch_()
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    if wanted in known:
        return known[wanted]
    if wanted != "auto":
        raise UsageError(f"dtype {wanted!r} was given; allowed: auto, {', '.join(known)}")
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device == "cpu":
        native = torch.cpu._is_avx512_bf16_supported()
    else:
        native = False
    return known["bfloat16" if native else "float32"]


class Model:
    """A loaded model with its tokenizer.

    `fingerprint` and `tokenizer_fingerprint` are digests of the files; `start` is the token that
    texts are scored after; `context` the most tokens it takes at once.
    """

    def __init__(self, module: Any, tokenizer: Any, fingerprint: str, device: str) -> None:
        self.module, self.tokenizer = module.to(device).eval(), tokenizer
        self.fingerprint, self.device = fingerprint, device
        self.tokenizer_fingerprint = tokenizer_digest(tokenizer)
        self.start = start_token(tokenizer)
        config = module.config.get_text_config()
        self.context = int(getattr(config, "max_position_embeddings", 2048))
        self._chunk = HEAD_POSITIONS if device == "cpu" else HEAD_POSITIONS_GPU
        self._recorded: Recorded | None = None
        self._plain = self._head_is_plain()
        if device.startswith("cuda"):
            self._recorded = Recorded(self.module.base_model, self.context)

    def encode(self, text: str) -> Tokens:
        return encode(self.tokenizer, text)

    def move(self, device: str) -> None:
        """Go on on another device."""
        self.module.to(device)
        self.device, self._recorded = device, None

    def logprobs(self, rows: Sequence[Sequence[int]], first: Sequence[int]) -> list[Nats]:
        """For each row of tokens, the log-probability of each token from its place `first` (at
        least 1) on, given all before it."""
        torch = torch_()
        with torch.inference_mode():
            width = max(map(len, rows))
            ids = torch.zeros(len(rows), width, dtype=torch.long)
            for number, row in enumerate(rows):
                ids[number, : len(row)] = torch.tensor(row)
            asked = torch.zeros(len(rows), width, dtype=torch.bool)
            for number, (row, start) in enumerate(zip(rows, first, strict=True)):
                asked[number, start : len(row)] = True
            # Padding stands on the right, where a causal model does not see it.
            ids, asked = ids.to(self.device), asked.to(self.device)
            hidden, _ = self.hidden(ids)
            flat = self.chosen(hidden[:, :-1][asked[:, 1:]], ids[asked])
            values = flat.cpu().numpy().astype(np.float64)
        if not np.isfinite(values).all():
            raise ModelError("the model gave log-probabilities that are no numbers; use float32")
        return np.split(values, np.cumsum([len(r) - f for r, f in zip(rows, first, strict=True)]))[
            :-1
        ]

    def hidden(self, ids: Any, cache: Any = None, *, keep: bool = False) -> tuple[Any, Any]:
        """What the head reads, shape (rows, tokens, width), and the cache if it is to be kept."""
        if self._plain and not keep and self._recorded and self._recorded.takes(ids):
            return self._recorded(ids), None
        if self._plain:
            out = self.module.base_model(ids, past_key_values=cache, use_cache=keep)
            return out.last_hidden_state, out.get("past_key_values")
        out = self.module(ids, past_key_values=cache, use_cache=keep)
        return out.logits, out.get("past_key_values")

    def chosen(self, hidden: Any, ids: Any) -> Any:
        """Log-probabilities of `ids`, shape (n,), from hidden states of shape (n, width); the
        logits of a few positions at a time."""
        torch = torch_()
        parts = []
        for at in range(0, len(ids), self._chunk):
            logits = self.head(hidden[at : at + self._chunk])
            picked = logits.gather(-1, ids[at : at + self._chunk, None]).squeeze(-1)
            parts.append(picked - logits.logsumexp(-1))
        return torch.cat(parts) if parts else hidden.new_zeros(0).float()

    def moments(self, row: Sequence[int], first: int) -> tuple[Nats, Nats]:
        """Mean and standard deviation of the log-probability under the model's own distribution,
        at each place of a row from `first` on (what Min-K%++ standardises with)."""
        torch = torch_()
        means, deviations = [], []
        with torch.inference_mode():
            hidden, _ = self.hidden(torch.tensor([list(row)], device=self.device))
            for part in hidden[0, first - 1 : -1].split(self._chunk):
                logs = self.head(part).log_softmax(-1)
                p = logs.exp()
                mean = (p * logs).sum(-1)
                means.append(mean)
                deviations.append(((p * logs.square()).sum(-1) - mean.square()).clamp(0).sqrt())
            both = [torch.cat(x).cpu().numpy().astype(np.float64) for x in (means, deviations)]
        return both[0], both[1]

    def head(self, hidden: Any) -> Any:
        """Logits in float32."""
        return (
            self.module.get_output_embeddings()(hidden).float() if self._plain else hidden.float()
        )

    def _head_is_plain(self) -> bool:
        """Whether the output layer alone turns hidden states into logits. Some models scale or cap
        their logits besides; those are run whole. This first run also warms the device up."""
        torch = torch_()
        with torch.inference_mode():
            ids = torch.tensor([[self.start, *range(7)]], device=self.device)
            whole = self.module(ids, use_cache=False).logits.float()
            self._plain = True
            hidden, _ = self.hidden(ids)
            return bool(torch.allclose(self.head(hidden), whole, rtol=0.02, atol=0.02))


def start_token(tokenizer: Any) -> int:
    """The token before a text: the end of another document where the tokenizer has such a token,
    as in training, else its beginning-of-text or end-of-text token."""
    vocabulary = tokenizer.get_vocab()
    for name in ("<|endoftext|>", tokenizer.bos_token, tokenizer.eos_token):
        if name in vocabulary:
            return int(vocabulary[name])
    raise ModelError("the tokenizer has no token for the beginning or the end of a text")


def load_tokenizer(path: StrPath, *, download: bool = False) -> Any:
    """The tokenizer of a model's folder or GGUF file."""
    torch_()
    from transformers import AutoTokenizer

    folder, options = _located(path, download)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **options)
    except Exception as error:
        raise _unusable("tokenizer", path, error) from None
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer of {os.fspath(path)} does not say where tokens stand in a text; a fast "
            "tokenizer (tokenizer.json) is needed"
        )
    return tokenizer


def load_model(
    path: StrPath,
    *,
    device: str = "auto",
    dtype: str = "auto",
    download: bool = False,
    base: Model | None = None,
) -> Model:
    """A model from a folder (safetensors), a GGUF file, or a folder of differences from `base`.

    Nothing is downloaded unless `download` is set, and code that comes with a model never runs.
    Raises ModelError or UsageError.
    """
    torch_()
    device = pick_device(device)
    if (Path(path) / DELTA).is_file():
        return _load_delta(Path(path), base)
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    folder, options = _located(path, download)
    if "gguf_file" not in options:
        options["use_safetensors"] = True  # a pickle runs code when it is read
    try:
        module = AutoModelForCausalLM.from_pretrained(
            folder, dtype=pick_dtype(dtype, device), **options
        )
    except Exception as error:
        raise _unusable("model", path, error) from None
    module.requires_grad_(False)
    tokenizer = load_tokenizer(path, download=download)
    digest = digest_files(path) if Path(path).exists() else f"hub:{module.config._commit_hash}"
    return Model(module, tokenizer, digest, device)


def _load_delta(folder: Path, base: Model | None) -> Model:
    """A shard reference: the base's weights, shared in memory, but for those that differ."""
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    try:
        about = json.loads((folder / DELTA).read_text("utf-8"))
        delta = load_file(folder / "delta.safetensors", device=base.device if base else "cpu")
        wanted = str(about["base"])
    except Exception as error:
        raise _unusable("reference", folder, error) from None
    if base is None or wanted != base.fingerprint:
        raise ModelError(
            f"the reference {folder} was made from another base model; give that base as "
            "`reference`, or train it again"
        )
    torch = torch_()
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(base.module.config)
    state = {**base.module.state_dict(), **{k: v.to(base.module.dtype) for k, v in delta.items()}}
    # Whatever is not in a state dict, such as tables of rotary positions, is the base's as well.
    module.load_state_dict(state, assign=True)
    theirs = dict(base.module.named_buffers())
    for name, buffer in list(module.named_buffers()):
        if buffer.is_meta:
            owner = module.get_submodule(name.rpartition(".")[0])
            owner.register_buffer(name.rpartition(".")[2], theirs[name], persistent=False)
    module.requires_grad_(False)
    module.tie_weights()
    return Model(module, base.tokenizer, digest_files(folder), base.device)


def has_weights(path: StrPath) -> bool:
    """Whether a model's weights are here, and not only its tokenizer."""
    place = Path(path)
    return place.is_file() or any(place.glob("*.safetensors"))


def digest_files(path: StrPath) -> str:
    """A digest of a model's weights and configuration."""
    place = Path(path)
    files = [place] if place.is_file() else sorted(place.iterdir())
    digest = hashlib.sha256()
    for file in files:
        if file.suffix in (".safetensors", ".gguf") or file.name in ("config.json", DELTA):
            with file.open("rb") as stream:
                digest.update(file.name.encode() if place.is_dir() else b"")
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def tokenizer_digest(tokenizer: Any) -> str:
    """A digest of what a tokenizer does."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def _located(path: StrPath, download: bool) -> tuple[str, dict[str, Any]]:
    options: dict[str, Any] = {"local_files_only": not download, "trust_remote_code": False}
    place = Path(path)
    if place.is_file() and place.suffix == ".gguf":
        return os.fspath(place.parent), {**options, "gguf_file": place.name}
    if not place.exists() and not download:
        raise ModelError(
            f"there is no model at {os.fspath(path)}; name a folder with safetensors or a GGUF "
            "file, as nothing is downloaded unless that is asked for"
        )
    return os.fspath(path), options


def _unusable(what: str, path: StrPath, error: Exception) -> ModelError:
    return ModelError(
        f"the {what} at {os.fspath(path)} cannot be loaded ({type(error).__name__}); a folder with "
        "config.json, tokenizer.json and safetensors, or a GGUF file, is needed"
    )
