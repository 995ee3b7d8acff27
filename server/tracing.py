"""Traces in OpenTelemetry's form, sent over OTLP: a span for each request and one for each check.
Attributes hold names, counts and lengths, and never text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from guardrail import __version__
from guardrail.errors import UsageError
from guardrail.findings import Verdict


class Tracing:
    """Spans of one process; without an endpoint, none."""

    def __init__(self, endpoint: str | None) -> None:
        """`endpoint`: a collector, as `http://127.0.0.1:4318`. Raises UsageError where the extra
        is missing."""
        self._tracer: Any = None
        if endpoint is None:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace import SpanKind, use_span
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError:
            raise UsageError(
                "observe.otlp_endpoint needs an extra: pip install 'corpus-guardrail[otel]'"
            ) from None
        resource = Resource({"service.name": "corpus-guardrail", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("guardrail.server", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._server_kind, self._use_span = SpanKind.SERVER, use_span

    @contextmanager
    def request(self, scope: Mapping[str, Any], request_id: str) -> Iterator[Any]:
        """The span of a request, a child of the caller's where it sent a `traceparent`; None where
        there is no tracing."""
        if self._tracer is None:
            yield None
            return
        carrier = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in (b"traceparent", b"tracestate")
        }
        span = self._tracer.start_span(
            scope["method"],
            context=self._propagator.extract(carrier),
            kind=self._server_kind,
            attributes={"http.request.method": scope["method"], "guardrail.request": request_id},
        )
        with self._use_span(span, end_on_exit=True, record_exception=False):
            yield span

    def check(self, verdict: Verdict, chars: int, began_ns: int, ended_ns: int) -> None:
        """The span of a check that is over; times are nanoseconds since 1970."""
        if self._tracer is None:
            return
        attributes = {
            "guardrail.action": str(verdict.action),
            "guardrail.characters": chars,
            "guardrail.findings": len(verdict.findings),
            "guardrail.failures": len(verdict.failures),
        }
        span = self._tracer.start_span(
            "guardrail.check", start_time=began_ns, attributes=attributes
        )
        span.end(ended_ns)

    def close(self) -> None:
        """Send what is left."""
        if self._tracer is not None:
            self._provider.shutdown()
