"""The keys of custodial wallets, made for the rows that ask for one."""

from __future__ import annotations

import structlog

from chain.errors import SignerRefused, SignerUnavailable
from chain.node.client import hex_of
from chain.signing.wallet_keys import WalletKeys
from registry.investor import custody
from registry.kernel import failpoints
from registry.kernel.db import Database

log = structlog.get_logger()

AT_ONCE = 20


class KeyMaker:
    """Makes keys, each under the name of its row.

    Killed between a key and its row, it finds the key again by that name. Several may work side
    by side: of two that make one key, both find the same.
    """

    def __init__(self, database: Database, keys: WalletKeys, chain_id: int) -> None:
        self._database, self._keys, self._chain_id = database, keys, chain_id

    def turn(self) -> int:
        """Make the keys that are asked for, and return how many.

        Raises
        ------
        SignerUnavailable, SignerRefused
            None could be made; those that could not are made in a later turn.
        """
        with self._database.reading() as session:
            asked = custody.list_unmade(session, self._chain_id, limit=AT_ONCE)
        made, fault = 0, None
        for key_id in asked:
            try:
                uri = self._keys.make(key_id)
                address = self._keys.open(uri).address
            except (SignerUnavailable, SignerRefused) as error:
                fault = error
                continue
            failpoints.reach("after_custodial_key")
            with self._database.transaction() as session:
                custody.record_key(session, key_id, key_uri=uri, address=address)
            log.info("custodial_wallet_made", address=hex_of(address))
            made += 1
        if fault is not None and not made:
            raise fault
        return made
