"""The walk of a currency transaction report: prepared, filed or given up."""

from __future__ import annotations

from registry.filing import ctr
from registry.filing.models import CtrFiling
from registry.kernel.actor import Actor
from tests import factories as make
from tests import intakes
from tests.db.walks.board import Scenario, Walk
from tests.factories import Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER


def file(desk: Desk, row: CtrFiling, who: Actor = SECOND_OFFICER) -> None:
    ctr.file_ctr(desk.session, who, row.id, reference=f"CTR-{next(make.numbers)}")


def withdraw(desk: Desk, row: CtrFiling, reason: str = "Two banks told of it.") -> None:
    ctr.withdraw_ctr(desk.session, FIRST_OFFICER, row.id, reason=reason)


WALK = Walk(
    machine="ctr_filing",
    record=intakes.ctr_filing,
    scenarios=(
        Scenario(
            source="PREPARED",
            event="file",
            prepare=intakes.ctr_filing,
            play=file,
            denied=lambda desk, row: file(desk, row, FIRST_OFFICER),
            code="checker_is_maker",
        ),
        Scenario(
            source="PREPARED",
            event="withdraw",
            prepare=intakes.ctr_filing,
            play=withdraw,
            denied=lambda desk, row: withdraw(desk, row, " "),
            code="reason_missing",
        ),
    ),
)
