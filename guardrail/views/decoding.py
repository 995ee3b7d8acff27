"""From bytes that an encoding held to the text that they are, or are not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from guardrail.jit import kernel
from guardrail.text import Offsets
from guardrail.views.view import Draft, Int, Points

Bytes = NDArray[np.uint8]

# Of random bytes 38 in 100 are printable ASCII; text is all printable, or nearly where more than
# the text was decoded.
READABLE = 0.7
# Bytes, which may be parts of a character, are told from code points by this bit.
IS_BYTE = 1 << 24
LAST = 0x10FFFF


def put_bytes(draft: Draft, data: Bytes, starts: Offsets, ends: Offsets) -> bool:
    """Put the text that bytes are into a draft, if they are text: UTF-8, UTF-16 or Latin-1.

    `starts` and `ends` are the range of the source for each byte.
    """
    if len(data) < 2:
        return False
    order = utf16_order(data)
    if order:
        even = len(data) // 2 * 2
        units = data[:even].view("<u2" if order == 1 else ">u2").astype(np.uint32)
        # A pair of surrogates is left as two: a letter beyond the first plane is rare enough here.
        return put_points(draft, units, starts[0:even:2], ends[1:even:2])
    points, starts, ends, readable = join_bytes(data | np.uint32(IS_BYTE), starts, ends)
    if readable < READABLE * len(points):
        return False
    draft.put(as_text(points), starts, ends)
    return True


def put_points(draft: Draft, points: Points, starts: Offsets, ends: Offsets) -> bool:
    """The same for code points that an encoding held as numbers."""
    if not len(points) or int(points.max()) > LAST:
        return False
    _, _, _, readable = join_bytes(points, starts, ends)
    if readable < READABLE * len(points):
        return False
    draft.put(as_text(points), starts, ends)
    return True


def as_text(points: Points) -> str:
    """Code points as a string, and bytes that are no part of a character as Latin-1."""
    return (points & np.uint32(IS_BYTE - 1)).tobytes().decode("utf-32-le", "surrogatepass")


@kernel()
def utf16_order(data: Bytes) -> int:
    """1 or 2 for UTF-16 that begins with the low or the high byte, 0 for what is neither.

    Text of an alphabet has a zero in most code units, in the same half of them.
    """
    zeros = np.zeros(2, np.int64)
    for index in range(len(data)):
        zeros[index & 1] += data[index] == 0
    units = len(data) // 2
    if zeros[0] == 0 and 2 * zeros[1] > units:
        return 1
    return 2 if zeros[1] == 0 and 2 * zeros[0] > units else 0


@kernel()
def join_bytes(
    points: Points, starts: Offsets, ends: Offsets
) -> tuple[Points, Offsets, Offsets, int]:
    """Code points and bytes (`IS_BYTE`) with the bytes joined to characters of UTF-8, those that
    are parts of none left as they are; and how many of all are readable."""
    out, first, last = points.copy(), starts.copy(), ends.copy()
    at = index = 0
    readable: Int = 0
    while index < len(points):
        point = np.int64(points[index])
        size: Int = 1
        if point & IS_BYTE:
            byte: Int = point & 255
            more = (byte >= 0xC2) + (byte >= 0xE0) + (byte >= 0xF0) if byte < 0xF5 else 0
            value: Int = byte & (0x7F >> (more + (more > 0)))
            for step in range(1, 1 + more):
                byte = np.int64(points[index + step] if index + step < len(points) else 0)
                if byte & IS_BYTE == 0 or not 0x80 <= byte & 255 < 0xC0:
                    break
                value = value << 6 | byte & 0x3F
                size += 1
            if size == 1 + more and (more or value < 128) and value <= LAST:
                point = value
            else:
                size = 1
        readable += (32 <= point < 127) or (9 <= point <= 13) or (0xA0 <= point <= LAST)
        out[at], first[at], last[at] = point, starts[index], ends[index + size - 1]
        at += 1
        index += size
    return out[:at], first[:at], last[:at], readable
