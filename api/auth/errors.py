"""Why a caller is not known."""

from __future__ import annotations


class Unauthenticated(Exception):
    """No token, or none that we can believe.

    Parameters
    ----------
    code
        ``token_missing``, ``token_expired`` or ``token_invalid``.
    """

    def __init__(self, code: str, detail: str, *, remedy: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.remedy = remedy
