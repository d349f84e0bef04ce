"""How a simulated provider misbehaves: drills, each with the conditions under which it holds.

It is a list of groups, `words=50, 30%cut-after=5&cut=reset, status=503&for=30s`.  A group is directives joined by
`&`, some of which may be conditions; what has none always holds.  It is read strictly: a drill that silently does
nothing would prove nothing, so whatever is unknown, malformed, given twice, in contradiction or without effect is
refused by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import combinations
from types import MappingProxyType
from typing import Any

from attrs import evolve, field, frozen

from gateway.resources.directives import (
    DIRECTIVES,
    LARGEST_NUMBER,
    DrillError,
    contradiction,
    lack,
    some_time,
    vanity,
    whole,
    word,
)
from gateway.resources.drill_slips import FOREIGN_SEPARATOR, meant_chance, meant_group, meant_word
from gateway.resources.drills import Drill
from gateway.resources.shapes import Syntax

PROVIDER_HEADER = "x-llmgateway-provider"
"""Tells a simulator for which provider it answers.  No client's header of such a name is ever sent on."""

MISBEHAVE_HEADER = "x-llmgateway-misbehave"
"""Tells a simulator what the provider's configuration says of misbehaviour."""

MOST_GROUPS = 32

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@frozen
class Conditions:
    """When a group holds: where all of these do.  Times are in seconds since the first request."""

    chance: float | None = None
    """Percent of the requests; of all groups that have one at most one holds."""
    key: str | None = None
    """The first hexadecimal digits of the SHA-256 of the key that came with the request; `none` for no key."""
    begins: float = 0.0
    lasts: float | None = None
    """None is for ever."""
    every: float | None = None
    """After so long it begins again; None is never."""
    first: int | None = None
    """Only for so many of the requests for which all else holds."""

    def hold_at(self, seconds: float) -> bool:
        """Tell whether a request so long after the first one comes at the right time."""
        since = seconds - self.begins
        if since < 0:
            return False
        if self.every is not None:
            since %= self.every
        return self.lasts is None or since < self.lasts

    def hold_for(self, key: str | None) -> bool:
        """Tell whether a request with a key of this SHA-256, or without one, is meant."""
        if self.key is None:
            return True
        return self.key == "none" if key is None else key.startswith(self.key)

    def may_hold_with(self, other: Conditions) -> bool:
        """Tell whether one request may meet both."""
        if self.chance is not None and other.chance is not None:
            return False
        if self.key is None or other.key is None:
            return True
        return self.key.startswith(other.key) or other.key.startswith(self.key)


@frozen
class Group:
    """Directives that hold together, sometimes."""

    conditions: Conditions
    asked: Mapping[str, Any]
    """The directives by name, with their values."""


@frozen
class Misbehaviour:
    """What a provider does wrong, and when."""

    always: Mapping[str, Any] = _NOTHING
    """The directives that have no conditions."""
    sometimes: tuple[Group, ...] = ()
    seed: int = 0
    """Chooses among the sequences of chances."""
    text: str = field(default="", eq=False)
    """As it was written, in one line."""

    def drill(self, holding: Iterable[Group] = ()) -> Drill:
        """The drill where these groups hold."""
        asked = dict(self.always)
        for group in holding:
            asked |= group.asked
        return Drill(**{name.replace("-", "_"): value for name, value in asked.items()})


WELL_BEHAVED = Misbehaviour()

_HEXADECIMAL = r"[0-9a-f]{8,64}"


def _key(text: str) -> str:
    if text != "none" and re.fullmatch(_HEXADECIMAL, text) is None:
        raise DrillError("8 to 64 hexadecimal digits of a key's SHA-256, or none, are needed")
    return text


_CONDITIONS: Mapping[str, tuple[str, Callable[[str], object]]] = {
    "key": ("key", _key),
    "from": ("begins", some_time),
    "for": ("lasts", some_time),
    "every": ("every", some_time),
    "first": ("first", whole(1, LARGEST_NUMBER)),
}
"""By the word they are written with: the field of `Conditions`, and what reads the value."""

_OF_ALL: Mapping[str, Callable[[str], object]] = {"seed": whole(0, LARGEST_NUMBER), "drill": word}
"""What is said once, and of the whole list."""


def in_list(text: str) -> list[str]:
    """The groups of a list with commas.  Empty ones mean nothing (RFC 9110 §5.6.1.2)."""
    return [group for part in text.split(",") if (group := part.strip(" \t"))]


@lru_cache(maxsize=256)
def read_misbehaviour(groups: tuple[str, ...]) -> Misbehaviour:
    """Read these groups, from wherever they come, as one list.

    :raises DrillError: with a sentence that names the directive.
    """
    if len(groups) > MOST_GROUPS:
        raise DrillError(f"{len(groups)} groups are too many; {MOST_GROUPS} are possible")
    always: dict[str, Any] = {}
    sometimes: list[Group] = []
    of_all: dict[str, Any] = {}
    before = ""
    for text in groups:
        name, _, value = text.partition("=")
        if name in _OF_ALL:
            _put(of_all, name, _value(text, value, _OF_ALL[name]))
            continue
        group = _group(text, before)
        before = text
        if group.conditions == Conditions():
            for directive, asked in group.asked.items():
                _put(always, directive, asked)
        else:
            sometimes.append(group)
    misbehaviour = Misbehaviour(
        MappingProxyType(always), tuple(sometimes), of_all.get("seed", 0), ", ".join(groups)
    )
    _check(misbehaviour, of_all)
    return misbehaviour


def _read_alone(text: str) -> str:
    """Refuse a text that cannot be obeyed, whatever a client may add to it."""
    read_misbehaviour(tuple(in_list(text)))
    return text


MISBEHAVIOUR = Syntax(
    "directives of the simulator in one line of ASCII, such as cut-after=3",
    r"[!-~]([ -~]{0,1022}[!-~])?",
    _read_alone,
)


def _group(text: str, before: str) -> Group:
    """Read one group.

    :param before: the one that comes before it, as it was written; empty where there is none.
    """
    if FOREIGN_SEPARATOR.search(text):
        raise DrillError(f"{text!r}: directives have no blanks, and are joined by `&`, groups by `,`")
    conditions = Conditions()
    chance, percent, rest = text.partition("%")
    if percent:
        conditions = Conditions(chance=_chance(chance, rest))
        if not rest:
            raise DrillError(f"{text!r} limits nothing: write it before what it limits, as in 30%reset")
    asked: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for directive in (rest if percent else text).split("&"):
        name, equals, value = directive.partition("=")
        if not name:
            raise DrillError(f"{text!r}: a directive is missing")
        if name in _CONDITIONS:
            field_name, read = _CONDITIONS[name]
            _put(limits, field_name, _value(directive, value, read), name)
        else:
            _put(asked, name, _directive(directive, name, equals, value))
    conditions = evolve(conditions, **limits)
    if not asked:
        raise DrillError(f"{text!r} limits nothing: {meant_group(text, before)}")
    if conditions.every is not None and (conditions.lasts is None or conditions.lasts >= conditions.every):
        raise DrillError(f"{text!r}: 'every' needs a 'for' that is shorter")
    return Group(conditions, MappingProxyType(asked))


def _directive(directive: str, name: str, equals: str, value: str) -> object:
    if name not in DIRECTIVES:
        if name in _OF_ALL:
            raise DrillError(f"{name!r} is said of the whole list, not within a group")
        hint = meant_word(name, (*DIRECTIVES, *_CONDITIONS, *_OF_ALL))
        there = f"there are {', '.join(DIRECTIVES)}, and the conditions {', '.join(_CONDITIONS)}"
        raise DrillError(f"{name!r} is unknown; {hint or there}")
    read = DIRECTIVES[name]
    if read is not None:
        return _value(directive, value, read)
    if equals:
        raise DrillError(f"{name!r} takes no value")
    return True


def _value(directive: str, value: str, read: Callable[[str], object]) -> object:
    try:
        return read(value)
    except DrillError as error:
        raise DrillError(f"{directive!r}: {error}") from None


def _chance(text: str, rest: str) -> float:
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text) is None or not 0 < float(text) <= 100:
        hint = meant_chance(text, rest) or "a chance above 0 and up to 100 is needed, as in 30%reset"
        raise DrillError(f"{text + '%'!r}: {hint}")
    return float(text)


def _put(into: dict[str, Any], name: str, value: object, shown: str | None = None) -> None:
    if name in into:
        raise DrillError(f"{shown or name!r} is given twice")
    into[name] = value


def _check(misbehaviour: Misbehaviour, of_all: Mapping[str, object]) -> None:
    """What one group cannot tell by itself."""
    always, sometimes = misbehaviour.always, misbehaviour.sometimes
    _refuse(contradiction(always, ()) or vanity(always, always) or lack(always, always))
    for group in sometimes:
        asked = group.asked
        _refuse(contradiction(asked, ()) or contradiction(asked, always))
        # It may well overrule what always holds, as an outage does; the other way round it would never be seen.
        _refuse(vanity(asked, asked) or vanity(always, asked) or lack(asked, (*asked, *always)))
    for one, other in combinations(sometimes, 2):
        if one.conditions.may_hold_with(other.conditions):
            _refuse(contradiction(one.asked, other.asked))
    chances = [group.conditions.chance for group in sometimes if group.conditions.chance is not None]
    if sum(chances) > 100:
        raise DrillError(f"the chances make {sum(chances):g}%, and 100% is all there is")
    if "seed" in of_all and not chances:
        raise DrillError("'seed' needs a chance, as in 30%reset")
    if "drill" in of_all and not sometimes:
        raise DrillError("'drill' names what is counted, and nothing is: there is no condition")


def _refuse(sentence: str | None) -> None:
    if sentence is not None:
        raise DrillError(sentence)
