"""How often the chain is asked for proofs: a proof that took long is followed by a longer rest."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from chain.errors import ChainError, RpcRefused, RpcUnavailable
from chain.proving import loop
from chain.proving.loop import (
    LONGEST_REST_SECONDS,
    PROOF_REST,
    REST_SECONDS,
    SWEEP_SECONDS,
    Proving,
)
from chain.proving.reconciler import Reconciler


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Proofs:
    """Stands for the reconciler: each turn of it takes so long, or finds nothing due."""

    def __init__(self, clock: Clock, took: float) -> None:
        self._clock, self.took, self.made = clock, took, 0

    def reconcile_due(self) -> int:
        self._clock.now += self.took
        self.made += self.took > 0
        return int(self.took > 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


def proving(clock: Clock, took: float) -> tuple[Proving, Proofs]:
    proofs = Proofs(clock, took)
    found = Proving(cast("Reconciler", proofs), threading.Event())
    found.reach_head()
    return found, proofs


@pytest.mark.parametrize(
    ("took", "expected"),
    [(0.001, SWEEP_SECONDS), (0.5, PROOF_REST * 0.5), (30.0, LONGEST_REST_SECONDS)],
)
def test_turn__after_a_proof__rests_in_proportion_whatever_is_announced(
    clock: Clock, took: float, expected: float
) -> None:
    found, proofs = proving(clock, took)

    rest = found.turn()
    assert rest == pytest.approx(expected)
    # The next block comes at once: it waits for the rest to be over.
    found.leave_head()
    found.reach_head()
    clock.now += rest / 2
    assert found.turn() == pytest.approx(rest / 2)
    assert proofs.made == 1
    clock.now += rest / 2
    found.turn()
    assert proofs.made == 2


@pytest.mark.parametrize(
    ("fault", "made"),
    [(RpcRefused("eth_call", -32000, "out of gas", None), 1), (RpcUnavailable("away"), 0)],
)
def test_turn__the_sync_has_failed__proves_where_only_a_contract_was_refused(
    clock: Clock, fault: ChainError, made: int
) -> None:
    found, proofs = proving(clock, 0.5)

    with pytest.raises(type(fault)), found.in_doubt():
        raise fault
    found.turn()

    assert proofs.made == made


def test_turn__nothing_due__looks_again_and_is_not_held_back(clock: Clock) -> None:
    found, proofs = proving(clock, 0.0)
    assert found.turn() == REST_SECONDS
    proofs.took = 0.25
    found.turn()
    assert proofs.made == 1
