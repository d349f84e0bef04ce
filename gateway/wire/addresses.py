"""Addresses of sockets, for people to read and paste."""

from __future__ import annotations

from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress


def shown(address: IAddress) -> str:
    """`127.0.0.1:8080`, `[::1]:8080`, or the path of a Unix socket."""
    match address:
        case IPv4Address(host=host, port=port):
            return f"{host}:{port}"
        case IPv6Address(host=host, port=port):
            return f"[{host}]:{port}"
    name = getattr(address, "name", None)
    return name.decode(errors="replace") if isinstance(name, bytes) else "unix"


def is_local(address: IAddress) -> bool:
    """Only this machine reaches it: a loopback address, or a Unix socket."""
    return not isinstance(address, IPv4Address | IPv6Address) or ip_address(address.host).is_loopback
