"""From a registered asset to fractions in people's wallets."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from eth_account.messages import encode_defunct

from demo.client import DemoFailed, Office
from demo.kyc import pass_kyc
from demo.onboarding import ensure_party, ensure_valuation
from demo.people import BUYERS, CHECKER, COMPLIANCE, Buyer, Person, issuer_for
from demo.seed import Seed
from registry.kernel.clock import today
from registry.kernel.money import Money, lakh_grouped

RECONCILED_SECONDS = 30.0
PRICED_DAILY = frozenset({"COMMODITY_BULLION"})
"""Classes whose sale opens only on a price of the day (VAL-02)."""

WELL_SOLD = frozenset({"LHR-APT-0001", "COM-WHT-0008"})
"""Assets that every investor buys of; of the others, the first two."""


def enrol(office: Office, person: Person, enrolment: Mapping[str, Any], name: str) -> None:
    """Take somebody from nothing to an identity with a KYC claim on chain."""
    me = office.get(person, "/v1/me")
    investor = me["investor"]
    if investor is None:
        investor = office.post(person, "/v1/investors", enrolment)
        office.tell(name, person, "enrols")
    if not any(wallet["state"] == "PROVEN" for wallet in investor["wallets"]):
        path = f"/v1/investors/{investor['id']}/wallets"
        # No key here: a challenge expires, and a later run needs a fresh one.
        wallet = office.ask(person, path, {"address": person.wallet.address})
        signed = person.wallet.sign_message(encode_defunct(text=wallet["challenge"]))
        proof = {"signature": "0x" + bytes(signed.signature).hex()}
        office.post(person, f"{path}/{person.wallet.address}/proof", proof)
        office.tell(name, person, f"proves wallet {person.wallet.address[:10]}… (EIP-4361)")
    if investor["kyc_state"] == "PENDING":
        pass_kyc(office, person, investor["id"], name)


def await_identity(office: Office, person: Person, name: str) -> None:
    """Wait until the identity and its claim are final."""
    investor = office.get(person, "/v1/me")["investor"]
    found = office.get(COMPLIANCE, "/v1/operations", subject_id=investor["id"])["items"]
    for operation in found:
        if operation["state"] != "final":
            office.await_final(operation, name, operation["kind"].replace("_", " "))


def refuse(office: Office, asset: Mapping[str, Any], record: Mapping[str, Any]) -> None:
    """Show that an asset which the gate blocks cannot be sent to tokenization."""
    issuer = issuer_for("NOBODY")
    body = _terms({"symbol": "NEVER", "fractions": 1000, "price_pkr": "1.00"}, asset)
    answer = office.try_post(issuer, f"/v1/assets/{record['id']}/tokenizations", body)
    problem = answer.json()
    rules = ",".join(sorted(rule["id"] for rule in problem.get("rules", ())))
    if answer.status_code != 409 or f"BLOCK:{rules}" != asset["expect"]:  # noqa: PLR2004
        raise DemoFailed(f"{asset['code']}: tokenization was not refused as it must be: {problem}")
    office.tell(
        asset["code"], issuer, f"asks for a token: [yellow]409 {problem['code']} {rules}[/yellow]"
    )


def is_sold(asset: Mapping[str, Any]) -> bool:
    """Tell whether the demo brings the asset's token to life: the seed says that it lives."""
    states: Mapping[str, str] = asset["states"]
    return asset["expect"] == "PASS" and states.get("tokenization") == "LIVE"


def tokenize(
    office: Office, seed: Seed, registered: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> list[Mapping[str, Any]]:
    """Bring the tokens of registered assets to life, from wherever they stand.

    Step by step for all of them, so that the chain works on them side by side.
    """
    wrappers = list(dict.fromkeys(asset["wrapper"]["party"] for asset, _ in registered))
    for name in wrappers:
        enrol(office, issuer_for(name), {"party_id": ensure_party(office, seed, name)}, name)
    for name in wrappers:
        await_identity(office, issuer_for(name), name)
    begun = [(asset, begin(office, asset, record)) for asset, record in registered]
    for asset, token in begun:
        _sell(office, asset, open_sale(office, asset, token))
    return [_go_live(office, asset, token) for asset, token in begun]


def begin(office: Office, asset: Mapping[str, Any], record: Mapping[str, Any]) -> Any:
    """Have the token structured, approved, and its contracts on their way."""
    token = _ensure_structured(office, issuer_for(asset["wrapper"]["party"]), asset, record)
    path = f"/v1/tokenizations/{token['id']}"
    if token["state"] == "STRUCTURED":
        for person in (COMPLIANCE, CHECKER):
            body = {"role": person.role, "terms_hash": token["terms_hash"]}
            token = office.post(person, f"{path}/approve", body)
            office.tell(asset["code"], person, f"approves the terms of {token['symbol']}")
    if token["state"] == "APPROVED":
        office.post(COMPLIANCE, f"{path}/deploy")
    return token


def _terms(said: Mapping[str, Any], asset: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "symbol": said["symbol"],
        "name": f"Milkiyat {asset['code']}",
        "declared_fractions": str(said["fractions"]),
        "price": {"amount": said["price_pkr"], "currency": "PKR"},
        "economic_share": said.get("economic_share", [1, 1]),
        "maturity": said.get("maturity"),
    }


def _ensure_structured(
    office: Office, issuer: Person, asset: Mapping[str, Any], record: Mapping[str, Any]
) -> Any:
    path = f"/v1/assets/{record['id']}/tokenizations"
    found = office.get(issuer, path)
    if found:
        return found[-1]
    token = office.post(issuer, path, _terms(asset["token"], asset))
    price = lakh_grouped(Money.parse(asset["token"]["price_pkr"]))
    office.tell(
        asset["code"],
        issuer,
        f"structures {token['symbol']}: {int(token['declared_fractions']):,} fractions at {price}",
    )
    return token


def _await_state(
    office: Office, token: Any, asset: Mapping[str, Any], kind: str, reached: str
) -> Any:
    """Wait for the token's own operation of `kind`, where one is still on its way."""
    for operation in office.get(COMPLIANCE, "/v1/operations", subject_id=token["id"])["items"]:
        if operation["kind"] == kind and operation["state"] != "final":
            office.await_final(operation, asset["code"], kind.replace("_", " "))
    token = office.get(COMPLIANCE, f"/v1/tokenizations/{token['id']}")
    if kind == "deploy_suite" and token["state"] == reached:
        office.tell(asset["code"], "chain", f"{token['symbol']} stands at {token['token_address']}")
    return token


def open_sale(office: Office, asset: Mapping[str, Any], begun: Any) -> Any:
    """Open the sale of a token once its contracts stand, and give the token."""
    token = _await_state(office, begun, asset, "deploy_suite", "DEPLOYED")
    if token["state"] != "DEPLOYED":
        return token
    if asset["asset_class"] in PRICED_DAILY:
        ensure_valuation(office, asset, token["asset_id"], today().isoformat())
    path = f"/v1/tokenizations/{token['id']}"
    terms = {"offered_units": token["declared_fractions"], "minimum_units": "1"}
    office.post(COMPLIANCE, f"{path}/open", terms)
    office.tell(asset["code"], COMPLIANCE, f"opens the offering of {token['symbol']}")
    return office.get(COMPLIANCE, path)


def offering_of(office: Office, token: Any) -> Any:
    """Give the sale of a token."""
    offerings = office.get(COMPLIANCE, "/v1/offerings", limit="200")["items"]
    return next(item for item in offerings if item["tokenization_id"] == token["id"])


def _sell(office: Office, asset: Mapping[str, Any], token: Any) -> None:
    if token["state"] != "OFFERING":
        return
    offering = offering_of(office, token)
    for buyer in buyers_of(asset):
        _buy(office, asset, offering, buyer)
    close_sale(office, asset, token)


def close_sale(office: Office, asset: Mapping[str, Any], token: Any) -> None:
    """Close a sale: everything is minted, what is left over to the wrapper."""
    for operation in office.post(COMPLIANCE, f"/v1/tokenizations/{token['id']}/mint"):
        office.tell(
            asset["code"],
            COMPLIANCE,
            f"closes the sale: mint for {operation['subject_kind']} "
            f"{operation['subject_id'][-6:]} planned",
        )


def buyers_of(asset: Mapping[str, Any]) -> Sequence[Buyer]:
    """Return who buys of this asset."""
    return BUYERS if asset["code"] in WELL_SOLD else BUYERS[:2]


def _buy(office: Office, asset: Mapping[str, Any], offering: Any, buyer: Buyer) -> None:
    person = buyer.person
    mine = [
        order
        for order in office.get(person, "/v1/me/orders")["items"]
        if order["offering_id"] == offering["id"]
    ]
    if not mine:
        units = max(int(offering["offered_units"]) * buyer.thousandths // 1000, 1)
        body = {"units": str(units), "wallet": person.wallet.address}
        mine = [office.post(person, f"/v1/offerings/{offering['id']}/orders", body)]
    order = mine[0]
    amount = lakh_grouped(Money.parse(order["amount"]["amount"]))
    if order["state"] == "AWAITING_PAYMENT":
        office.notify_payment(order)
        office.tell(
            asset["code"], person, f"buys {int(order['units']):,} fractions and pays {amount}"
        )


def _go_live(office: Office, asset: Mapping[str, Any], token: Any) -> Mapping[str, Any]:
    path = f"/v1/tokenizations/{token['id']}"
    token = office.get(COMPLIANCE, path)
    if token["state"] == "MINTING":
        _await_mints(office, asset, token)
        _await_reconciled(office, token)
        operation = office.ask(COMPLIANCE, f"{path}/go_live")
        office.await_final(operation, asset["code"], "unpause")
        token = office.get(COMPLIANCE, path)
        office.tell(
            asset["code"], "register", f"[green]{token['symbol']} is {token['state']}[/green]"
        )
    if token["state"] != "LIVE":
        raise DemoFailed(f"{asset['code']}: the token is {token['state']}, not LIVE")
    assert isinstance(token, dict)
    return token


def _await_mints(office: Office, asset: Mapping[str, Any], token: Any) -> None:
    orders = {
        order["operation_id"]
        for buyer in buyers_of(asset)
        for order in office.get(buyer.person, "/v1/me/orders")["items"]
    }
    known = office.get(COMPLIANCE, "/v1/operations", subject_id=token["id"])["items"]
    mints = [item for item in known if item["kind"] == "mint"]
    mints += [
        office.get(COMPLIANCE, f"/v1/operations/{operation_id}")
        for operation_id in sorted(filter(None, orders))
    ]
    for operation in mints:
        if operation["state"] != "final":
            office.await_final(operation, asset["code"], "mint")


def _await_reconciled(office: Office, token: Any) -> None:
    """Wait until the cap table was held against the chain after the last mint."""
    deadline = time.monotonic() + RECONCILED_SECONDS
    while time.monotonic() < deadline:
        proofs = office.get(COMPLIANCE, f"/v1/tokens/{token['id']}/reconciliations")
        if proofs and proofs[0]["chain_supply_units"] == token["declared_fractions"]:
            return
        time.sleep(0.1)
    raise DemoFailed(f"{token['symbol']} was not reconciled within {RECONCILED_SECONDS:.0f} s")


def enrol_buyers(office: Office) -> None:
    """Enrol every investor first, so that the chain works on them side by side."""
    for buyer in BUYERS:
        person = {"name": buyer.name, "cnic": buyer.cnic, "residence_country": "PK"}
        enrol(office, buyer.person, {"person": person}, buyer.name.removeprefix("Demo "))
    for buyer in BUYERS:
        await_identity(office, buyer.person, buyer.name.removeprefix("Demo "))
