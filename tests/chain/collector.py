"""What receives traces: spans kept in this process, or an OTLP collector for other processes."""

from __future__ import annotations

import contextlib
import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from registry.kernel import tracing


@dataclass(frozen=True)
class Seen:
    """A span as it came over the wire."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    pid: int
    attributes: dict[str, str | int]


@dataclass
class Kept:
    """The spans of this process."""

    exporter: InMemorySpanExporter

    def all(self) -> list[Seen]:
        return [_kept(span) for span in self.exporter.get_finished_spans()]

    def of(self, operation_id: object) -> list[Seen]:
        return [each for each in self.all() if _is_of(each, operation_id)]

    def events(self, operation_id: object) -> list[str]:
        return [
            event.name
            for span in self.exporter.get_finished_spans()
            if _is_of(_kept(span), operation_id)
            for event in span.events
        ]

    def failures(self, operation_id: object) -> list[tuple[str, str | None]]:
        return [
            (span.name, span.status.description)
            for span in self.exporter.get_finished_spans()
            if _is_of(_kept(span), operation_id)
            and not span.status.is_ok
            and span.status.description
        ]


@contextlib.contextmanager
def kept_spans() -> Iterator[Kept]:
    """Trace into memory meanwhile."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.install(provider)
    try:
        yield Kept(exporter)
    finally:
        tracing.install(None)
        provider.shutdown()


@dataclass
class Collector:
    """An OTLP/HTTP endpoint that keeps what it is sent."""

    url: str
    spans: list[Seen] = field(default_factory=list)

    def of(self, operation_id: object) -> list[Seen]:
        return [each for each in list(self.spans) if _is_of(each, operation_id)]


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """Listen for traces meanwhile."""
    found: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            found.extend(_received(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield Collector(f"http://127.0.0.1:{server.server_port}", found)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _is_of(span: Seen, operation_id: object) -> bool:
    return span.attributes.get("milkiyat.operation.id") == str(operation_id)


def _kept(span: ReadableSpan) -> Seen:
    place = span.get_span_context()
    assert place is not None
    return Seen(
        name=span.name,
        trace_id=f"{place.trace_id:032x}",
        span_id=f"{place.span_id:016x}",
        parent_id=f"{span.parent.span_id:016x}" if span.parent else "",
        pid=0,
        attributes={
            name: value
            for name, value in (span.attributes or {}).items()
            if isinstance(value, str | int)
        },
    )


def _received(request: ExportTraceServiceRequest) -> Iterator[Seen]:
    for of_resource in request.resource_spans:
        described = {each.key: each.value for each in of_resource.resource.attributes}
        for scope in of_resource.scope_spans:
            for span in scope.spans:
                yield Seen(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    pid=described["process.pid"].int_value,
                    attributes={
                        each.key: each.value.string_value or each.value.int_value
                        for each in span.attributes
                    },
                )
