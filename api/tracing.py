"""Traces of requests, and where they are sent: OTLP over HTTP, by the standard OTEL_* settings.

Only the route and the status are told of a request, never its path or query: they may name a
person (ADR 0033).
"""

from __future__ import annotations

import os

from opentelemetry.trace import SpanKind, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry.kernel import tracing
from registry.kernel.settings import Settings

SERVER_FAULT = 500


def start_tracing(settings: Settings, version: str) -> None:
    """Send traces to the collector that the settings name; without one nothing is loaded."""
    if not settings.is_traced:
        return
    # Loaded only now: protobuf and the SDK take a tenth of a second.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource.create({"service.version": version, "process.pid": os.getpid()})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": tracing.NAME}))
    # The SDK itself reads what else OTEL_* says: headers, sampler, sizes of its queue.
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracing.install(provider)


class TraceRequests:
    """One span for each request, in the trace of the caller's `traceparent`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not tracing.is_on():
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        with tracing.tracer().start_as_current_span(
            method,
            context=tracing.context_of(Headers(scope=scope)),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method},
        ) as span:

            async def note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status = message["status"]
                    span.set_attribute("http.response.status_code", status)
                    if status >= SERVER_FAULT:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            await self._app(scope, receive, note)
            if route := scope.get("route"):
                span.update_name(f"{method} {route.path}")
                span.set_attribute("http.route", route.path)
