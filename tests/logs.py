"""Reading what the service logs, as it stands in its log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from io import StringIO

import structlog

from registry.kernel.log import configure_logging


@contextlib.contextmanager
def captured_log() -> Iterator[StringIO]:
    """Give what is logged meanwhile, from every thread, at every level."""
    before = structlog.get_config()
    with contextlib.redirect_stderr(StringIO()) as text:
        configure_logging("debug")
        try:
            yield text
        finally:
            structlog.configure(**before)
