"""Words in the parameters of addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from guardrail.views.pieces import UNITS, Pieces, joined
from guardrail.views.tallies import PIECES
from guardrail.views.view import Source, View

_PARAMETER = re.compile(r"[?&;][\w.\-\[\]%]{1,32}=([^&;\s#\"'<>]{1,100})")


def find_parameters(source: Source) -> Iterator[View]:
    """A view of the values of parameters, one after the other."""
    if source.text.count("=") < PIECES or source.text.count("&") < PIECES - 1:
        return
    values = [match.span(1) for match in _PARAMETER.finditer(source.text)]
    if len(values) >= PIECES:
        groups = np.array([[len(values), 0]])
        told = source.points, np.array(values), groups, PIECES, UNITS
        yield from Pieces(source, ("parameters",), joined, *told)
