"""How every command starts, and ends with one clear sentence where it cannot."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError
from rich.console import Console

from api.program import Base, PortTaken, open_base
from api.tracing import start_tracing
from api.version import VERSION
from chain.errors import ChainError
from registry.kernel import failpoints
from registry.kernel.collector import look_seldom
from registry.kernel.db import DatabaseBusy, DatabaseUnreachable
from registry.kernel.errors import RegistryError
from registry.kernel.log import configure_logging
from registry.kernel.secrets import with_embedded_secrets
from registry.kernel.service_directory import EmbeddedServiceError
from registry.kernel.settings import Settings, get_settings

_console = Console(stderr=True)


def say(text: str) -> None:
    _console.print(f"milkiyat: {text}", highlight=False)


@contextmanager
def clear_errors() -> Iterator[None]:
    """End with one clear sentence and a non-zero exit where a setting is wrong."""
    try:
        yield
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            name = "_".join(str(part) for part in item["loc"]).upper() or "SETTINGS"
            say(f"{name}: {item['msg'].removeprefix('Value error, ')}")
    except (
        PortTaken,
        DatabaseBusy,
        DatabaseUnreachable,
        EmbeddedServiceError,
        ChainError,
        RegistryError,
    ) as error:
        say(str(error))
    else:
        return
    raise typer.Exit(1)


def load_settings() -> Settings:
    """Read the settings, and make the secrets that they leave out.

    From here on Ctrl-C and SIGTERM end the program by way of its cleaning up, so that no server
    of ours stays behind.

    Raises
    ------
    EmbeddedServiceError
        DATA_DIR cannot be written.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: sys.exit(128 + received))
    settings = get_settings()
    try:
        settings = with_embedded_secrets(settings)
    except OSError as error:
        raise EmbeddedServiceError(
            f"DATA_DIR={settings.data_dir} cannot be written: {error.strerror}.",
            remedy="Set it to a folder of this account's.",
        ) from error
    configure_logging(settings.log_level)
    failpoints.arm(settings.failpoint)
    start_tracing(settings, VERSION)
    return settings


@contextmanager
def started() -> Iterator[tuple[Settings, Base]]:
    """Start a part of the program alone: with the settings, on a database of this version."""
    with clear_errors():
        settings = load_settings()
        with open_base(settings, say) as base:
            yield settings, base


def wait_for_signal() -> threading.Event:
    """Give an event that Ctrl-C or SIGTERM sets; whoever asks for it is up."""
    look_seldom()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
