"""From bytes that an encoding held to the text that they are, or are not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.text import Offsets
from guardrail.views.view import Draft

Bytes = NDArray[np.uint8]

# Of random bytes 38 in 100 are printable ASCII; text is all printable, or nearly where more than
# the text was decoded.
READABLE = 0.7
_WIDTHS = np.array([0x80, 0x800, 0x10000], np.uint32)


def put_bytes(draft: Draft, data: Bytes, starts: Offsets, ends: Offsets) -> bool:
    """Put the text that bytes are into a draft, if they are text: UTF-8, UTF-16 or Latin-1.

    `starts` and `ends` are the range of the source for each byte.
    """
    if len(data) < 2:
        return False
    zero = data == 0
    for first, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Text of an alphabet has a zero in most code units, in the same half of them.
        if 2 * np.count_nonzero(zero[first::2]) > len(data) // 2 and not zero[1 - first :: 2].any():
            return _put_utf16(draft, data, starts, ends, codec)
    text = data.tobytes().decode("utf-8", "surrogateescape")
    if text.isascii():
        points = data.astype(np.uint32)
    else:
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    stray = (points >= 0xDC80) & (points < 0xDD00)
    if not _readable(points, stray):
        return False
    if len(points) == len(data) and not stray.any():
        draft.put(text, starts, ends)
        return True
    sizes = 1 + np.searchsorted(_WIDTHS, points, "right")
    sizes[stray] = 1
    after = np.cumsum(sizes)
    plain = np.where(stray, points - 0xDC00, points).astype(np.uint32)
    text = plain.tobytes().decode("utf-32-le", "surrogatepass")
    draft.put(text, starts[after - sizes], ends[after - 1])
    return True


def put_points(draft: Draft, points: NDArray[np.uint32], starts: Offsets, ends: Offsets) -> bool:
    """The same for code points that an encoding held as numbers."""
    if len(points) and int(points.max()) < 0x110000 and _readable(points, points != points):
        draft.put(points.tobytes().decode("utf-32-le", "surrogatepass"), starts, ends)
        return True
    return False


def _put_utf16(draft: Draft, data: Bytes, starts: Offsets, ends: Offsets, codec: str) -> bool:
    even = len(data) // 2 * 2
    units = data[:even].view("<u2" if codec.endswith("le") else ">u2").astype(np.uint32)
    # A pair of surrogates is left as two: a letter beyond the first plane is rare enough here.
    return put_points(draft, units, starts[0:even:2], ends[1:even:2])


def _readable(points: NDArray[np.uint32], stray: NDArray[np.bool_]) -> bool:
    good = (points >= 0x20) & (points != 0x7F) & ~((points >= 0x80) & (points < 0xA0))
    good |= (points >= 9) & (points <= 13)
    good &= ~stray
    return int(np.count_nonzero(good)) >= READABLE * len(points)
