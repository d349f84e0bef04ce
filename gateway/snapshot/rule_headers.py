"""What a rule does to the heads that pass by it: its `headers`, compiled."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import field, frozen

from gateway.messages import Secret
from gateway.resources.header_changes import HeaderChanges, HeaderOperations


@frozen(eq=False)
class HeaderEdit:
    """What a rule does to one head: remove, then set, then add.  Names in lower case."""

    removed: frozenset[bytes] = frozenset()
    set: tuple[tuple[bytes, Secret], ...] = ()
    added: tuple[tuple[bytes, Secret], ...] = ()
    dropped: frozenset[bytes] = field(init=False)
    """Whose lines go: what is removed or set anew."""
    lines: tuple[tuple[bytes, bytes], ...] = field(init=False, repr=False)
    """What comes in addition, in this order."""

    @property
    def edits(self) -> bool:
        """It does something."""
        return bool(self.dropped or self.lines)

    @dropped.default
    def _dropped(self) -> frozenset[bytes]:
        return self.removed.union(name for name, _ in self.set)

    @lines.default
    def _lines(self) -> tuple[tuple[bytes, bytes], ...]:
        return tuple((name, value.reveal().encode()) for name, value in (*self.set, *self.added))


@frozen(eq=False)
class RuleHeaders:
    """What a rule does to the heads that pass by it."""

    request: HeaderEdit = field(factory=HeaderEdit)
    """To what a provider is sent."""
    answer: HeaderEdit = field(factory=HeaderEdit)
    """To what a provider has answered."""
    from_outside: tuple[Secret, ...] = ()
    """What came from the environment or a file into `request`."""


def rule_headers_of(changes: HeaderChanges, from_outside: tuple[Secret, ...]) -> RuleHeaders:
    """Compile the changes of one rule.

    :param from_outside: what came from the environment or a file into any place of the rule's route.
    """
    request = _edit_of(changes.request)
    values = [value.reveal() for _, value in (*request.set, *request.added)]
    return RuleHeaders(
        request=request,
        answer=_edit_of(changes.response),
        # What an operator puts into answers is for clients; only what providers are sent is kept from them.
        from_outside=tuple(each for each in from_outside if any(each.reveal() in value for value in values)),
    )


def overruled(edit: HeaderEdit, headers: Iterable[tuple[bytes, Secret]]) -> list[str]:
    """The headers that a rule would set or remove, and that the provider sets itself, so that they stand.

    :param headers: of a backend: the provider's, then the rule's.
    """
    set_here = set(edit.set)
    return sorted(
        name.decode() for name, value in headers if name in edit.dropped and (name, value) not in set_here
    )


def _edit_of(operations: HeaderOperations) -> HeaderEdit:
    return HeaderEdit(
        removed=frozenset(name.encode() for name in operations.remove),
        set=tuple((name.encode(), value) for name, value in operations.set.items()),
        added=tuple((name.encode(), value) for name, value in operations.add.items()),
    )
