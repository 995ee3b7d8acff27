"""MemFree decoding in vLLM: a processor of logits for each request.

vLLM calls such a function with the tokens that were generated so far and the logits of the next one
(its `RequestLogitsProcessor`). Give `new_request` to an `AdapterLogitsProcessor`:

    class MemFreeProcessor(AdapterLogitsProcessor):
        def is_argmax_invariant(self) -> bool:
            return False

        def new_req_logits_processor(self, params):
            return new_request(GUARDRAIL, TOKENIZER)

vLLM needs a GPU or a build of one's own and is not run in the tests; this function is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from guardrail import Guardrail
from guardrail.integrations.transformers import MemFree

RequestLogitsProcessor = Callable[[list[int], torch.Tensor], torch.Tensor]


def new_request(guardrail: Guardrail, tokenizer: Any) -> RequestLogitsProcessor:
    """The processor of one request."""
    return MemFree(guardrail, tokenizer).mask
