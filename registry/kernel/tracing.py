"""Traces: from a request to the last receipt of what it asked for (ADR 0033).

Off until `install` is given a provider: then every function here costs one comparison.
Sources: W3C Trace Context; OpenTelemetry specification, tracing API.
"""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.trace import (
    NoOpTracer,
    Tracer,
    TracerProvider,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from structlog.typing import EventDict, WrappedLogger

NAME = "milkiyat"

_NOTHING: Tracer = NoOpTracer()
_W3C = TraceContextTextMapPropagator()


class _Installed:
    tracer: Tracer = _NOTHING


def install(provider: TracerProvider | None) -> None:
    """Trace with a provider from now on; None turns it off."""
    _Installed.tracer = provider.get_tracer(NAME) if provider else _NOTHING


def is_on() -> bool:
    return _Installed.tracer is not _NOTHING


def tracer() -> Tracer:
    return _Installed.tracer


def current_traceparent() -> str | None:
    """Give the place of the current span in its trace, as the header `traceparent` says it."""
    if not is_on():
        return None
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get("traceparent")


def context_of(headers: Mapping[str, str]) -> Context:
    """Read `traceparent` and `tracestate`; what cannot be read begins a trace of its own."""
    return _W3C.extract(headers, context=Context())


def add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Name the trace in a line of the log, so that one leads to the other."""
    if is_on():
        place = get_current_span().get_span_context()
        if place.is_valid:
            event["trace_id"] = f"{place.trace_id:032x}"
            event["span_id"] = f"{place.span_id:016x}"
    return event
