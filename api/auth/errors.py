"""Why a caller is not known, or has to wait."""

from __future__ import annotations

from registry.rate_limit.service import Allowance


class Unauthenticated(Exception):
    """No token, or none that we can believe.

    Parameters
    ----------
    code
        ``token_missing``, ``token_expired``, ``token_invalid``, or ``api_key_…``.
    """

    def __init__(self, code: str, detail: str, *, remedy: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.remedy = remedy


class TooManyRequests(Exception):
    """A quota is used up for the moment."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__("rate_limited")
        self.code = "rate_limited"
        self.allowance = allowance
