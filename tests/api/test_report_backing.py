"""R-08 at a moment at which the asset stood otherwise; its figures are held against the node."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from registry.asset.law import law_of
from registry.asset.models import Asset, AssetClass
from registry.document import service as documents
from registry.kernel.clock import now, today
from registry.receipt import disposal
from registry.receipt.models import WarehouseReceipt
from registry.tokenization.models import Tokenization
from tests import factories as make
from tests import goods, sales, standing
from tests.api.house import House
from tests.api.moves import moves
from tests.api.reports import Replayed, instant, rows_of
from tests.dossiers import open_sample
from tests.factories import VERIFIER, Desk
from tests.goods import QTY, WAREHOUSE
from tests.sales import Wrapped

pytestmark = pytest.mark.db


def test_r_08__suspended_since__was_not_at_the_time(house: House) -> None:
    token_id = moves(house).token_id
    then = now().isoformat()
    with house.desk() as desk:
        tokenization = desk.session.get_one(Tokenization, token_id)
        standing.suspend(desk, desk.session.get_one(Asset, tokenization.asset_id))

    def state(**when: str) -> str:
        [row] = rows_of(house, "R-08", token=token_id, **when)
        return str(row["asset_state"])

    assert state(as_of=then) == state(known_at=then) == "REGISTERED"
    assert state() == "SUSPENDED"


def test_r_08__receipt_that_was_split__is_insured_once(house: House) -> None:
    parts: list[WarehouseReceipt] = []

    def split(desk: Desk) -> Wrapped:
        wrapped, lot = goods.wrapped_lot(desk)
        kg = [Decimal(1_000_000), QTY - 1_000_000]
        parts.extend(disposal.split_receipt(desk.session, WAREHOUSE, lot.receipt.id, parts=kg))
        return wrapped

    token_id = moves(house, wrapped=split).token_id

    [row] = rows_of(house, "R-08", token=token_id)
    with house.desk() as desk:
        of_parts = [desk.session.get_one(WarehouseReceipt, part.id) for part in parts]
        insured = sum(part.insured_paisa for part in of_parts)
    assert insured > 0
    assert row["insured"]["amount"].replace(".", "") == str(insured)
    assert row["custody"] == "Muridke 4"


def test_r_08__policy_that_was_revoked__insures_nothing_since(house: House) -> None:
    token_id = moves(house).token_id
    ends = today() + timedelta(days=100)
    with house.desk() as desk:
        tokenization = desk.session.get_one(Tokenization, token_id)
        asset = desk.session.get_one(Asset, tokenization.asset_id)
        policy_id = make.file_document(desk, asset, "INSURANCE", valid_until=ends).id
    then = now().isoformat()
    with house.desk() as desk:
        documents.revoke_document(desk.session, VERIFIER, policy_id, reason="Never paid for.")

    def insured_until(**when: str) -> str | None:
        [row] = rows_of(house, "R-08", token=token_id, **when)
        until: str | None = row["insured_until"]
        return until

    assert insured_until(as_of=then) == insured_until(known_at=then) == str(ends)
    assert insured_until() is None


def test_r_08__proof_that_was_found_forged__checked_no_title(house: House) -> None:
    token_id = moves(house).token_id
    with house.desk() as desk:
        tokenization = desk.session.get_one(Tokenization, token_id)
        asset = desk.session.get_one(Asset, tokenization.asset_id)
        forged_id = make.file_document(desk, asset, min(law_of(asset).regime.title_proof)).id
    then = now().isoformat()
    with house.desk() as desk:
        documents.revoke_document(desk.session, VERIFIER, forged_id, reason="Found forged.")
    journal = Replayed.of(house)
    forged = instant(journal.one("document", id=forged_id)["verified_at"])
    others = [
        instant(row["verified_at"])
        for kind in law_of(asset).regime.title_proof
        for row in journal.rows("document", asset_id=asset.id, kind=kind, state="VERIFIED")
    ]

    def checked(**when: str) -> datetime | None:
        [row] = rows_of(house, "R-08", token=token_id, **when)
        return instant(row["title_checked_at"])

    assert checked(as_of=then) == checked(known_at=then) == forged
    assert checked() == max(at for at in others if at)
    assert checked() != forged


def test_r_08__bullion__lies_in_the_vault_whose_certificate_stands(house: House) -> None:
    vaults: dict[str, str] = {}

    def wrapped_bullion(desk: Desk) -> Wrapped:
        vehicle = make.company(desk)
        asset = open_sample(desk, AssetClass.COMMODITY_BULLION, vehicle)
        for issuer in ("Demo Vault", "Former Vault"):
            paper = make.file_document(desk, asset, "VAULT_CERTIFICATE", issuer=issuer)
            vaults[str(paper.id)] = issuer
        sales.name_wrapper(desk, make.registered(desk, asset), vehicle)
        return Wrapped(asset, make.issuer(desk, vehicle))

    token_id = moves(house, wrapped=wrapped_bullion).token_id
    then = now().isoformat()
    with house.desk() as desk:
        _, former = vaults
        documents.revoke_document(desk.session, VERIFIER, UUID(former), reason="Moved out.")
    journal = Replayed.of(house)

    def by_journal(at: datetime | None = None) -> str:
        standing = journal.rows("document", at=at, kind="VAULT_CERTIFICATE", state="VERIFIED")
        return ", ".join(sorted(vaults[row["id"]] for row in standing if row["id"] in vaults))

    def custody(**when: str) -> str | None:
        [row] = rows_of(house, "R-08", token=token_id, **when)
        told: str | None = row["custody"]
        return told

    assert custody() == by_journal() == "Demo Vault"
    assert custody(as_of=then) == by_journal(datetime.fromisoformat(then))
    assert custody(as_of=then) == "Demo Vault, Former Vault"
