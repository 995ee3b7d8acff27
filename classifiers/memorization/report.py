"""What a calibration is worth, as JSON and as one HTML page with plots."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from guardrail.classifiers.memorization.calibration import BEHIND, Calibration, expected_error

Floats = NDArray[np.float64]
SIZE, MARGIN = 320, 40


@dataclass(frozen=True, slots=True)
class Plot:
    """A square plot of points in 0..1 x 0..1."""

    title: str
    across: str
    up: str
    points: Sequence[tuple[float, float]]
    line: bool = True

    def svg(self) -> str:
        """The plot as an SVG element; colours follow the reader's light or dark mode."""
        full = SIZE + 2 * MARGIN

        def at(point: tuple[float, float]) -> str:
            return f"{MARGIN + point[0] * SIZE:.1f},{MARGIN + (1 - point[1]) * SIZE:.1f}"

        marks = "".join(
            f'<text x="{MARGIN + share * SIZE:.0f}" y="{full - 22}" text-anchor="middle">{share:g}'
            f'</text><text x="{MARGIN - 6}" y="{MARGIN + (1 - share) * SIZE + 4:.0f}" '
            f'text-anchor="end">{share:g}</text>'
            for share in (0.0, 0.5, 1.0)
        )
        shape = f'<polyline class="line" points="{" ".join(map(at, self.points))}"/>'
        if not self.line:
            shape += "".join(
                '<circle class="dot" r="3" cx="{}" cy="{}"/>'.format(*at(point).split(","))
                for point in self.points
            )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{full}" height="{full}" '
            f'viewBox="0 0 {full} {full}" role="img" aria-label="{html.escape(self.title)}">'
            "<style>text{font:12px sans-serif;fill:#777}.frame,.chance{fill:none;stroke:#999}"
            ".chance{stroke-dasharray:4}.line{fill:none;stroke:#07c;stroke-width:2}.dot{fill:#07c}"
            f'</style><rect class="frame" x="{MARGIN}" y="{MARGIN}" width="{SIZE}" '
            f'height="{SIZE}"/><path class="chance" d="M{at((0, 0))}L{at((1, 1))}"/>{marks}{shape}'
            f'<text x="{full / 2}" y="22" text-anchor="middle">{html.escape(self.title)}</text>'
            f'<text x="{full / 2}" y="{full - 6}" text-anchor="middle">{html.escape(self.across)}'
            f'</text><text x="12" y="{full / 2}" text-anchor="middle" '
            f'transform="rotate(-90 12 {full / 2})">{html.escape(self.up)}</text></svg>'
        )


def roc(scores: Floats, labels: Floats) -> tuple[list[tuple[float, float]], float]:
    """The points (false positive rate, true positive rate) of a ROC curve, and the area under it;
    equal scores count half."""
    order = np.argsort(-scores, kind="stable")
    ranked, hit = scores[order], labels[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    true = np.concatenate(([0.0], np.cumsum(hit)[last] / max(hit.sum(), 1)))
    false = np.concatenate(([0.0], np.cumsum(1 - hit)[last] / max((1 - hit).sum(), 1)))
    area = float(np.trapezoid(true, false))
    keep = np.unique(np.linspace(0, len(true) - 1, 400).astype(int))
    return list(zip(false[keep].tolist(), true[keep].tolist(), strict=True)), area


def reliability(probabilities: Floats, labels: Floats, bins: int = 10) -> list[dict[str, float]]:
    """For each bin that is not empty: mean probability, share of recited texts, count."""
    bin_of = np.minimum((probabilities * bins).astype(int), bins - 1)
    rows = []
    for number in np.unique(bin_of).tolist():
        inside = bin_of == number
        rows.append(
            {
                "probability": float(probabilities[inside].mean()),
                "recited": float(labels[inside].mean()),
                "count": int(inside.sum()),
            }
        )
    return rows


def report(
    calibration: Calibration,
    decisions: Floats,
    labels: Floats,
    kinds: Sequence[str],
    ambiguous: int,
) -> dict[str, Any]:
    """Figures on labelled texts that the calibration was not fitted on, JSON-ready."""
    points, area = roc(decisions, labels)
    probabilities = np.array([calibration.probability(value) for value in decisions.tolist()])
    thresholds = []
    for share in (0.05, 0.01, 0.001):
        row: dict[str, Any] = {"false_positives": share, "negatives_behind": calibration.negatives}
        if calibration.negatives >= BEHIND / share:
            row["decision"] = calibration.threshold(share)
            row["found"] = float((decisions[labels == 1] >= row["decision"]).mean())
            row["fired"] = float((decisions[labels == 0] >= row["decision"]).mean())
        else:
            row["needs"] = int(BEHIND / share)
        thresholds.append(row)
    return {
        "manifest": dict(calibration.manifest),
        "prevalence": calibration.prevalence,
        "held_out": {"recited": int(labels.sum()), "ordinary": int((1 - labels).sum())},
        "ambiguous_left_out": ambiguous,
        "area": area,
        "expected_calibration_error": expected_error(probabilities, labels),
        "thresholds": thresholds,
        "kinds": [
            {
                "kind": kind,
                "texts": sum(1 for other in kinds if other == kind),
                "mean_probability": float(probabilities[np.array(kinds) == kind].mean()),
            }
            for kind in sorted(set(kinds))
        ],
        "roc": points,
        "reliability": reliability(probabilities, labels),
    }


def plots(values: dict[str, Any]) -> list[Plot]:
    """The plots of a report."""
    return [
        Plot("ROC", "false positives", "recited texts found", values["roc"]),
        Plot(
            "Reliability",
            "probability given",
            "share recited",
            [(row["probability"], row["recited"]) for row in values["reliability"]],
            line=False,
        ),
    ]


def page(values: dict[str, Any]) -> str:
    """A report as one HTML page that needs nothing else."""
    thresholds = [
        (
            f"{row['false_positives']:.1%}",
            f"{row['decision']:.2f}" if "decision" in row else f"needs {row['needs']:,} negatives",
            f"{row['found']:.1%}" if "found" in row else "",
            f"{row['negatives_behind']:,}",
        )
        for row in values["thresholds"]
    ]
    kinds = [
        (row["kind"], row["texts"], f"{row['mean_probability']:.3f}") for row in values["kinds"]
    ]
    held = values["held_out"]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Calibration</title>"
        "<style>body{font:16px sans-serif;max-width:56rem;margin:2rem auto;color-scheme:light dark}"
        "td,th{padding:.2rem .8rem;text-align:left}</style><h1>Calibration</h1>"
        f"<p>On {held['recited']} recited and {held['ordinary']} ordinary texts that the figures' "
        f"fit did not see; {values['ambiguous_left_out']} ambiguous ones left out. Area under the "
        f"ROC curve {values['area']:.4f}, expected calibration error "
        f"{values['expected_calibration_error']:.3f}, prevalence {values['prevalence']:.3f}.</p>"
        + "".join(plot.svg() for plot in plots(values))
        + _table(("false positives", "decision value", "found", "negatives behind"), thresholds)
        + _table(("kind", "texts", "mean probability"), kinds)
        + "</html>"
    )


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    def line(cells: Iterable[object], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(str(c))}</{tag}>" for c in cells) + "</tr>"

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
