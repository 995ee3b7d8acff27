"""Whether live scores still look like those that a calibration was made with."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from guardrail.classifiers.memorization.calibration import Calibration

WINDOW = 2000
LEAST = 200
# The largest distance of the two distributions that passes, beyond what chance explains. Live text
# holds recited passages too, so that a few per cent must not alarm.
TOLERANCE = 0.1


class Drift:
    """The last decision values, numbers only, against the calibration's negatives. Thread-safe."""

    def __init__(self, calibration: Calibration) -> None:
        self._null = np.sort(np.concatenate([np.array(null) for null in calibration.nulls]))
        self._live: deque[float] = deque(maxlen=WINDOW)
        self._lock = threading.Lock()

    def observe(self, decision: float) -> None:
        """Take note of one live decision value."""
        with self._lock:
            self._live.append(decision)

    def distance(self) -> float | None:
        """The Kolmogorov-Smirnov distance of live values and negatives; None of too few."""
        with self._lock:
            live = np.sort(np.array(self._live))
        if len(live) < LEAST or len(self._null) < LEAST:
            return None
        points = np.concatenate([live, self._null])
        shares = [np.searchsorted(v, points, side="right") / len(v) for v in (live, self._null)]
        return float(np.abs(shares[0] - shares[1]).max())

    def problem(self) -> str | None:
        """What is wrong, or None. Chance is allowed for at 1 in 1,000."""
        distance = self.distance()
        if distance is None:
            return None
        n, m = len(self._live), len(self._null)
        chance = 1.95 * np.sqrt((n + m) / (n * m))
        if distance <= TOLERANCE + chance:
            return None
        return (
            f"live scores are {distance:.2f} away from the calibration's negatives (at most "
            f"{TOLERANCE + chance:.2f} passes); calibrate again"
        )
