"""What the registry refuses, by kind. Only `api/problems.py` turns these into HTTP."""

from __future__ import annotations

from collections.abc import Mapping


class RegistryError(Exception):
    """Something the registry refuses, for a reason that the caller can act on.

    Parameters
    ----------
    code
        Stable machine-readable name, listed in ``docs/reference/errors.md``.
    detail
        One sentence: what was refused and why.
    remedy
        One sentence: what the caller can do about it.
    rule
        Id of the rule of the register that refuses, where one does.
    values
        What the texts of other languages say of this refusal, by the names in the catalogue of
        messages.
    """

    retryable = False

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        remedy: str | None = None,
        rule: str | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.remedy = remedy
        self.rule = rule
        self.values = values or {}


class Invalid(RegistryError):
    """The payload itself is wrong, whatever the state of the register.

    Parameters
    ----------
    field
        JSON pointer of the offending value, where one value is to blame.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        rule: str | None = None,
        values: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code, detail, remedy=remedy, rule=rule, values=values)
        self.field = field


class NotFound(RegistryError):
    """It does not exist, or the caller may not know that it does."""

    def __init__(self, kind: str, key: object) -> None:
        super().__init__("not_found", f"There is no {kind} {key} that you may see.")
        self.kind = kind
        self.key = str(key)


class Forbidden(RegistryError):
    """The caller is known, and may not do this."""


class Unproven(RegistryError):
    """What somebody shows does not prove who they are.

    Parameters
    ----------
    keeps
        What was written on the way is kept: a token that came twice ends its session, although
        the request that showed it is refused.
    """

    def __init__(
        self, code: str, detail: str, *, remedy: str | None = None, keeps: bool = False
    ) -> None:
        super().__init__(code, detail, remedy=remedy)
        self.keeps = keeps


class Conflict(RegistryError):
    """The payload is fine, the present state of the register does not allow it."""


class StaleVersion(RegistryError):
    """The caller edited an older version than the current one."""

    def __init__(self, kind: str, sent: str, current: str) -> None:
        super().__init__(
            "stale_version",
            f"The {kind} has changed: you sent version {sent}, the current one is {current}.",
            remedy="Read it again, apply your change to what you read, and send its ETag.",
        )


class PreconditionRequired(RegistryError):
    """An edit came without saying which version it edits."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            "if_match_required",
            f"An edit of the {kind} must say which version it edits.",
            remedy="Send the ETag of your last read as If-Match.",
        )


class Unavailable(RegistryError):
    """Something that the registry needs is away; the same request may succeed later."""

    retryable = True
