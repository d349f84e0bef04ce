"""The server string `tls:…`: what an operator may say, and what comes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from twisted.internet.endpoints import quoteStringArgument, serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface.verify import verifyObject

from gateway.wire.tls_endpoint import PLUGIN_PREFIX, TlsServerEndpoint, server_endpoint
from tests.fakes.certificates import root

AUTHORITY = root("authority")
SERVER = AUTHORITY.issue()

FILES = "certificate=server.pem:privateKey=server.key"
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SERVER.write(tmp_path, "server")
    AUTHORITY.write(tmp_path, "ca")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def reactor() -> MemoryReactorClock:
    return MemoryReactorClock()


def endpoint(reactor: MemoryReactorClock, rest: str) -> TlsServerEndpoint:
    """As the gateway's options make it."""
    made = server_endpoint(reactor, f"tls:{rest}")
    assert isinstance(made, TlsServerEndpoint)
    return made


def test_the_interface(reactor: MemoryReactorClock) -> None:
    verifyObject(IStreamServerEndpoint, endpoint(reactor, f"0:{FILES}"))


@pytest.mark.parametrize(
    ("rest", "bound"),
    [
        (f"8443:{FILES}", (8443, 50, "")),
        (f"0:{FILES}:interface=127.0.0.1:backlog=7", (0, 7, "127.0.0.1")),
        (f"8443:{FILES}:interface={quoteStringArgument('::1')}", (8443, 50, "::1")),
    ],
)
def test_where_it_listens(rest: str, bound: tuple[int, int, str], reactor: MemoryReactorClock) -> None:
    factory = Factory.forProtocol(Protocol)
    endpoint(reactor, rest).listen(factory)
    ((port, secured, backlog, interface),) = reactor.tcpServers
    assert (port, backlog, interface) == bound
    assert isinstance(secured, TLSMemoryBIOFactory)
    assert secured.wrappedFactory is factory


@pytest.mark.parametrize(
    ("rest", "proves"),
    [
        (f"0:{FILES}", False),
        (f"0:{FILES}:clientCA=ca.pem", True),
        (f"0:{FILES}:clientCA=ca.pem:clientAuth=require", True),
        (f"0:{FILES}:clientCA=ca.pem:clientAuth=request", False),
        (f"0:{FILES}:minVersion=1.3", False),
    ],
)
def test_whether_clients_prove_themselves(rest: str, proves: bool, reactor: MemoryReactorClock) -> None:
    assert endpoint(reactor, rest).proves_clients is proves


@pytest.mark.parametrize(
    ("rest", "sentence"),
    [
        ("", "the port is '', and not a number"),
        (FILES, "one port is wanted first, as in tls:8443:certificate=PATH:privateKey=PATH"),
        (f"1:2:{FILES}", "one port is wanted first"),
        (f"https:{FILES}", "the port is 'https', and not a number"),
        (f"-1:{FILES}", "the port is '-1', and not a number"),
        (f"0:{FILES}:backlog=many", "backlog is 'many', and not a number"),
        (f"0:{FILES}:certKey=x", "certKey is none of certificate, privateKey, clientCA, "),
        ("0", "certificate=PATH is missing"),
        ("0:certificate=server.pem", "privateKey=PATH is missing"),
        ("0:certificate=:privateKey=server.key", "certificate=PATH is missing"),
        (f"0:{FILES}:clientCA=", "clientCA=PATH is missing"),
        (f"0:{FILES}:clientAuth=request", "clientAuth wants clientCA=PATH"),
        (
            f"0:{FILES}:clientCA=ca.pem:clientAuth=none",
            "clientAuth is 'none', and not one of require, request",
        ),
        (f"0:{FILES}:minVersion=1.1", "minVersion is '1.1', and not one of 1.2, 1.3"),
        (f"0:{FILES}:clientCA=none.pem", "clientCA /"),
        ("0:certificate=none.pem:privateKey=server.key", "certificate /"),
    ],
)
def test_what_makes_no_sense(rest: str, sentence: str, reactor: MemoryReactorClock) -> None:
    with pytest.raises(ValueError, match=r"^\S.*[^.]$") as raised:
        endpoint(reactor, rest)
    assert str(raised.value).startswith(sentence)


def test_others_are_twisted_s(reactor: MemoryReactorClock) -> None:
    server_endpoint(reactor, "tcp:8080:interface=127.0.0.1").listen(Factory.forProtocol(Protocol))
    ((port, _, _, interface),) = reactor.tcpServers
    assert (port, interface) == (8080, "127.0.0.1")


def test_other_programs_of_twisted_find_it_by_another_name(reactor: MemoryReactorClock) -> None:
    assert isinstance(serverFromString(reactor, f"{PLUGIN_PREFIX}:0:{FILES}"), TlsServerEndpoint)


def test_files_are_found_from_elsewhere_later(
    reactor: MemoryReactorClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon changes its folder, and reads them again."""
    made = endpoint(reactor, f"0:{FILES}")
    monkeypatch.chdir("/")
    assert made.handshakes.files._files.certificate == tmp_path / "server.pem"
    assert made.handshakes.files.name == "server.pem"


def test_listing_plugins_loads_nothing_of_ours() -> None:
    """Every program that lists Twisted's plugins imports their files; one must not choose the reactor either."""
    program = (
        "import sys; from twisted.plugin import getPlugins\n"
        "from twisted.internet.interfaces import IStreamServerEndpointStringParser as I\n"
        f"assert {PLUGIN_PREFIX!r} in [each.prefix for each in getPlugins(I)]\n"
        "print([name for name in sys.modules if name.startswith('gateway') or name == 'twisted.internet.reactor'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"
