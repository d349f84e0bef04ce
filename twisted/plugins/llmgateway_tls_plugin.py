"""Names the `llmgateway-tls` endpoint; loads what is behind it when one is asked for."""

from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class _TlsEndpointParser:
    """`llmgateway-tls:8443:certificate=PATH:privateKey=PATH:clientCA=PATH`; the gateway's options call it `tls`."""

    prefix = "llmgateway-tls"

    def parseStreamServer(self, reactor, *words, **fields):  # noqa: N802
        from gateway.wire.tls_endpoint import endpoint_from

        return endpoint_from(reactor, words, fields)


llmgateway_tls = _TlsEndpointParser()
