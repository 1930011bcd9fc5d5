"""The walk of a suspicion: opened, filed or put aside."""

from __future__ import annotations

from registry.filing import suspicion
from registry.filing.models import StrCase
from registry.kernel.actor import Actor
from tests import factories as make
from tests import intakes
from tests.db.walks.board import Scenario, Walk
from tests.factories import Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER


def file(desk: Desk, row: StrCase, reference: str) -> None:
    suspicion.file_str(desk.session, SECOND_OFFICER, row.id, reference=reference)


def close(desk: Desk, row: StrCase, who: Actor = SECOND_OFFICER) -> None:
    suspicion.close_str(desk.session, who, row.id, reason="The money was his own.")


WALK = Walk(
    machine="str_case",
    record=intakes.str_case,
    scenarios=(
        Scenario(
            source="OPENED",
            event="file",
            prepare=intakes.str_case,
            play=lambda desk, row: file(desk, row, f"STR-{next(make.numbers)}"),
            denied=lambda desk, row: file(desk, row, " "),
            code="filing_reference_missing",
        ),
        Scenario(
            source="OPENED",
            event="close",
            prepare=intakes.str_case,
            play=close,
            denied=lambda desk, row: close(desk, row, FIRST_OFFICER),
            code="checker_is_maker",
        ),
    ),
)
