"""Names made comparable: one form for what is written in many ways, in Latin and in Urdu script.

A token has a text (normalised, in its own script) and a skeleton: the consonants that both scripts
share. Muhammad, Mohamed, Mohd and the Urdu spelling have the skeleton ``mhmd``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_ARABIC = re.compile(r"[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufefc]")
_SAME_LETTERS = str.maketrans(
    {
        **dict.fromkeys("\u0622\u0623\u0625\u0671", "\u0627"),  # forms of alef
        **dict.fromkeys("\u064a\u0649\u06d2\u0626\u06d3", "\u06cc"),  # yeh, alef maksura, bari yeh
        "\u0643": "\u06a9",  # Arabic kaf
        **dict.fromkeys("\u0647\u06be\u0629\u06c0\u06c2\u06c3", "\u06c1"),  # heh, teh marbuta
        "\u0624": "\u0648",  # waw with hamza
        "\u06ba": "\u0646",  # noon ghunna
        "\u0621": "",  # hamza alone
        "\u0640": "",  # kashida
        **dict.fromkeys("\u200b\u200c\u200d\u200e\u200f\ufeff", ""),  # of no width
    }
)
_CONSONANTS = dict(
    zip(
        "\u0628\u067e\u062a\u0679\u0637\u062b\u0633\u0635\u062c\u0686\u062d\u06c1\u062e\u062f"
        "\u0688\u0630\u0632\u0636\u0638\u0698\u0631\u0691\u0634\u063a\u0641\u0642\u06a9\u06af"
        "\u0644\u0645\u0646",
        "bptttsssjchhkdd" + "zzzzz" + "rrS" + "gfkkg" + "lmn",
        strict=True,
    )
)
_VOWELS = "\u0627\u0639\u0648\u06cc"
_INITIALS = {"\u0627": "A", "\u0639": "A", "\u0648": "V", "\u06cc": "Y"}
_DIGRAPHS = (
    ("sh", "S"), ("ch", "C"), ("kh", "k"), ("gh", "g"), ("th", "s"), ("dh", "z"), ("ph", "f"),
    ("zh", "z"), ("ck", "k"), ("x", "ks"), ("q", "k"), ("c", "k"), ("C", "c"),
)  # fmt: skip
_SHORTENED = {"md": "muhammad", "mohd": "muhammad", "muhd": "muhammad", "mhd": "muhammad"}
_ARTICLES = frozenset({"al", "el", "ul", "ur", "us", "uz", "bin", "ibn", "bint", "son", "of"})
_TITLES = frozenset(
    {"mr", "mrs", "ms", "dr", "haji", "hajji", "hafiz", "maulana", "mullah", "sheikh", "shaykh"}
)
_MAHMUD = re.compile(r"m[ae]h?m(?:u|o|oo|ou)d|\u0645\u062d\u0645\u0648\u062f")
_ABD = re.compile(r"abd(?:[aeiou](?:l|([rsztnd])(?=\1)|(?=[rsztnd])))?(?P<whom>.*)")
_URDU_ABD = re.compile(r"(\u0639\u0628\u062f)\u0627\u0644(.+)")
_URDU_ARTICLE = re.compile(r"\u0627\u0644(.{2,})")


@dataclass(frozen=True, slots=True)
class Token:
    """One part of a name."""

    text: str
    skeleton: str
    is_latin: bool


@dataclass(frozen=True, slots=True)
class Name:
    """A name that can be compared."""

    tokens: tuple[Token, ...]

    @property
    def skeleton(self) -> str:
        return " ".join(sorted(token.skeleton for token in self.tokens if token.skeleton))


def read_name(text: str) -> Name:
    """Read a name in either script; titles, articles and marks are left out."""
    plain = text.casefold().translate(_SAME_LETTERS)
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", plain)
        if not unicodedata.combining(character)
    ).translate(_SAME_LETTERS)
    found: list[Token] = []
    for word in re.findall(r"[^\W\d_]+", re.sub(r"['\u2018\u2019\u02bc`]", "", plain)):
        found += _urdu(word) if _ARABIC.search(word) else _latin(word)
    return Name(tuple(found))


def _latin(word: str) -> list[Token]:
    if word in _ARTICLES or word in _TITLES:
        return []
    word = _SHORTENED.get(word, word)
    servant = _ABD.fullmatch(word)
    if servant is not None:
        # Abdul Rahman, Abdur-Rehman, Abdulrahman: the servant, and of whom.
        rest = servant.group("whom")
        return [Token("abd", "Abd", True), *([_latin_token(rest)] if len(rest) > 1 else [])]
    return [_latin_token(word)]


def _latin_token(word: str) -> Token:
    if _is_mahmud(word):
        return Token(word, "mhmvd", True)
    said = word
    for written, sound in _DIGRAPHS:
        said = said.replace(written, sound)
    initial = {"y": "Y", "w": "V", "v": "V"}.get(said[0], "A" if said[0] in "aeiou" else said[0])
    rest = re.sub(r"[aeiouywv]", "", said[1:])
    return Token(word, _ended(initial + rest), True)


def _urdu(word: str) -> list[Token]:
    servant = _URDU_ABD.fullmatch(word)
    if servant is not None:
        return [*_urdu(servant.group(1)), *_urdu(servant.group(2))]
    if _is_mahmud(word):
        return [Token(word, "mhmvd", False)]
    article = _URDU_ARTICLE.fullmatch(word)
    if article is not None:
        word = article.group(1)
    first = _INITIALS.get(word[0], _CONSONANTS.get(word[0], ""))
    rest = "".join(_CONSONANTS.get(letter, "") for letter in word[1:] if letter not in _VOWELS)
    return [Token(word, _ended(first + rest), False)]


def _is_mahmud(word: str) -> bool:
    """Tell Mahmud, whose long vowel alone sets it apart, from Muhammad."""
    return _MAHMUD.fullmatch(word) is not None


def _ended(skeleton: str) -> str:
    """Take doubled consonants as one, and no heed of a silent h at the end."""
    once = re.sub(r"(.)\1+", r"\1", skeleton)
    return once[:-1] if len(once) > 2 and once.endswith("h") else once  # noqa: PLR2004
