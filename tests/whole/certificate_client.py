"""Connects to servers as the gateway does and says what became of each; run by test_certificates.py.

Reads a JSON list of targets from standard input: their ports, and the fields of their TlsSettings.  Writes a
JSON list of outcomes in the same order.
"""

from __future__ import annotations

import json
import sys

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IAddress, IHandshakeListener
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from gateway.messages import TlsSettings
from gateway.wire.tls import ContextCache, handshake_failure_sentence

Outcome = dict[str, str]

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n"


@implementer(IHandshakeListener)
class Caller(Protocol):
    """Sends a request once the handshake is complete."""

    def __init__(self, settings: TlsSettings, outcome: Deferred[Outcome]) -> None:
        self.settings = settings
        self.outcome = outcome
        self.completed = False

    def handshakeCompleted(self) -> None:
        self.completed = True
        assert self.transport is not None
        self.transport.write(REQUEST)

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.completed:
            self.outcome.callback({"verdict": "accepted"})
        else:
            sentence, detail = handshake_failure_sentence(reason, self.settings.names)
            self.outcome.callback({"verdict": "refused", "sentence": sentence, "detail": detail})


class Calling(ClientFactory):
    """Makes the one caller of one target."""

    noisy = False

    def __init__(self, settings: TlsSettings) -> None:
        self.settings = settings
        self.outcome: Deferred[Outcome] = Deferred()

    def buildProtocol(self, addr: IAddress | None) -> Caller:
        return Caller(self.settings, self.outcome)


def main() -> None:
    contexts = ContextCache()
    outcomes = []
    for target in json.load(sys.stdin):
        ca_certificates = target["ca_certificates"]
        settings = TlsSettings(
            server_name=target["server_name"],
            names=tuple(target["names"]),
            ca_certificates=None if ca_certificates is None else ca_certificates.encode(),
        )
        calling = Calling(settings)
        outcomes.append(calling.outcome)
        secured = TLSMemoryBIOFactory(contexts.creator_for(settings), True, calling)
        reactor.connectTCP("127.0.0.1", target["port"], secured)

    def finish(results: list[tuple[bool, Outcome]]) -> None:
        sys.stdout.write(json.dumps([outcome for _, outcome in results]))
        reactor.stop()

    DeferredList(outcomes).addCallback(finish)
    reactor.run()


main()
