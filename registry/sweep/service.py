"""What time alone brings about: every record whose day has come, each in a transaction of its own.

A round may be repeated, interrupted, or run by two workers at once: a record that is not due any
more when its turn comes refuses the event by its own guard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlmodel import Session

from registry.case import kyc_freeze, order_freeze
from registry.court_order import lifting
from registry.court_order import service as orders
from registry.document import service as documents
from registry.encumbrance import service as encumbrances
from registry.kernel.clock import today
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.kyc import renewal
from registry.kyc import repository as kyc
from registry.kyc_standing import service as kyc_standing
from registry.offering import ending, leaving, minting, rescinding, unwinding, waiting
from registry.onboarding import service as onboarding
from registry.reconciliation import service as reconciliation
from registry.redemption import burning
from registry.settlement import service as settlements
from registry.tokenization import goods, title_status
from registry.valuation import service as valuations

log = structlog.get_logger()

PAPERS = "document_expire"
"""Papers run out together, in one transaction: nothing else hangs on the moment."""

ROUND_LIMIT = 1000
"""Records of one kind in one round, so that whoever sweeps does not forget its other work."""


@dataclass(frozen=True, slots=True)
class Clock:
    """One event that time fires.

    Parameters
    ----------
    due
        Ids of the records whose day has come.
    ring
        Fires the event on one of them.
    """

    name: str
    due: Callable[[Session], Sequence[UUID]]
    ring: Callable[[Session, UUID], object]


CLOCKS: tuple[Clock, ...] = (
    Clock("asset_lapse", onboarding.list_forgotten, onboarding.lapse_dossier),
    Clock(
        "encumbrance_lapse",
        lambda session: encumbrances.list_lapsed(session, today()),
        encumbrances.lapse_encumbrance,
    ),
    Clock("valuation_stale", valuations.list_outdated, valuations.mark_stale),
    Clock("warehouse_receipt_expire", goods.due_receipts, goods.expire_receipt),
    Clock("order_expire", orders.due_orders, lifting.expire_order),
    Clock("court_order_freeze", order_freeze.list_unfrozen, order_freeze.impose),
    Clock("court_order_release", order_freeze.list_releasable, order_freeze.release),
    Clock("court_order_confirm", reconciliation.list_obeyed, reconciliation.confirm_order),
    Clock("court_order_lift", reconciliation.list_released, reconciliation.lift_order),
    Clock("kyc_renewal", renewal.list_renewable, renewal.tell_renewable),
    Clock("kyc_lapse", kyc.list_run_out, kyc_standing.lapse_kyc),
    Clock("kyc_freeze", kyc_freeze.list_unfrozen, kyc_standing.freeze_rest),
    Clock("kyc_release", kyc_freeze.list_releasable, kyc_freeze.release),
    Clock("trade_settled", settlements.due_trades, settlements.confirm_trade),
    Clock("order_lapse", leaving.list_unpaid, leaving.lapse_order),
    Clock("waiting_list", waiting.due_lists, waiting.serve_list),
    Clock("offering_end", ending.due_endings, ending.end_offering),
    Clock("secondary_sale_end", ending.due_secondary, ending.end_secondary),
    Clock("mint_failed", minting.due_failures, minting.reopen_sale),
    Clock("given_up_burn", rescinding.due_burns, rescinding.burn_minted),
    Clock("unwound", unwinding.due_endings, unwinding.end_unwound),
    Clock("redemption_burned", burning.due_endings, burning.end_burned),
    # Last: what the others changed is told in the same round.
    Clock("title_status_tell", title_status.list_untold, title_status.tell_asset),
)


def sweep(database: Database) -> Mapping[str, int]:
    """Fire every event whose time has come, and return how many of each.

    A record that refuses is told of and left to people; the others go on.
    """
    fired = {}
    for clock in CLOCKS:
        with database.reading() as session:
            due = list(clock.due(session))[:ROUND_LIMIT]
        fired[clock.name] = sum(_ring(database, clock, row_id) for row_id in due)
    with database.transaction() as session:
        fired[PAPERS] = documents.expire_due(session)
    return fired


def _ring(database: Database, clock: Clock, row_id: UUID) -> bool:
    try:
        with database.transaction() as session:
            clock.ring(session, row_id)
    except RegistryError as refusal:
        log.warning("clock_refused", clock=clock.name, id=str(row_id), code=refusal.code)
        return False
    except Exception:
        # A bug, or a row that somebody broke by hand: it must not stop the clock of all others.
        log.exception("clock_fault", clock=clock.name, id=str(row_id))
        return False
    return True
