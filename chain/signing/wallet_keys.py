"""The keys of custodial wallets: one for each, made where the settings say, under a given name.

To make a key that there is already gives that key: so whoever asks may have been killed before.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Protocol
from uuid import UUID

from chain.errors import SignerRefused
from chain.signing.aws_kms import make_aws_key
from chain.signing.gcp_kms import AccessTokens, make_gcp_key
from chain.signing.keystore import KDF_ROUNDS, create_keystore
from chain.signing.port import Signer
from chain.signing.uri import open_signer, read_options

_RING = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+")


class WalletKeys(Protocol):
    """Where keys of wallets are made, and opened to sign."""

    def make(self, wallet: UUID) -> str:
        """Make the key of this name unless it is there, and give its URI.

        Raises
        ------
        SignerUnavailable
            Whoever makes keys cannot be reached now.
        SignerRefused
            They do not let us make any.
        """
        ...

    def open(self, uri: str) -> Signer:
        """Open a key that was made. Raises like `make`."""
        ...


class StoredWalletKeys:
    """Keys in files of a folder, or at a cloud's key service.

    Whatever the place for new ones, older ones are opened where they were made.

    Parameters
    ----------
    place
        ``file:``, ``aws-kms:?region=…`` or ``gcp-kms:projects/…/keyRings/…``.
    directory, password
        Where key files lie, and what encrypts each.
    kdf_rounds
        Of their encryption; fewer are for tests.

    Raises
    ------
    SignerRefused
        The place is malformed, or files have no password.
    """

    def __init__(
        self,
        place: str,
        *,
        directory: Path,
        password: str | None,
        tokens: AccessTokens,
        kdf_rounds: int = KDF_ROUNDS,
    ) -> None:
        self._scheme, self._ring, self._query = _read_place(place)
        self._directory, self._password, self._tokens = directory, password, tokens
        self._kdf_rounds = kdf_rounds
        if self._scheme == "file" and password is None:
            raise SignerRefused("CUSTODY_KEYS in files need CUSTODY_PASSWORD.")

    def make(self, wallet: UUID) -> str:
        name = f"wallet-{wallet}"
        if self._scheme == "file":
            assert self._password is not None
            path = self._directory / f"{name}.json"
            create_keystore(path, self._password, rounds=self._kdf_rounds)
            return f"file:{name}.json"
        region, endpoint = read_options(self._scheme, self._query)
        if self._scheme == "aws-kms":
            alias = make_aws_key(name, region=region, endpoint=endpoint)
            return f"aws-kms:{alias}{self._query}"
        version = make_gcp_key(self._ring, name, tokens=self._tokens, endpoint=endpoint)
        return f"gcp-kms:{version}{self._query}"

    def open(self, uri: str) -> Signer:
        return open_signer(
            uri, directory=self._directory, password=self._password, tokens=self._tokens
        )


def _read_place(place: str) -> tuple[str, str, str]:
    scheme, _, rest = place.partition(":")
    name, mark, query = rest.partition("?")
    with contextlib.suppress(KeyError):
        wanted = {"file": "", "aws-kms": "", "gcp-kms": _RING.pattern}[scheme]
        if re.fullmatch(wanted, name) and not (scheme == "file" and mark):
            read_options(scheme, mark + query)
            return scheme, name, mark + query
    raise SignerRefused(
        f"CUSTODY_KEYS={place!r} is no place: write file:, aws-kms:?region=… or "
        "gcp-kms:projects/…/locations/…/keyRings/…"
    )
