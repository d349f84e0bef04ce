"""What must come of a request whose provider fails."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias

from attrs import Factory, field, frozen

from bench.judging import Ending

TIMER_SECONDS = 1.0
"""`connect`, `headers`, `firstContent` and `idle` of the drive."""

LATE_SECONDS = 0.25
"""By so much the gateway may be late with a timer."""

Spec: TypeAlias = Mapping[str, object]


@frozen
class Expected:
    """What must come of a request."""

    ending: Ending
    primary: Collection[int]
    """How often the primary may have been asked."""
    fallback: Collection[int]
    least: float = 0.0
    """Seconds that it takes at least, as the provider asked to wait."""
    most: float = 1.0
    """Seconds that it may take, on a machine that has nothing else to do."""
    status: int | None = None
    """Of an error; None for one within a stream that had begun."""
    second: Collection[int] = (0,)
    """How often the second of three may have been asked."""


def whole(
    primary: int | Collection[int] = 1,
    fallback: int | Collection[int] = 1,
    *,
    timers: float = 0.0,
    least: float = 0.0,
    most: float = 0.7,
    second: int | Collection[int] = 0,
) -> Expected:
    """The whole answer.

    :param timers: seconds of timers that have to run out before.
    :param most: further seconds; a back-off is a quarter of one at most.
    """
    asked = _numbers(primary), _numbers(fallback)
    return Expected(Ending.WHOLE, *asked, least, _most(timers, most), second=_numbers(second))


def error(
    status: int | None,
    primary: int | Collection[int] = 1,
    fallback: int | Collection[int] = 0,
    *,
    timers: float = 0.0,
    most: float = 0.7,
) -> Expected:
    """A clear error; without a status one within a stream."""
    return Expected(Ending.ERROR, _numbers(primary), _numbers(fallback), 0.0, _most(timers, most), status)


def _numbers(numbers: int | Collection[int]) -> Collection[int]:
    return (numbers,) if isinstance(numbers, int) else numbers


def _most(timers: float, most: float) -> float:
    return timers + LATE_SECONDS * (timers > 0) + most


Way: TypeAlias = Literal["open", "refused", "ignored", "filled"]
"""What a door does (bench/doors.py)."""


@frozen
class Case:
    """One fault."""

    fault: str
    """In words, for the table."""
    plain: Expected | None
    """None where the fault is one of streams alone."""
    stream: Expected = field(default=Factory(lambda case: case.plain, takes_self=True))
    """The same unless it is said."""
    primary: str = field(default="", kw_only=True)
    """Its drill."""
    fallback: str = ""
    same_model: bool = False
    """Both say the same words."""
    door: Way = "open"
    """The primary's."""
    fallback_door: Way = "open"
    rule: Spec = field(factory=dict)
    """Further fields of the rule."""
    primary_spec: Spec = field(factory=dict)
    """Further fields of the provider."""
    fallback_spec: Spec = field(factory=dict)
    primary_config: Spec = field(factory=dict)
    """Further fields of its config."""
    second: str | None = None
    """The drill of a provider between the two, which says what the primary says; None where there are but two."""
    second_spec: Spec = field(factory=dict)
    before: int = 0
    """So many requests come first and are not judged."""
    crowd: int = 1
    """So many requests come at once; each is judged, and attempts are those of all together."""

    @property
    def fallback_model(self) -> str:
        """The primary's is small."""
        return "small" if self.same_model else "large"
