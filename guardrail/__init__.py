"""corpus-guardrail: keeps private text out of the responses of language models.

    from guardrail import Guardrail

    guardrail = Guardrail.from_policy(indexes=["mail.index"], key="corpus.key")
    verdict = guardrail.check(response)

Names are imported when they are first used, so that `import guardrail` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guardrail.assembly import Guardrail
    from guardrail.detector import Context, Detector, Entitlements
    from guardrail.errors import GuardrailError
    from guardrail.findings import Action, Evidence, Failure, Finding, Span, Verdict
    from guardrail.keys import Key, load_key, new_key, write_key
    from guardrail.policy import Policy
    from guardrail.policy_file import default_policy, load_policy
    from guardrail.stream import StreamFilter

__version__ = "0.1.0"

_HOMES = {
    "Action": "findings",
    "Context": "detector",
    "Detector": "detector",
    "Entitlements": "detector",
    "Evidence": "findings",
    "Failure": "findings",
    "Finding": "findings",
    "Guardrail": "assembly",
    "GuardrailError": "errors",
    "Key": "keys",
    "Policy": "policy",
    "Span": "findings",
    "StreamFilter": "stream",
    "Verdict": "findings",
    "default_policy": "policy_file",
    "load_key": "keys",
    "load_policy": "policy_file",
    "new_key": "keys",
    "write_key": "keys",
}

__all__ = [
    "Action",
    "Context",
    "Detector",
    "Entitlements",
    "Evidence",
    "Failure",
    "Finding",
    "Guardrail",
    "GuardrailError",
    "Key",
    "Policy",
    "Span",
    "StreamFilter",
    "Verdict",
    "default_policy",
    "load_key",
    "load_policy",
    "new_key",
    "write_key",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'guardrail' has no attribute {name!r}")
    return getattr(import_module(f"guardrail.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
