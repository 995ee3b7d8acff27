"""The census as one HTML page with plots, which needs no network and no script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from guardrail.cli.output import printable

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1c2733;background:#fff}
h1{font-size:1.6rem;margin:0}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}p.note{color:#5a6875}
dl{display:flex;gap:2.5rem;margin:1.2rem 0}dt{color:#5a6875;font-size:.85rem}
dd{margin:0;font-size:1.5rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid #e3e8ed}
th:first-child,td:first-child{text-align:left}th{color:#5a6875;font-weight:600}
td{font-variant-numeric:tabular-nums}td:first-child{overflow-wrap:anywhere}
svg{display:block;max-width:100%;height:auto}svg text{font:13px system-ui,sans-serif;fill:#1c2733}
div.wide{overflow-x:auto}
"""
_BAR, _SOFT = "#2f6f9f", "#c9772b"
_COLLECTIONS = 8


def page(told: dict[str, Any]) -> str:
    """The page for a census as `Census.to_dict` gives it."""
    kinds, repeats = told["kinds"], told["duplication"]
    names = sorted(told["collections"], key=lambda name: -told["collections"][name]["chars"])
    shown = names[:_COLLECTIONS]
    repeated = sum(row["text"] for row in repeats["copies"] if row["least"] > 1)
    numbers = {
        "documents": f"{told['documents']:,}",
        "characters": f"{told['chars']:,}",
        "could not be read": f"{told['unreadable_count']:,}",
        "values": f"{sum(row['values'] for row in kinds.values()):,}",
        "text that repeats": f"{repeated:.1%}",
    }
    parts = [
        "<h1>Census of a corpus</h1>",
        '<p class="note">Personal data and secrets by their form, and passages that repeat. '
        "No value is shown.</p>",
        "<dl>"
        + "".join(f"<div><dt>{k}</dt><dd>{v}</dd></div>" for k, v in numbers.items())
        + "</dl>",
        "<h2>Values by kind</h2>",
        _bars([(kind, row["values"], f"{row['values']:,}") for kind, row in kinds.items()], _BAR),
        "<h2>By collection</h2>",
        _table(
            ["kind", "values", "different", "documents", *shown],
            (
                [
                    kind,
                    *(f"{row[name]:,}" for name in ("values", "distinct", "documents")),
                    *(f"{told['collections'][n]['kinds'].get(kind, 0):,}" for n in shown),
                ]
                for kind, row in kinds.items()
            ),
        ),
    ]
    if len(names) > len(shown):
        parts.append(f'<p class="note">The {len(shown)} largest of {len(names)} collections.</p>')
    parts += [
        "<h2>Documents with the most values</h2>",
        _table(
            ["document", "collection", "values", "kinds"],
            (
                [row["document"], row["collection"], f"{row['values']:,}", ", ".join(row["kinds"])]
                for row in told["most"][:50]
            ),
        ),
        "<h2>Text by how many documents hold it</h2>",
        f'<p class="note">Passages of {repeats["passage_units"]} letters and digits, '
        f"{repeats['sampled']:,} of about {repeats['distinct']:,} looked at. What stands in many "
        "documents is what a model learns by heart.</p>",
        _bars(
            [(_copies(row), row["text"], f"{row['text']:.2%}") for row in repeats["copies"]],
            _SOFT,
            logarithmic=False,
        ),
    ]
    if told["unreadable"]:
        parts += [
            "<h2>Could not be read</h2>",
            _table(
                ["source", "reason"],
                ([item["source"], item["reason"]] for item in told["unreadable"]),
            ),
        ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">"
        f"<title>Census of a corpus</title><style>{_STYLE}</style></head>\n<body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def _copies(row: dict[str, Any]) -> str:
    from guardrail.cli.audit import copies_label

    return copies_label(row)


def _bars(rows: Sequence[tuple[str, float, str]], colour: str, *, logarithmic: bool = True) -> str:
    """Horizontal bars; on a logarithmic scale, as kinds differ by orders of magnitude."""
    from math import log10

    if not rows:
        return "<p>None found.</p>"
    width, left, height = 760, 210, 24
    size = (lambda v: log10(1 + v)) if logarithmic else (lambda v: v)
    most = max(size(value) for _, value, _ in rows) or 1
    lines = []
    for number, (label, value, shown) in enumerate(rows):
        top = number * height
        long = round((width - left - 90) * size(value) / most, 1)
        lines.append(
            f'<text x="{left - 8}" y="{top + 16}" text-anchor="end">{_text(label)}</text>'
            f'<rect x="{left}" y="{top + 4}" width="{long}" height="{height - 8}" fill="{colour}"/>'
            f'<text x="{left + long + 6}" y="{top + 16}">{_text(shown)}</text>'
        )
    note = " (logarithmic scale)" if logarithmic else ""
    return (
        f'<svg viewBox="0 0 {width} {len(rows) * height}" role="img" aria-label="Bars{note}">'
        + "".join(lines)
        + "</svg>"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    names = "".join(f"<th>{_text(name)}</th>" for name in head)
    table = f"<table><thead><tr>{names}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>'


def _text(value: str) -> str:
    return escape(printable(value))
