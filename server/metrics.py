"""What Prometheus is told. The names of HTTP's follow OpenTelemetry's semantic conventions."""

from __future__ import annotations

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from guardrail.findings import Verdict

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"


class Metrics:
    """The numbers of one process. Labels hold names of routes, actions and detectors, and never
    anything that a caller sent."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Histogram(
            "http_server_request_duration_seconds",
            "Time from the first byte of a request to the last of its response.",
            ("http_request_method", "http_route", "http_response_status_code"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.active = Gauge(
            "http_server_active_requests",
            "Requests being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.checks = Counter(
            "guardrail_checks_total", "Verdicts, by what they say.", ("action",), registry=registry
        )
        self.check_seconds = Histogram(
            "guardrail_check_duration_seconds",
            "Time to judge one text, without waiting.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.checked_chars = Counter(
            "guardrail_checked_characters_total", "Characters judged.", registry=registry
        )
        self.failures = Counter(
            "guardrail_detector_failures_total",
            "Texts that a detector could not judge.",
            ("detector",),
            registry=registry,
        )
        self.waiting = Gauge(
            "guardrail_checks_unfinished",
            "Checks that run or wait.",
            registry=registry,
            multiprocess_mode="livesum",
        )

    def verdict(self, verdict: Verdict, chars: int) -> None:
        """Count a verdict on a text of `chars` code points."""
        self.checks.labels(str(verdict.action)).inc()
        self.checked_chars.inc(chars)
        self.check_seconds.observe(verdict.timings.get("total", 0.0))
        for failure in verdict.failures:
            self.failures.labels(failure.detector).inc()

    def exposition(self) -> bytes:
        """The numbers in Prometheus's text format; of all worker processes where there are
        several."""
        if SHARED_FOLDER not in os.environ:
            return generate_latest(self._registry)
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
        return generate_latest(shared)

    def close(self) -> None:
        """Take this process out of the numbers of all worker processes."""
        if SHARED_FOLDER in os.environ:
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]
