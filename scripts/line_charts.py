"""Small line charts side by side, as SVG: what bench_evasion.py draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, GAP = 230, 190, 26
LEFT, TOP, LEGEND = 44, 30, 26
COLOURS = ("#0b6e4f", "#c1440e", "#3a5a98", "#8a6d1d", "#7b3f8c", "#555555")

Series = Mapping[str, Sequence[float | None]]


def line_charts(path: Path, panels: Mapping[str, Series], ticks: Sequence[str], label: str) -> None:
    """Write a chart for each panel: one line a series, shares 0..1 over `ticks`, named `label`.

    A value of None leaves a gap. The same name has the same colour in all panels.
    """
    names = list(dict.fromkeys(name for series in panels.values() for name in series))
    colour = dict(zip(names, COLOURS, strict=False))
    width = LEFT + len(panels) * (WIDTH + GAP)
    height = TOP + HEIGHT + 44 + LEGEND
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#222">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (title, series) in enumerate(panels.items()):
        lines += _panel(LEFT + number * (WIDTH + GAP), title, series, ticks, colour, number == 0)
    lines.append(_text(LEFT + (width - LEFT) / 2, TOP + HEIGHT + 36, label, anchor="middle"))
    x = float(LEFT)
    for name in names:
        y = TOP + HEIGHT + 44 + LEGEND / 2
        lines.append(f'<path d="M{x:.0f} {y:.0f}h18" stroke="{colour[name]}" stroke-width="2"/>')
        lines.append(_text(x + 23, y + 4, name))
        x += 40 + 6.2 * len(name)
    path.write_text("\n".join([*lines, "</svg>", ""]), encoding="utf-8")


def _panel(
    left: float,
    title: str,
    series: Series,
    ticks: Sequence[str],
    colour: Mapping[str, str],
    scale: bool,
) -> list[str]:
    def at(place: int, share: float) -> tuple[float, float]:
        return left + WIDTH * (place + 0.5) / len(ticks), TOP + HEIGHT * (1 - share)

    lines = [_text(left + WIDTH / 2, TOP - 12, title, anchor="middle", weight="bold")]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = TOP + HEIGHT * (1 - share)
        lines.append(f'<path d="M{left:.0f} {y:.1f}h{WIDTH}" stroke="#ddd"/>')
        if scale:
            lines.append(_text(left - 6, y + 4, f"{share:.0%}", anchor="end"))
    for place, tick in enumerate(ticks):
        lines.append(_text(at(place, 0)[0], TOP + HEIGHT + 16, tick, anchor="middle"))
    for name, values in series.items():
        points = [at(n, value) for n, value in enumerate(values) if value is not None]
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        stroke = f'fill="none" stroke="{colour[name]}" stroke-width="2"'
        lines.append(f'<polyline points="{drawn}" {stroke}/>')
        lines += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour[name]}"/>' for x, y in points
        ]
    return lines


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
