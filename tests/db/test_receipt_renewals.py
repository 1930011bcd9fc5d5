"""What a warehouse renews after the goods came in: nothing of that day holds them for good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from registry.journal.models import JournalEntry
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Invalid, RegistryError
from registry.kernel.money import Money
from registry.receipt import service as receipts
from registry.receipt.models import ReceiptState
from registry.receipt.renewal import Renewal
from registry.tokenization import goods
from tests import factories as make
from tests import goods as lots
from tests import sales
from tests.factories import VALUE_PAISA, Desk
from tests.goods import WAREHOUSE, Lot

pytestmark = pytest.mark.db

YESTERDAY = today() - timedelta(days=1)
NEXT_YEAR = today() + timedelta(days=365)


def accreditation(desk: Desk, lot: Lot, **changes: Any) -> Renewal:
    paper = lots.paper(desk, lot.asset, "ACCREDITATION", **({"valid_until": NEXT_YEAR} | changes))
    return Renewal(accredited_until=NEXT_YEAR, accreditation_id=paper)


def insurance(desk: Desk, lot: Lot, paisa: int, **changes: Any) -> Renewal:
    policy = lots.paper(desk, lot.asset, "INSURANCE", **changes)
    return Renewal(insured_paisa=paisa, insurance_id=policy)


def test_issue__goods_worth_more_than_on_their_first_day__rests_on_the_new_policy(
    desk: Desk,
) -> None:
    lot = lots.assayed(desk)
    worth = lot.receipt.insured_paisa + 1
    make.value(desk, lot.asset, worth)

    with pytest.raises(Conflict, match="goods_underinsured"):
        receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id)
    renewal = insurance(desk, lot, worth - 1)
    with pytest.raises(Conflict, match="goods_underinsured"):
        receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id, renewal)
    renewal = insurance(desk, lot, worth)
    # More than the dossier says, nobody but the warehouse would stand behind.
    with pytest.raises(Invalid, match="renewal_malformed"):
        receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id, renewal)
    lot.asset.details = lot.asset.details | {"insured_pkr": str(Money(worth))}
    receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id, renewal)

    told = desk.session.exec(
        select(JournalEntry.facts).where(JournalEntry.act == "warehouse_receipt_issue")
    ).one()
    assert told["insurance_id"] == str(renewal.insurance_id)
    assert (lot.receipt.state, lot.receipt.insured_paisa) == (ReceiptState.ISSUED, worth)


def test_issue__accreditation_that_ran_out__rests_on_the_new_one(desk: Desk) -> None:
    lot = lots.assayed(desk, accredited_until=YESTERDAY)
    make.value(desk, lot.asset)

    with pytest.raises(Conflict, match="accreditation_expired"):
        receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id)
    receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id, accreditation(desk, lot))

    assert lot.receipt.state == ReceiptState.ISSUED
    assert lot.receipt.accredited_until == NEXT_YEAR


def test_extend__behind_a_token_by_a_warehouse_accredited_anew__locks_it_again(desk: Desk) -> None:
    wrapped, lot = lots.wrapped_lot(desk)
    sales.approved(desk, wrapped)
    lot.receipt.expires_on = lot.receipt.accredited_until = YESTERDAY
    desk.session.flush()
    goods.expire_receipt(desk.session, lot.receipt.id)
    assay = lots.paper(desk, lot.asset, "ASSAY_REPORT", issued_on=today())

    def extend(**renewal: Renewal) -> None:
        goods.extend_receipt(
            desk.session, WAREHOUSE, lot.receipt.id, assay_id=assay, expires_on=NEXT_YEAR, **renewal
        )

    with pytest.raises(Conflict, match="accreditation_expired"):
        extend()
    extend(renewal=accreditation(desk, lot))

    assert lot.receipt.state == ReceiptState.TOKEN_LOCKED
    assert lot.receipt.expires_on == lot.receipt.accredited_until == NEXT_YEAR


def foreign(desk: Desk, lot: Lot) -> UUID:
    return lots.paper(desk, make.open_wheat(desk), "INSURANCE")


Bad = Callable[[Desk, Lot], Renewal]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (lambda *_: Renewal(insured_paisa=VALUE_PAISA), "renewal_malformed"),
        (lambda *_: Renewal(accredited_until=NEXT_YEAR), "renewal_malformed"),
        (lambda desk, lot: Renewal(insurance_id=foreign(desk, lot)), "renewal_malformed"),
        (lambda desk, lot: insurance(desk, lot, 0), "renewal_malformed"),
        (
            lambda desk, lot: accreditation(desk, lot, valid_until=NEXT_YEAR - timedelta(days=1)),
            "renewal_malformed",
        ),
        (lambda desk, lot: accreditation(desk, lot, valid_until=None), "renewal_malformed"),
        (lambda desk, lot: accreditation(desk, lot, verified=False), "source_not_verified"),
        (
            lambda desk, lot: Renewal(
                accredited_until=NEXT_YEAR,
                accreditation_id=lots.paper(desk, lot.asset, "INSURANCE"),
            ),
            "source_of_other_kind",
        ),
        (
            lambda desk, lot: Renewal(insured_paisa=VALUE_PAISA, insurance_id=foreign(desk, lot)),
            "source_of_other_asset",
        ),
    ],
)
def test_renewal__without_the_paper_that_says_so__is_refused(
    desk: Desk, bad: Bad, code: str
) -> None:
    lot = lots.assayed(desk)
    make.value(desk, lot.asset)

    with pytest.raises(RegistryError, match=code):
        receipts.issue_receipt(desk.session, WAREHOUSE, lot.receipt.id, bad(desk, lot))
    assert lot.receipt.state == ReceiptState.ASSAYED
