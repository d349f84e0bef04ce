"""llmgateway: a multi-tenant egress gateway for LLM traffic.

The house has floors; imports go one way, from the top of this list to its bottom, and CI checks it.

    tap, cli        twistd's and the operator's command lines
    service         builds every part, wires, starts and stops it
    serving         the life of a request; the admin port
    simulator       a provider that needs no network
    watcher         conf.d -> snapshot
    telemetry       metrics, access log
    wire            HTTP/1.1 on sockets; knows no LLM
    live            what outlives a snapshot
    snapshot        what the gateway runs on
    resources       what an operator writes
    dialects        what providers speak
    policy          decisions
    errors          what can go wrong
    messages        nouns that all floors share

Everything up to `live` is pure: no reactor, no sockets.  `docs/architecture.md` tells the whole story.
"""

__version__ = "0.1.0"
