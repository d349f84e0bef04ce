"""How much of all requests' bodies is held at once: slow clients with large ones must not fill the memory together."""

from __future__ import annotations

MOST_HELD = 1024**3
"""Bytes, unless the Gateway document says otherwise: a hundred conversations with pictures."""

NOT_COUNTED = 64 * 1024
"""Bytes of one body that are not worth counting: nearly every request is smaller, and as many are held for its head."""


class HeldBodies:
    """The sum, in bytes."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held = 0
        """Of bodies that are larger than `NOT_COUNTED`; they are held until their exchanges end."""

    def take(self, size: int, most: int | None) -> bool:
        """Hold so much more, if there is room for it.

        :param most: what the Gateway document allows; None where it says nothing.
        """
        if self.held + size > (MOST_HELD if most is None else most):
            return False
        self.held += size
        return True

    def give_back(self, size: int) -> None:
        """So much is held no more."""
        self.held -= size
