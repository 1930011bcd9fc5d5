"""The public keys of an external issuer: asked for seldom, however many tokens come.

Anybody can send tokens that name keys which there are not. So the issuer is asked at most once in
a while, by one request at a time, and nobody waits for the answer who has a key already.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import HTTPRedirectHandler, build_opener

import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from registry.kernel.errors import Unavailable

log = structlog.get_logger()

FRESH_SECONDS = 300.0
"""So long a key is believed after its recall."""
STALE_SECONDS = 3_600.0
"""So long keys are believed that the issuer, being away, could neither renew nor recall."""
ASK_AGAIN_SECONDS = 30.0
"""Between two questions of which the second is for a key that nobody knows."""
FAILED_AGAIN_SECONDS = 5.0
TIMEOUT_SECONDS = 5.0
MAX_BYTES = 512 * 1024
MIN_RSA_BITS = 2048
ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""Asymmetric ones: a secret that both sides have proves nothing about who signed."""


class KeySetUnreadable(Exception):
    """What came from the JWKS address is no set of keys."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys by id, and when they were got."""

    keys: Mapping[str, jwt.PyJWK]
    got_at: float


class KeySet:
    """Finds keys by their ids.

    Parameters
    ----------
    url
        Of the JWKS (RFC 7517). It is not followed elsewhere.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._opener = build_opener(_NoRedirect)
        self._known = _Known({}, -STALE_SECONDS)
        self._ask_at = -STALE_SECONDS
        """From when on the issuer may be asked again."""
        self._failed = False
        self._asking = threading.Lock()

    def find(self, kid: str) -> jwt.PyJWK | None:
        """Return the key of this id, or None if the issuer has none.

        Raises
        ------
        Unavailable
            ``issuer_unavailable``: it does not answer, or is being asked right now.
        """
        known = self._known
        age = time.monotonic() - known.got_at
        if kid in known.keys and age < FRESH_SECONDS:
            return known.keys[kid]
        self._renew(wait=not known.keys)
        known = self._known
        is_current = time.monotonic() - known.got_at < STALE_SECONDS
        if is_current and kid in known.keys:
            return known.keys[kid]
        if not is_current or self._failed or self._asking.locked():
            raise Unavailable("issuer_unavailable", "The token issuer does not answer.")
        return None

    def expire(self) -> None:
        """Do what minutes do: the keys are old, and the issuer may be asked."""
        self._known = _Known(self._known.keys, time.monotonic() - FRESH_SECONDS)
        self._ask_at = -STALE_SECONDS

    def _renew(self, *, wait: bool) -> None:
        """Ask the issuer, if it is time to; with `wait`, stay while another asks."""
        if not self._asking.acquire(blocking=wait):
            return
        try:
            if time.monotonic() < self._ask_at:
                return
            try:
                keys = self._fetch()
            except (URLError, OSError, HTTPException, KeySetUnreadable) as error:
                self._failed = True
                self._ask_at = time.monotonic() + FAILED_AGAIN_SECONDS
                log.warning("issuer_unavailable", reason=str(error))
            else:
                self._failed = False
                self._known = _Known(keys, time.monotonic())
                self._ask_at = time.monotonic() + ASK_AGAIN_SECONDS
        finally:
            self._asking.release()

    def _fetch(self) -> Mapping[str, jwt.PyJWK]:
        with self._opener.open(self._url, timeout=TIMEOUT_SECONDS) as answer:
            body = answer.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise KeySetUnreadable(f"the key set has more than {MAX_BYTES} bytes")
        try:
            said = json.loads(body)["keys"]
            keys = [key for entry in said if (key := _read_key(entry)) is not None]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise KeySetUnreadable(f"no JWKS: {type(error).__name__}") from error
        # Of two with one id the first counts, as everywhere where keys are looked for in order.
        return {str(key.key_id): key for key in reversed(keys)}


class _NoRedirect(HTTPRedirectHandler):
    """Whoever answers for the address that the operator named is believed, and nobody else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _read_key(entry: Mapping[str, Any]) -> jwt.PyJWK | None:
    """Return a key to check signatures with; None of any other, which may stand beside ours."""
    if not entry.get("kid") or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
        return None
    try:
        key = jwt.PyJWK(dict(entry))
    except jwt.PyJWTError as error:
        log.warning("issuer_key_unusable", kid=str(entry["kid"]), reason=str(error))
        return None
    is_weak = isinstance(key.key, RSAPublicKey) and key.key.key_size < MIN_RSA_BITS
    if key.algorithm_name not in ALGORITHMS or is_weak:
        log.warning("issuer_key_unusable", kid=str(entry["kid"]), algorithm=key.algorithm_name)
        return None
    return key
