"""One server from which the programs of tests are forked: what they load is loaded once.

To import the API takes seconds, and each run of a command would take them again.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext


def forking_context() -> ForkServerContext:
    """Give the context whose processes are forked there; a process of pytest has one server."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.loaded"])
    return context
