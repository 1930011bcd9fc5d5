"""Structured logs: one JSON object a line when piped, readable lines on a terminal.

Nothing personal gets into them: known fields and numbers that look like a person's are hidden
last of all, in tracebacks too.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import EventDict, WrappedLogger

from registry.kernel.masking import mask_fields, mask_text
from registry.kernel.tracing import add_trace


def configure_logging(level: str) -> None:
    threshold = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            add_trace,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_personal,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(MaskingFormatter("%(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def mask_personal(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide what is personal in an event; stands right before the renderer."""
    masked: EventDict = mask_fields(event)
    return masked


class MaskingFormatter(logging.Formatter):
    """Does the same for what the libraries say."""

    def format(self, record: logging.LogRecord) -> str:
        return mask_text(super().format(record))
