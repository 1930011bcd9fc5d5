"""The consolidated list of the UN Security Council in its XML form, read as a stream.

Neither DTD nor entity is let in, and nothing is kept but the names. Source: the list's own form,
https://main.un.org/securitycouncil/en/content/un-sc-consolidated-list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO
from xml.sax import SAXParseException
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl, Locator

import pycountry
from defusedxml import DefusedXmlException
from defusedxml.sax import make_parser

from registry.kernel.clock import now
from registry.kernel.errors import Invalid
from registry.sanctions.models import ListedKind

MAX_ENTRIES = 50_000
MAX_TEXT = 20_000
MAX_NAMES = 200
MAX_DEPTH = 12
_CHUNK_BYTES = 64 * 1024
_ROOT = "CONSOLIDATED_LIST"
_KINDS = {"INDIVIDUAL": ListedKind.INDIVIDUAL, "ENTITY": ListedKind.ENTITY}
_NAME_PARTS = ("FIRST_NAME", "SECOND_NAME", "THIRD_NAME", "FOURTH_NAME")
_ALIASES = ("INDIVIDUAL_ALIAS", "ENTITY_ALIAS")
_BIRTH = "INDIVIDUAL_DATE_OF_BIRTH"
_FIRST_YEAR = 1999
"""Of the first list, by Resolution 1267."""
AHEAD = timedelta(days=1)
"""By how much a list may be ahead of our day: somebody else's day begins before ours."""
"""How far the clock of whoever makes the list may be ahead of ours, its zone unsaid."""
_YEAR = re.compile(r"[12][0-9]{3}")


@dataclass(slots=True)
class ListedEntry:
    """One individual or entity, as the list writes it."""

    kind: ListedKind
    reference: str = ""
    names: list[dict[str, object]] = field(default_factory=list)
    births: list[list[int]] = field(default_factory=list)
    nationalities: list[str] = field(default_factory=list)


def read_list(content: BinaryIO, take: Callable[[ListedEntry], None]) -> datetime:
    """Read the list and hand each entry to `take`; return when the list says it was generated.

    Raises
    ------
    Invalid
        ``sanctions_list_malformed``; its words name the line.
    """
    reader = _Reader(take)
    parser = make_parser()
    parser.forbid_dtd = True
    parser.setContentHandler(reader)
    try:
        while chunk := content.read(_CHUNK_BYTES):
            parser.feed(chunk)
        parser.close()
    except SAXParseException as error:
        raise _malformed(error.getLineNumber() or 0, error.getMessage()) from error
    except DefusedXmlException as error:
        raise _malformed(reader.line, "a DTD or an entity stands in it") from error
    if reader.generated_at is None or not reader.entries:
        raise _malformed(reader.line, "it names nobody")
    return reader.generated_at


def _malformed(line: int, why: str) -> Invalid:
    return Invalid(
        "sanctions_list_malformed",
        f"Line {line}: {why}.",
        field="/file",
        remedy="Send the consolidated list of the UN Security Council in its XML form, unchanged.",
    )


class _Reader(ContentHandler):
    def __init__(self, take: Callable[[ListedEntry], None]) -> None:
        super().__init__()
        self.entries = 0
        self.generated_at: datetime | None = None
        self._take = take
        self._locator: Locator | None = None
        self._path: list[str] = []
        self._text: list[str] = []
        self._length = 0
        self._entry: ListedEntry | None = None
        self._parts: dict[str, str] = {}
        self._group: dict[str, str] = {}

    @property
    def line(self) -> int:
        return (self._locator.getLineNumber() or 0) if self._locator else 0

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802
        self._locator = locator

    def startElement(self, name: str, attrs: AttributesImpl) -> None:  # noqa: N802
        if not self._path:
            self._begin(name, attrs)
        if len(self._path) >= MAX_DEPTH:
            raise _malformed(self.line, "it is nested too deeply")
        self._path.append(name)
        self._text, self._length = [], 0
        if name in _KINDS and len(self._path) == 3:  # noqa: PLR2004 (list, group, entry)
            self._entry, self._parts = ListedEntry(_KINDS[name]), {}
        if name in _ALIASES or name == _BIRTH:
            self._group = {}

    def _begin(self, name: str, attrs: AttributesImpl) -> None:
        if name != _ROOT:
            raise _malformed(self.line, f"it begins with {name[:40]}, not {_ROOT}")
        said = attrs.get("dateGenerated", "")
        try:
            moment = datetime.fromisoformat(said)
        except ValueError as error:
            raise _malformed(self.line, "dateGenerated is no date") from error
        self.generated_at = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        # One from tomorrow would be newer than every true edition to come.
        if moment.year < _FIRST_YEAR or self.generated_at > now() + AHEAD:
            raise _malformed(self.line, "dateGenerated is no day on which a list was made")

    def characters(self, content: str) -> None:
        self._length += len(content)
        if self._length > MAX_TEXT:
            raise _malformed(self.line, "a text is too long")
        self._text.append(content)

    def endElement(self, name: str) -> None:  # noqa: N802
        text = " ".join("".join(self._text).split())
        self._path.pop()
        self._text, self._length = [], 0
        entry = self._entry
        if entry is None:
            return
        if name in _KINDS and len(self._path) == 2:  # noqa: PLR2004
            self._finish(entry)
        elif name in _ALIASES:
            quality = self._group.get("QUALITY", "").casefold()
            self._name(entry, self._group.get("ALIAS_NAME", ""), is_weak=quality in {"low", "c"})
        elif name == _BIRTH:
            self._birth(entry)
        elif self._path[-1] in {*_ALIASES, _BIRTH}:
            self._group[name] = text
        elif self._path[-1] == "NATIONALITY" and name == "VALUE":
            entry.nationalities.append(_country(text))
        elif len(self._path) == 3:  # noqa: PLR2004
            self._parts[name] = text

    def _finish(self, entry: ListedEntry) -> None:
        entry.reference = self._parts.get("REFERENCE_NUMBER", "") or self._parts.get("DATAID", "")
        whole = " ".join(filter(None, (self._parts.get(part, "") for part in _NAME_PARTS)))
        self._name(entry, whole, is_weak=False)
        self._name(entry, self._parts.get("NAME_ORIGINAL_SCRIPT", ""), is_weak=False)
        if not entry.reference or not entry.names:
            raise _malformed(self.line, "an entry has no reference or no name")
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise _malformed(self.line, f"it has more than {MAX_ENTRIES} entries")
        entry.nationalities = sorted(set(filter(None, entry.nationalities)))
        self._take(entry)
        self._entry = None

    def _name(self, entry: ListedEntry, text: str, *, is_weak: bool) -> None:
        if text:
            entry.names.append({"text": text, "is_weak": is_weak})
        if len(entry.names) > MAX_NAMES:
            raise _malformed(self.line, f"an entry has more than {MAX_NAMES} names")

    def _birth(self, entry: ListedEntry) -> None:
        said = self._group
        years = [
            int(found.group())
            for name in ("DATE", "YEAR", "FROM_YEAR", "TO_YEAR")
            if (found := _YEAR.search(said.get(name, "")))
        ]
        if years:
            entry.births.append([min(years), max(years)])


def _country(name: str) -> str:
    """Return the ISO code of a country as the list names it, or nothing."""
    try:
        return str(pycountry.countries.lookup(name).alpha_2) if name else ""
    except LookupError:
        return ""
