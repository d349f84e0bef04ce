"""Hosts and paths: what is served, and what could be read as something else."""

from __future__ import annotations

import pytest

from gateway.errors import GatewayError
from gateway.messages import Headers, RequestHead
from gateway.wire.limits import DownstreamLimits
from gateway.wire.request_judging import judge


def judged(target: bytes, host: bytes | None = b"api.example.com", *, old: bool = False) -> RequestHead:
    headers: Headers = [] if host is None else [(b"host", host)]
    return judge(b"GET", target, headers, DownstreamLimits(), old=old)


@pytest.mark.parametrize(
    ("line", "host"),
    [
        (b"api.example.com", "api.example.com"),
        (b"API.Example.com:8080", "api.example.com"),
        (b"api.example.com.", "api.example.com"),
        (b"localhost", "localhost"),
        (b"my_service:1", "my_service"),
        (b"h:65535", "h"),
        (b"h:", "h"),
        (b"127.0.0.1:8080", "127.0.0.1"),
        (b"[::1]:8080", "::1"),
    ],
)
def test_hosts_that_are_served(line: bytes, host: str) -> None:
    assert judged(b"/", line).host == host


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"",
            b".",
            b"..",
            b"a..b",
            b".a",
            b"a b",
            b"a\tb",
            b"a/b",
            b"a#@x",
            b"user@a",
            b"user:pw@a",
            b"a,b",
            b"a?b",
        ),
        *(b"a:98777", b"a:0", b"a:-1", b"a:80x", b"a:80:80", b"a:+80", b"a:000080", b":80"),
        *(b"\xe4.de", b"a\\b", b"a%2fb", b"http://a", b"[::1", b"::1", b"[gg::]", b"[1.2.3.4]", b"a" * 300),
    ],
)
def test_hosts_that_are_refused(line: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        judged(b"/", line)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", b"/", b""),
        (b"/v1/chat/completions", b"/v1/chat/completions", b""),
        (b"/a?b=c?d/../e", b"/a", b"b=c?d/../e"),
        (b"/a.b/..c/d..", b"/a.b/..c/d..", b""),
        (b"/a%20b/", b"/a%20b/", b""),
        (b"http://api.example.com", b"/", b""),
        (b"http://api.example.com?x", b"/", b"x"),
        (b"HTTP://API.example.com:80/v1/models?x=1", b"/v1/models", b"x=1"),
        (b"https://api.example.com.:443/v1", b"/v1", b""),
    ],
)
def test_targets_that_are_served(target: bytes, path: bytes, query: bytes) -> None:
    head = judged(target)
    assert (head.path, head.query, head.host) == (path, query, "api.example.com")


@pytest.mark.parametrize(
    "path",
    [
        *(
            b"//evil/p",
            b"/v1//x",
            b"/v1/../admin",
            b"/..",
            b"/.",
            b"/./x",
            b"/v1/.",
            b"/v1/%2e%2e/admin",
            b"/.%2E/x",
        ),
        *(
            b"/a%2fb",
            b"/a%2Fb",
            b"/a%5cb",
            b"/a%5Cb",
            b"/a\\b",
            b"/a%00",
            b"/%",
            b"/%2",
            b"/%zz",
            b"/" + b"x/" * 400 + b"../y",
        ),
    ],
)
def test_paths_that_are_not_what_they_look_like(path: bytes) -> None:
    for target in (path, b"http://api.example.com" + path):
        with pytest.raises(GatewayError) as caught:
            judged(target)
        assert caught.value.status == 400


@pytest.mark.parametrize(
    "target",
    [
        b"*",
        b"v1/chat",
        b"ftp://api.example.com/",
        b"http:///x",
        b"http://other.example.com/",
        b"http://api.example.com:81/",
        b"https://api.example.com:80/",
        b"http://user@api.example.com/",
        b"http://api.example.com:98777/",
        b"http://api.example.com/#x",
        b"api.example.com:443",
    ],
)
def test_absolute_targets_that_are_refused(target: bytes) -> None:
    with pytest.raises(GatewayError) as caught:
        judged(target)
    assert caught.value.status == 400


def test_the_authority_is_the_host_where_it_is_the_only_one() -> None:
    assert judged(b"http://API.example.com:81/", None, old=True).host == "api.example.com"
    with pytest.raises(GatewayError):
        judged(b"http://api.example.com/", None)


@pytest.mark.parametrize("length", [b"+5", b"-5", b"5_0", b"\xb2", b""])
def test_a_length_is_digits(length: bytes) -> None:
    """llhttp sees to it as well; a length that two readers take for different ones is not left to one guard."""
    headers = [(b"host", b"h"), (b"content-length", length)]
    with pytest.raises(GatewayError) as caught:
        judge(b"POST", b"/", headers, DownstreamLimits(), old=False)
    assert caught.value.status == 400


def test_an_absolute_target_agrees_with_a_host_whose_port_is_the_standard_one() -> None:
    assert judged(b"http://h/", b"h:80").host == "h"
    assert judged(b"http://h:8080/", b"h:8080").host == "h"
