"""The course of a drill: what has to be remembered from one request to the next.

Each simulated provider goes its own way, and so does each way of misbehaving that it is asked for: requests are
counted, time runs from the first of them, and chances come in a sequence that is the same in every process.
"""

from __future__ import annotations

from random import Random

from attrs import frozen

from gateway.resources.drills import Drill
from gateway.resources.misbehaviour import Group, Misbehaviour

MOST_COURSES = 1024
"""Models and headers are the clients' to choose; the course that was begun first is forgotten first."""


@frozen
class Caller:
    """What the course of a drill depends on in a request."""

    provider: str
    """For whom the simulator answers."""
    key: str | None
    """The SHA-256 of the key that came, in hexadecimal; None without one."""


class Course:
    """One provider's way through one drill."""

    def __init__(self, misbehaviour: Misbehaviour, provider: str, now: float) -> None:
        self._misbehaviour = misbehaviour
        self._started = now
        self._held = [0] * len(misbehaviour.sometimes)
        """For how many requests each group that counts them has held."""
        seed = f"{misbehaviour.seed}\n{provider}\n{misbehaviour.text}"
        self._random = Random(seed)  # noqa: S311  # what it decides is no secret

    def drill(self, key: str | None, now: float) -> Drill:
        """What this request meets."""
        draw = self._random.uniform(0, 100)
        chances = 0.0
        holding: list[Group] = []
        for index, group in enumerate(self._misbehaviour.sometimes):
            conditions = group.conditions
            if conditions.chance is not None:
                is_drawn = chances <= draw < chances + conditions.chance
                chances += conditions.chance
                if not is_drawn:
                    continue
            if not conditions.hold_for(key) or not conditions.hold_at(now - self._started):
                continue
            if conditions.first is not None:
                if self._held[index] == conditions.first:
                    continue
                self._held[index] += 1
            holding.append(group)
        return self._misbehaviour.drill(holding)


class Courses:
    """All that are under way."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], Course] = {}

    def drill(self, misbehaviour: Misbehaviour, caller: Caller, now: float) -> Drill:
        """What a request meets, and one step further for those who come after it.

        :param now: in seconds, of a clock that never jumps.
        """
        name = (caller.provider, misbehaviour.text)
        course = self._by_name.get(name)
        if course is None:
            if len(self._by_name) >= MOST_COURSES:
                del self._by_name[next(iter(self._by_name))]
            course = self._by_name[name] = Course(misbehaviour, caller.provider, now)
        return course.drill(caller.key, now)
