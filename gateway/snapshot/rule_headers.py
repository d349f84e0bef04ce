"""A rule's `headers` -> what is done to the heads that pass by it."""

from __future__ import annotations

from gateway.messages import Secret
from gateway.resources.header_changes import HeaderChanges, HeaderOperations
from gateway.snapshot.tables import Backend, HeaderEdit, RuleHeaders


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


def overruled(edit: HeaderEdit, backend: Backend) -> list[str]:
    """The headers that a rule would set or remove, and that the provider sets itself, so that they stand."""
    set_here = set(edit.set)
    return sorted(
        name.decode()
        for name, value in backend.headers
        if name in edit.dropped and (name, value) not in set_here
    )


def _edit_of(operations: HeaderOperations) -> HeaderEdit:
    return HeaderEdit(
        removed=frozenset(name.encode() for name in operations.remove),
        set=tuple((name.encode(), value) for name, value in operations.set.items()),
        added=tuple((name.encode(), value) for name, value in operations.add.items()),
    )
