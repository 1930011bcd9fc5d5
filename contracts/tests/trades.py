"""Trades as seller and buyer sign them off chain."""

from dataclasses import dataclass, fields, replace

from eth_account import Account
from eth_account.messages import encode_typed_data

TRADE = {
    "Trade": [
        {"name": "token", "type": "address"},
        {"name": "seller", "type": "address"},
        {"name": "units", "type": "uint256"},
        {"name": "rupee", "type": "address"},
        {"name": "buyer", "type": "address"},
        {"name": "pricePaisa", "type": "uint256"},
        {"name": "sellerNonce", "type": "uint256"},
        {"name": "buyerNonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


@dataclass(frozen=True)
class Trade:
    """The terms, in the order in which they are signed."""

    token: str
    seller: str
    units: int
    rupee: str
    buyer: str
    price_paisa: int
    seller_nonce: int
    buyer_nonce: int
    deadline: int

    def but(self, **changes):
        return replace(self, **changes)

    def values(self):
        found = (getattr(self, field.name) for field in fields(self))
        return tuple(value if isinstance(value, int) else str(value) for value in found)

    def message(self, settlement, chain_id=31_337):
        domain = {
            "name": "Milkiyat Settlement",
            "version": "1",
            "chainId": chain_id,
            "verifyingContract": str(settlement),
        }
        names = [field["name"] for field in TRADE["Trade"]]
        terms = dict(zip(names, self.values(), strict=True))
        return encode_typed_data(domain, TRADE, terms)

    def signed(self, settlement, *accounts, chain_id=31_337):
        """Return the trade and the signatures of these accounts over it."""
        message = self.message(settlement, chain_id)
        signatures = [
            bytes(Account.sign_message(message, account.private_key).signature)
            for account in accounts
        ]
        return (self.values(), *signatures)
