"""Custodial wallets on a real chain: made, linked, and paying for what their owner confirmed."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import structlog
from eth_account import Account
from eth_keys.datatypes import PrivateKey
from sqlalchemy import text
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.custody.making import KeyMaker
from chain.custody.signing import Purchase, sign_purchase
from chain.errors import PolicyRefused, SignerUnavailable
from chain.node.client import hex_of
from chain.sending.waiter import Waiter
from chain.signing.gcp_kms import AccessTokens
from chain.signing.policies import SigningPolicy, load_policy
from chain.signing.port import Signer
from chain.signing.wallet_keys import StoredWalletKeys
from chain.trades import TRADE_FIELDS, permit_typed_data, trade_typed_data
from registry.investor import custody
from registry.investor.models import CustodialKey, Wallet
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, NotFound
from registry.offering.models import OrderState
from registry.operation.models import Operation, OperationKind, OperationState
from registry.settlement.service import Agreed, confirm_purchase
from tests import factories as make
from tests import kyc
from tests.chain.dealing import BUYER, SELLER, UNITS, Dealing, actor_of
from tests.chain.market import SECOND, Market, desk
from tests.chain.nodes import CHAIN_ID
from tests.chain.test_settling import assert_settled_once
from tests.chain.world import World, ask, key_of

pytestmark = pytest.mark.chain

PASSWORD = "battery staple"


def keys_in(folder: Path) -> StoredWalletKeys:
    return StoredWalletKeys(
        "file:", directory=folder, password=PASSWORD, tokens=AccessTokens(), kdf_rounds=10
    )


def secret_of(folder: Path, uri: str) -> bytes:
    stored = json.loads((folder / uri.removeprefix("file:")).read_text("utf-8"))
    return bytes(Account.decrypt(stored, PASSWORD))


def everything_in(database: Database) -> str:
    """Every row of every table, as text: bytes are written in hex."""
    with database.reading() as session:
        connection = session.connection()
        tables = connection.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        ).scalars()
        parts = [f"SELECT string_agg(t::text, E'\\n') FROM \"{name}\" t" for name in tables]
        return "\n".join(
            filter(None, connection.execute(text(" UNION ALL ".join(parts))).scalars())
        )


# Making keys


class DiesAfterMaking:
    """Is killed when the key is made and nothing is recorded yet."""

    def __init__(self, keys: StoredWalletKeys) -> None:
        self._keys = keys
        self.times = 1

    def make(self, wallet: UUID) -> str:
        return self._keys.make(wallet)

    def open(self, uri: str) -> Signer:
        if self.times:
            self.times -= 1
            raise SignerUnavailable("killed")
        return self._keys.open(uri)


def test_custodial_wallet__killed_between_key_and_row__is_one_and_is_linked_on_chain(
    platform: World, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "custody")
    maker = KeyMaker(platform.database, DiesAfterMaking(keys), CHAIN_ID)
    with platform.database.transaction() as session:
        who, investor = make.enrolled(desk(session, tmp_path))
        key_id = custody.request_wallet(session, who, CHAIN_ID).id

    with structlog.testing.capture_logs() as logs:
        with pytest.raises(SignerUnavailable):
            maker.turn()
        [made_before] = (tmp_path / "custody").iterdir()
        assert (maker.turn(), maker.turn()) == (1, 0)
        with platform.database.transaction() as session:
            kyc.passed(desk(session, tmp_path), who, investor)
        platform.settle()

    with platform.database.reading() as session:
        key = session.get_one(CustodialKey, key_id)
        wallet = session.get_one(Wallet, key.wallet_id)
        session.expunge_all()
    assert [*(tmp_path / "custody").iterdir()] == [made_before]
    assert key.key_uri == f"file:{made_before.name}"
    assert wallet.identity is not None
    factory = platform.place("IdentityFactory")
    linked, is_retired = ask(platform.client, "IdentityFactory", factory, "linkOf", wallet.address)
    assert (linked.lower(), is_retired) == (hex_of(wallet.identity), False)

    secret = secret_of(tmp_path / "custody", str(key.key_uri))
    assert PrivateKey(secret).public_key.to_canonical_address() == wallet.address
    told = everything_in(platform.database) + repr(logs) + repr(keys)
    assert wallet.address.hex() in told
    for shown in (secret.hex(), repr(secret)[2:-1], str(int.from_bytes(secret, "big")), PASSWORD):
        assert shown not in told


def test_custodial_wallet__asked_for__wakes_who_makes_the_key(
    platform: World, tmp_path: Path
) -> None:
    stop = threading.Event()
    waiter = Waiter(platform.database, stop, custody.WAKE_CHANNEL)

    def ask_for_one() -> None:
        with platform.database.transaction() as session:
            who, _ = make.enrolled(desk(session, tmp_path))
            custody.request_wallet(session, who, CHAIN_ID)

    try:
        waiter.wait(30)
        assert waiter.take_woken(), "it listens now, and whatever was said before is looked at"
        asking = threading.Timer(0.2, ask_for_one)
        asking.start()
        waiter.wait(30)
        asking.join()
    finally:
        waiter.close()

    assert waiter.take_woken() == {""}
    assert KeyMaker(platform.database, keys_in(tmp_path / "custody"), CHAIN_ID).turn() == 1


# Buying by them


@pytest.fixture
def dealing(minted: Market, tmp_path: Path) -> Dealing:
    """SECOND's wallet is one of custody: its key lies in a file of ours."""
    folder = tmp_path / "custody"
    folder.mkdir()
    encrypted = Account.encrypt(key_of(SECOND).key, PASSWORD, "pbkdf2", 10)
    (folder / "second.json").write_text(json.dumps(encrypted), "utf-8")
    with minted.world.database.transaction() as session:
        wallet = session.exec(select(Wallet).where(col(Wallet.address) == BUYER)).one()
        wallet.is_custodial, wallet.challenge = True, None
        session.add(
            CustodialKey(
                investor_id=wallet.investor_id,
                chain_id=CHAIN_ID,
                wallet_id=wallet.id,
                key_uri="file:second.json",
                made_at=now(),
            )
        )
    chain = replace(minted.world.chain, custody=keys_in(folder))
    return Dealing.begin(replace(minted, world=replace(minted.world, chain=chain)))


def owner(dealing: Dealing, **changes: Any) -> Actor:
    return replace(actor_of(dealing.market, SECOND), **changes)


def confirm(dealing: Dealing, who: Actor | None = None, **changes: Any) -> Operation:
    with dealing.world.database.transaction() as session:
        agreed = replace(Agreed(UNITS, dealing.price), **changes)
        return confirm_purchase(session, who or owner(dealing), dealing.order_id, agreed)


def test_purchase__confirmed__is_signed_in_custody_and_settled_once(dealing: Dealing) -> None:
    with structlog.testing.capture_logs() as logs:
        operation = confirm(dealing)
        assert_settled_once(dealing, operation)

    with pytest.raises(Conflict, match="SETTLED"):
        confirm(dealing)
    told = everything_in(dealing.world.database) + repr(logs)
    assert "custodial_purchase_confirmed" in told
    assert bytes(key_of(SECOND).key).hex() not in told


def refusal(dealing: Dealing, who: Actor | None = None, **changes: Any) -> str:
    with pytest.raises((Conflict, Forbidden, NotFound)) as refused:
        confirm(dealing, who, **changes)
    assert dealing.order().state == OrderState.AWAITING_PAYMENT
    assert not [e for e in dealing.world.operations() if e.kind == OperationKind.SETTLE]
    return refused.value.code


def test_purchase__not_as_confirmed_or_not_by_its_owner__is_refused_unsigned(
    dealing: Dealing,
) -> None:
    stranger = make.actor(Role.INVESTOR, subject="somebody-else")

    assert refusal(dealing, replace(stranger, signed_in_at=now())) == "not_found"
    assert refusal(dealing, owner(dealing, signed_in_at=None)) == "sign_in_not_recent"
    assert refusal(dealing, price_paisa=1) == "settlement_terms_differ"
    assert refusal(dealing, units=UNITS - 1) == "settlement_terms_differ"
    both = dealing.agreed()
    assert refusal(dealing, signature=both.signature, permit=both.permit) == "wallet_custodial"


def test_purchase__key_of_another_backup__waits_and_goes_on_with_the_right_one(
    dealing: Dealing, tmp_path: Path
) -> None:
    path = tmp_path / "custody" / "second.json"
    right = path.read_text("utf-8")
    path.write_text(json.dumps(Account.encrypt(b"\x05" * 32, PASSWORD, "pbkdf2", 10)), "utf-8")
    operation = confirm(dealing)

    dealing.world.settle()
    waiting = dealing.read(operation)
    path.write_text(right, "utf-8")

    assert waiting.state == OperationState.PLANNED
    assert "second.json" in str(waiting.waits_for)
    assert_settled_once(dealing, operation)


def test_purchase__wallet_frozen_meanwhile__is_refused_and_may_be_paid_otherwise(
    dealing: Dealing,
) -> None:
    token = dealing.market.suite()
    freeze = contract("Token").functions["setAddressFrozen"].encode(hex_of(BUYER), True)
    dealing.world.node.act_as(dealing.world.place("CaseAgent"), token.token, freeze)
    operation = confirm(dealing)

    dealing.world.settle()

    assert dealing.read(operation).state == OperationState.REFUSED
    assert dealing.order().state == OrderState.AWAITING_PAYMENT
    assert dealing.rupees() == (0, 10 * dealing.price)


# The policy before the signature


def signed_by_custody(
    dealing: Dealing,
    *,
    policy: SigningPolicy | None = None,
    trade: dict[str, Any] | None = None,
    permit: dict[str, Any] | None = None,
    settlement: str | None = None,
    chain_id: int = CHAIN_ID,
) -> tuple[bytes, bytes]:
    """Have custody sign a purchase that differs from what was confirmed."""
    place, rupee = settlement or hex_of(dealing.settlement), hex_of(dealing.rupee)
    order = dealing.order()
    assert order.pay_until is not None
    nonce, deadline = order.id.int, int(order.pay_until.timestamp())
    values = {
        "token": hex_of(dealing.market.suite().token), "seller": hex_of(SELLER), "units": UNITS,
        "rupee": rupee, "buyer": hex_of(BUYER), "pricePaisa": dealing.price,
        "sellerNonce": nonce, "buyerNonce": nonce, "deadline": deadline,
    } | (trade or {})  # fmt: skip
    allowed: dict[str, Any] = {
        "buyer": hex_of(BUYER), "settlement": place, "paisa": dealing.price, "nonce": 0,
        "deadline": deadline,
    } | (permit or {})  # fmt: skip
    assert values.keys() == TRADE_FIELDS.keys()
    purchase = Purchase(
        trade_typed_data(chain_id, place, values), permit_typed_data(chain_id, rupee, **allowed)
    )
    with dealing.world.database.reading() as session:
        wallet = session.exec(select(Wallet).where(col(Wallet.address) == BUYER)).one()
        keys = dealing.world.chain.custody
        return sign_purchase(session, keys, policy or load_policy(), wallet, purchase)


_TERMS, _CONTRACT, _METHOD = (
    "custodial_terms_forbidden",
    "signer_contract_forbidden",
    "signer_method_forbidden",
)
_NO_TRADE = {"Settlement": frozenset[str](), "RupeeToken": frozenset({"Permit"})}
_OTHER = "0x" + "11" * 20
FORGED: list[tuple[str, dict[str, Any]]] = [
    (_TERMS, {"trade": {"pricePaisa": 1}}),
    (_TERMS, {"trade": {"units": 1}}),
    (_TERMS, {"trade": {"token": _OTHER}}),
    (_TERMS, {"trade": {"rupee": _OTHER}}),
    (_TERMS, {"trade": {"buyer": _OTHER}}),
    (_TERMS, {"trade": {"seller": _OTHER}}),
    (_TERMS, {"trade": {"buyerNonce": 8}}),
    (_TERMS, {"trade": {"sellerNonce": 8, "buyerNonce": 8}}),
    (_TERMS, {"trade": {"deadline": 4_000_000_000}, "permit": {"deadline": 4_000_000_000}}),
    (_TERMS, {"permit": {"settlement": _OTHER}}),
    (_TERMS, {"permit": {"paisa": 2**256 - 1}}),
    (_TERMS, {"permit": {"deadline": 2**256 - 1}}),
    (_CONTRACT, {"settlement": _OTHER}),
    (_CONTRACT, {"chain_id": 1}),
    (_CONTRACT, {"policy": SigningPolicy(roles={})}),
    (_METHOD, {"policy": SigningPolicy(roles={}, custody=_NO_TRADE)}),
]


def test_sign_purchase__anything_but_what_was_confirmed__is_not_signed(dealing: Dealing) -> None:
    with pytest.raises(PolicyRefused) as refused:
        signed_by_custody(dealing)  # the order waits for its payment: nobody has confirmed
    assert refused.value.problem["code"] == "custodial_terms_forbidden"
    confirm(dealing)
    assert [len(each) for each in signed_by_custody(dealing)] == [65, 65]

    for code, forged in FORGED:
        with pytest.raises(PolicyRefused) as refused:
            signed_by_custody(dealing, **forged)
        assert refused.value.problem["code"] == code, forged
