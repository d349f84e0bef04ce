"""Names that lead to this machine whatever strangers do: against DNS rebinding, on the admin port."""

from __future__ import annotations

from collections.abc import Collection

from gateway.messages import is_address


def host_name(authority: str) -> str:
    """The name or address in a Host header, in lower case, without port, brackets and final dot."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition(":")[0].lower().removesuffix(".")


def is_local_name(name: str, given: Collection[str] = ()) -> bool:
    """Tell whether no stranger can make this name resolve to us.

    :param given: names that the operator vouches for.
    """
    if not name:
        return False
    return is_address(name) or "." not in name or name.endswith(".localhost") or name in given
