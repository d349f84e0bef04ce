"""What names, hosts, paths and keys look like."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from gateway.resources.shapes import Syntax

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_DNS_NAME = rf"({_LABEL}\.){{0,126}}{_LABEL}\.?"
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,31}:"
_IPV6 = r"\[?[0-9A-Fa-f.]{0,4}:[0-9A-Fa-f:.]{1,41}\]?"


def _normalised_host(text: str) -> str:
    """Lower case, without trailing dot and brackets."""
    host = text.lower().removesuffix(".")
    if ":" in host or host.startswith("["):
        return _ipv6(host)
    last = host.rpartition(".")[2]
    if last.isdigit() or re.fullmatch(r"0x[0-9a-f]*", last):
        # resolvers take 127.1, 0x7f000001 and 2130706433 for addresses: RFC 1123 §2.1 keeps names clear of them
        try:
            return str(ip_address(host))
        except ValueError:
            raise ValueError("is neither a DNS name nor an IP address in its usual form") from None
    if len(host) > 253:
        raise ValueError("is longer than a DNS name can be (253 characters, RFC 1035 §2.3.4)")
    return host


def _ipv6(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return str(IPv6Address(bare))
    except ValueError:
        raise ValueError("is neither a DNS name nor an IP address: a host has no port here") from None


def _subject_alt_name(text: str) -> str:
    """The one spelling, as `wire/certificates.py` reads it from a certificate: each kind of name looks different."""
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    if ":" in text:
        if not re.match(_SCHEME, text):
            raise ValueError("is neither a URI nor an IPv6 address")
        return text
    local, at, domain = text.rpartition("@")
    return local + at + _normalised_host(domain)


def _cidr(text: str) -> str:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"must be {_CIDR_MEANING}") from None
    if "/" in text and network.network_address != ip_address(text.partition("/")[0]):
        raise ValueError(f"must have no bits beyond its prefix, as in {network}")
    return str(_unmapped(network))


def _unmapped(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """The IPv4 network that an IPv4-mapped IPv6 one stands for (RFC 4291 §2.5.5.2), else the network itself."""
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        inner = network.network_address.ipv4_mapped
        if inner is not None:
            return IPv4Network((inner, network.prefixlen - 96))
    return network


def _lower(text: str) -> str:
    return text.lower()


def _clean_path(text: str) -> str:
    """A path that means the same to everyone who reads it."""
    if text.startswith("//"):
        raise ValueError("must not begin with two slashes")
    if {".", ".."} & set(text.lower().replace("%2e", ".").split("/")):
        raise ValueError("must not contain the segments `.` and `..`")
    return text


def _not_blank_around(text: str) -> str:
    if text != text.strip():
        raise ValueError("must not begin or end with a blank")
    return text


HOST = Syntax(
    "a host alone: a DNS name or an IP address, without scheme, port or path",
    rf"{_DNS_NAME}|{_IPV6}",
    _normalised_host,
)
ROUTE_HOST = Syntax(
    "a host alone, `*.suffix` or `*`, without scheme, port or path",
    rf"\*|\*\.{_DNS_NAME}|{_DNS_NAME}|{_IPV6}",
    _normalised_host,
)
SERVER_NAME = Syntax(
    "a DNS name (RFC 6066 §3)", rf"({_LABEL}\.){{0,126}}[A-Za-z_]([A-Za-z0-9_-]{{0,61}}[A-Za-z0-9_])?", _lower
)
CERTIFICATE_NAME = Syntax("a DNS name, an IP address or a URI", r"[!-~]{1,2048}")
SUBJECT_ALT_NAME = Syntax(
    "a DNS name without wildcard, a URI, an e-mail address or an IP address, as it stands in the certificate",
    rf"{_DNS_NAME}|[!-9;-?A-~]{{1,256}}@{_DNS_NAME}|{_SCHEME}[!-~]{{1,2000}}|[0-9A-Fa-f:.]{{2,45}}",
    _subject_alt_name,
)
_CIDR_MEANING = "an IPv4 or IPv6 network, such as 10.1.0.0/16, or a single address"
CIDR = Syntax(_CIDR_MEANING, r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?", _cidr)
URL_PATH = Syntax(
    "a path that begins with a slash, without query, fragment, blanks and characters beyond ASCII",
    r"/([A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2}){0,2047}",
    _clean_path,
)
FILE_PATH = Syntax("the absolute path of a file", r"/[^\u0000-\u001f\u007f]{1,4095}")

NAME = Syntax(
    "a name in lower case: letters, digits, `-` and `.`, at most 253", r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?"
)
TENANT = Syntax(
    "a tenant's name: letters, digits, `-`, `_` and `.`, at most 63",
    r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
)
TENANT_OR_ALL = Syntax('a tenant\'s name, or "*" for all', rf"\*|{TENANT.pattern}")
WORD = Syntax("text of one line, 1 to 256 characters", r"[^\u0000-\u001f\u007f]{1,256}", _not_blank_around)
"""Names of models, rules, gateways and parameters."""
LABEL_VALUE = Syntax("text of one line, at most 256 characters", r"[^\u0000-\u001f\u007f]{0,256}")
MATCHED = Syntax("text of one line, at most 1024 characters", r"[^\u0000-\u001f\u007f]{0,1024}")
"""What a header is compared with."""

HEADER_NAME = Syntax("a header's name (RFC 9110 §5.6.2)", r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}", _lower)
HEADER_VALUE = Syntax(
    "one line of ASCII without control characters, not empty, without blanks around it (RFC 9110 §5.5)",
    r"[!-~]([\t -~]{0,16382}[!-~])?",
)
KEY = Syntax("one line of ASCII without blanks and control characters, not empty", r"[!-~]{1,16384}")


def namespace(text: str) -> str:
    """A namespace as a command line names it.

    :raises ValueError: for what no tenant's name could be, either.
    """
    if not re.fullmatch(TENANT.pattern, text):
        raise ValueError(f"{text!r} is not {TENANT.meaning}")
    return text
