"""What every program that is forked would do first, done once: see `tests.forking`."""

from __future__ import annotations

import gc

from sqlalchemy.orm import configure_mappers

import tests.chain.sync_process
import tests.chain.worker_process
import tests.chaos.contender
import tests.chaos.play
import tests.chaos.sync.process
import tests.e2e.program  # noqa: F401 (all of them for those that are forked)

configure_mappers()
# What stands here stays, in every one of them.
gc.freeze()
