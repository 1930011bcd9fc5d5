"""What an order on an asset does in the register, and in whose name.

An order commands the register: it stands above the division of work between its officers. What
it writes there it writes in its own name, ``order:<id>``, so that nobody reads in the journal
that an officer lodged, stayed or asked for what only the court wanted. Whoever applies the order
is the other pair of eyes, by their own name; before them another person authenticated it.
"""

from __future__ import annotations

from sqlmodel import Session

from registry.court_order.models import CourtOrder
from registry.encumbrance import service as encumbrances
from registry.encumbrance.service import NewEncumbrance
from registry.kernel.actor import Actor, Role
from registry.mutation import repository
from registry.mutation import service as mutations
from registry.mutation.models import MutationState
from registry.title import service as titles
from registry.title.models import Title, TitleState
from registry.tokenization.guards import find_alive
from registry.tokenization.liens import put_encumbrance_in_force
from registry.tokenization.models import TokenizationState

COURT_ORDER = "court_order"
"""The role that the table of the title gives to an order itself."""


def the_order(order: CourtOrder, role: str) -> Actor:
    """Return the order as the one who acts, in the role that the table wants for this act."""
    return Actor(f"order:{order.id}", frozenset({role}))


def put_on_title(session: Session, applier: Actor, order: CourtOrder) -> None:
    """Put the order's encumbrance in force, and the title in dispute."""
    assert order.asset_id is not None
    assert order.document_id is not None
    title = titles.title_of_asset(session, order.asset_id)
    # The mutation's row before asset and title, as the steps of a mutation lock them.
    _stay_mutation(session, order, title)
    [title] = repository.lock_titles(session, [title.id])
    alive = find_alive(session, order.asset_id)
    order.pause_wanted = alive is not None and alive.state in {
        TokenizationState.LIVE,
        TokenizationState.PAUSED,
    }
    new = NewEncumbrance(
        kind=order.kind,
        source_document_id=order.document_id,
        authority=order.authority,
        case_no=order.case_no,
        ends_on=order.ends_on,
    )
    maker = the_order(order, Role.REGISTRAR_MAKER)
    encumbrance = encumbrances.lodge_encumbrance(session, maker, title.id, new)
    checker = Actor(applier.subject, frozenset({Role.REGISTRAR_CHECKER}))
    put_encumbrance_in_force(session, checker, encumbrance.id)
    order.encumbrance_id = encumbrance.id
    _dispute(session, order, title)


def _stay_mutation(session: Session, order: CourtOrder, title: Title) -> None:
    """Stay a mutation that waits for its officer.

    At any other step it goes on, and cannot be implemented: the encumbrance forbids that.
    """
    waiting = repository.find_open(session, title.id)
    if waiting is None:
        return
    waiting = repository.get_mutation(session, waiting.id, lock=True)
    if waiting.state == MutationState.AWAITING_ATTESTATION:
        officer = the_order(order, Role.REVENUE_OFFICER)
        mutations.stay_mutation(session, officer, waiting.id, reason=f"order {order.id}")


def _dispute(session: Session, order: CourtOrder, title: Title) -> None:
    waiting = repository.find_open(session, title.id)
    stayed = waiting is not None and waiting.state == MutationState.STAYED
    if title.state == TitleState.ACTIVE or (title.state == TitleState.MUTATION_PENDING and stayed):
        titles.dispute_title(
            session,
            the_order(order, COURT_ORDER),
            title.id,
            reference=order.case_no,
            reason=f"order {order.id}",
        )
