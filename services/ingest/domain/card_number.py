"""Full card numbers are never accepted, however they are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import accumulate, takewhile

# Random identifiers may hold long runs of digits by chance.
_UUID = re.compile(r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}(?![0-9a-fA-F])")
_DIGIT = re.compile(r"\d")
_RUN = re.compile(r"[0-9](?:[\s._/-]{0,3}[0-9]){12,}", re.ASCII)
_LONGEST_RUN = 1024
"""Characters of a run that is looked into; nothing that belongs here is longer, and looking would take long."""
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_SEPARATORS = b" -._/\t\n\r\f\v"
_SHORTEST = b"0" * 13
_GROUP_BREAK = re.compile(r"[\s._/-]+", re.ASCII)
# No card scheme issues numbers beginning with 20YYMMDD; many systems build their identifiers so.
_DATED = re.compile(r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
# Signs that people take for a dash, a dot or a slash and that no compatibility form makes one.
_AS_ASCII = dict(zip("\u2212\u02d7\u00b7\u2022\u2027\u2219\u22c5\u30fb\u2044\u2215\u29f8", "--......///", strict=True))
_IDENTITY = re.compile(r"(?<![0-9])([0-9]{6})[\s-]{0,3}([0-9]{8})[\s-]{0,3}([0-9]{3}[0-9Xx])(?![0-9])", re.ASCII)
_IDENTITY_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_IDENTITY_CHECKS = "10X98765432"
_PROVINCE = re.compile(r"1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|91")


def holds_full_card_number(text: str) -> bool:
    """Return whether `text` holds 13 to 19 digits that are a card number by their check digit (Luhn, ISO/IEC 7812).

    Digits may be full-width or of another script, and parted by up to three of space, hyphen, dot, slash, underscore,
    of whatever script. A valid 18-digit Chinese identity number (GB 11643) is not a card number, although one in ten
    passes the same check; nor are 13 digits, unless they begin with 4 as the oldest cards do: milliseconds since 1970
    have as many.
    """
    plain = text if text.isascii() else _plain(text)
    if not _has_thirteen_digits(plain) or not _RUN.search(plain):
        return False
    others = _IDENTITY.sub(_without_identity, _UUID.sub("|", plain))
    return any(_is_one_in(run.group()) for run in _RUN.finditer(others))


def _is_one_in(run: str) -> bool:
    return len(run) > _LONGEST_RUN or any(
        (len(digits) > 13 or digits.startswith("4")) and _is_luhn(digits) and not _DATED.match(digits)
        for digits in _candidates(_GROUP_BREAK.split(run))
    )


def _has_thirteen_digits(plain: str) -> bool:
    """Return whether so many digits follow one another when separators are left out: a tenth of the search's time."""
    return _SHORTEST in plain.encode("utf-8", "replace").translate(_AS_ZEROS, _SEPARATORS)


def _plain(text: str) -> str:
    normal = unicodedata.normalize("NFKC", text)
    if len(_DIGIT.findall(normal)) < 13:
        return ""
    return "".join(_plain_character(character) for character in normal)


def _plain_character(character: str) -> str:
    if character.isascii():
        return character
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    match unicodedata.category(character):
        case "Cf":
            return ""  # zero-width characters between digits hide nothing
        case "Pd":
            return "-"
        case "Zs":
            return " "
        case _:
            return _AS_ASCII.get(character, character)


def _candidates(groups: Sequence[str]) -> Iterator[str]:
    """Yield each stretch of whole groups that has 13 to 19 digits: a card number may stand beside another number."""
    for first in range(len(groups)):
        for digits in takewhile(lambda digits: len(digits) <= 19, accumulate(groups[first : first + 19])):
            if len(digits) >= 13:
                yield digits


def _is_luhn(digits: str) -> bool:
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    total = sum(map(int, digits[-1::-2])) + sum(value - 9 if value > 9 else value for value in doubled)
    return total % 10 == 0


def _without_identity(found: re.Match[str]) -> str:
    return "|" if _is_identity_number("".join(found.groups())) else found.group()


def _is_identity_number(written: str) -> bool:
    """Return whether 17 digits and a check character are an identity number: a province, a birth date, the check."""
    try:
        date(int(written[6:10]), int(written[10:12]), int(written[12:14]))
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_IDENTITY_WEIGHTS, written[:17], strict=True))
    known = _PROVINCE.match(written) is not None and written[6:8] in {"19", "20"}
    return known and _IDENTITY_CHECKS[total % 11] == written[17].upper()
