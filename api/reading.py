"""Reading of persons: what an answer tells of whom is written down before it leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Request, Response
from starlette.concurrency import run_in_threadpool

from api.deps import ActorDep, Services, ServicesDep, TurnDep
from api.revealing import ReasonParam, RevealParam, subject_of
from api.schemas.common import OfPerson
from api.schemas.free_text import show_in_full
from registry.investor.readings import note_reading
from registry.kernel.actor import Actor
from registry.party.revealing import Reasons, reasons_of

A = TypeVar("A")


@dataclass(slots=True)
class Reading:
    """Of whom the answer to a request tells.

    Parameters
    ----------
    reveal
        Whether persons are shown unmasked.
    """

    reveal: bool = False
    parties: set[UUID] = field(default_factory=set)
    investors: set[UUID] = field(default_factory=set)
    rows: int | None = None

    def of(self, answer: A) -> A:
        """Take down of whom an answer tells, and give it back."""
        shown = _rows_of(answer)
        self.rows = len(shown)
        for row in shown:
            self.parties |= row.told_parties()
            self.investors |= row.told_investors()
        return answer

    def of_investors(self, answer: A, investors: Collection[UUID]) -> A:
        """Do the same where it names wallets: of nobody's it tells of nobody."""
        self.rows = len(investors)
        self.investors.update(investors)
        return answer


def _rows_of(answer: object) -> list[OfPerson]:
    if isinstance(answer, OfPerson):
        return [answer]
    items = getattr(answer, "items", answer)
    assert isinstance(items, Iterable)
    return list(items)


async def note_persons(
    request: Request,
    services: ServicesDep,
    actor: ActorDep,
    _turn: TurnDep,
    purpose: ReasonParam = None,
    legal_basis: ReasonParam = None,
) -> AsyncIterator[Reading]:
    """Note what is read of persons; whoever only looks says why.

    Raises
    ------
    Invalid
        ``purpose_required``.
    """
    reasons = reasons_of(actor, purpose=purpose, legal_basis=legal_basis)
    reading = Reading()
    yield reading
    await run_in_threadpool(_note, request, services, actor, reasons, reading)


# Async: what it sets for the answer would end with a thread of its own, and not reach the handler.
async def note_person_in_full(
    *,
    request: Request,
    response: Response,
    services: ServicesDep,
    actor: ActorDep,
    _turn: TurnDep,
    reveal: RevealParam = False,
    purpose: ReasonParam = None,
    legal_basis: ReasonParam = None,
) -> AsyncIterator[Reading]:
    """Do the same, and show what is masked to who asks for it with a reason and may see it.

    Raises
    ------
    Forbidden
        ``reveal_not_allowed``.
    Invalid
        ``purpose_required``.
    """
    reasons = reasons_of(actor, purpose=purpose, legal_basis=legal_basis, reveal=reveal)
    if reveal:
        response.headers["Cache-Control"] = "no-store"
        show_in_full()
    reading = Reading(reveal)
    yield reading
    await run_in_threadpool(_note, request, services, actor, reasons, reading)


def _note(
    request: Request, services: Services, actor: Actor, reasons: Reasons, reading: Reading
) -> None:
    assert reading.rows is not None, "a handler takes down of whom it tells"
    if not reading.rows:
        return
    subject = subject_of(request) or ("list", request.scope["route"].name)
    with services.database.transaction() as session:
        note_reading(
            session,
            actor,
            subject,
            reasons,
            rows=reading.rows,
            parties=reading.parties,
            investors=reading.investors,
            revealed=reading.reveal,
        )


async def get_reasons(
    actor: ActorDep, purpose: ReasonParam = None, legal_basis: ReasonParam = None
) -> Reasons:
    """Read why the caller looks at a paper, for what the register itself notes.

    Raises
    ------
    Invalid
        ``purpose_required``.
    """
    return reasons_of(actor, purpose=purpose, legal_basis=legal_basis, in_full=True)


ReadingDep = Annotated[Reading, Depends(note_persons, scope="function")]
"""For every read of persons, masked."""

FullReadingDep = Annotated[Reading, Depends(note_person_in_full, scope="function")]
"""For every read of one record of a person, which may be asked for in full."""

ReasonsDep = Annotated[Reasons, Depends(get_reasons)]
