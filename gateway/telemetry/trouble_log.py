"""What the gateway's own log says of providers: a line when something changes, and none for a request.

A breaker opens or closes, a key is refused or meets its limit, a certificate is not believed, or is again.  Each line
tells whose provider it is, the key by its name, what was wrong, and when it is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable
from math import ceil

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from gateway.messages import Destination
from gateway.snapshot.stable_names import BreakerName
from gateway.telemetry.rationing import Rationing


class TroubleLog:
    """Hears what changes, as a `StandingListener` and a `CertificateListener`, and writes the lines."""

    _log = Logger()

    def __init__(self, reactor: IReactorTime, seconds: Callable[[], float]) -> None:
        """Begin with all being well.

        :param seconds: the clock by which breakers and keys go.
        """
        self._seconds = seconds
        self._rationing = Rationing(reactor, self._say_of_rest)
        self._refused: set[Destination] = set()
        """Whose certificate was not believed the last time."""

    # -- of live state -----------------------------------------------------------------------------

    def breaker_opened(self, name: BreakerName, until: float, fault: str) -> None:
        text = "breaker open{_when}; last fault: {fault}"
        self._tell_of_key(LogLevel.warn, "breaker", name, text, until=until, fault=fault or "not known")

    def breaker_closed(self, name: BreakerName) -> None:
        self._tell_of_key(LogLevel.info, "breaker", name, "breaker closed, requests pass again")

    def key_refused(self, name: BreakerName, status: int) -> None:
        text = "key refused with {status}, a last resort until it is accepted"
        self._tell_of_key(LogLevel.error, "key", name, text, status=status)

    def key_accepted(self, name: BreakerName) -> None:
        self._tell_of_key(LogLevel.info, "key", name, "key accepted again")

    def key_limited(self, name: BreakerName, until: float, status: int) -> None:
        text = "key at its limit (status {status}){_when}"
        self._tell_of_key(LogLevel.warn, "key", name, text, until=until, status=status)

    def _tell_of_key(
        self,
        level: LogLevel,
        what: str,
        name: BreakerName,
        text: str,
        *,
        until: float | None = None,
        **fields: object,
    ) -> None:
        who = _who(name.owner, name.provider)
        if name.key:
            who += f", key {name.key}"
        if name.tenant != name.owner:
            who += f", as tenant {name.tenant} uses it"
        names = {"tenant": name.tenant, "owner": name.owner, "provider": name.provider, "key": name.key}
        self._tell((what, name), level, who, text, until, names | fields)

    # -- of connections ----------------------------------------------------------------------------

    def certificate_refused(self, destination: Destination, why: str) -> None:
        if destination not in self._refused:
            self._refused.add(destination)
            text = "certificate refused: {fault}"
            self._tell_of_certificate(LogLevel.error, destination, text, fault=why)

    def certificate_accepted(self, destination: Destination) -> None:
        if destination in self._refused:
            self._refused.remove(destination)
            self._tell_of_certificate(LogLevel.info, destination, "certificate accepted again")

    def keep(self, destinations: Container[Destination]) -> None:
        """Forget the certificates of all others."""
        self._refused = {each for each in self._refused if each in destinations}

    def _tell_of_certificate(
        self, level: LogLevel, destination: Destination, text: str, **fields: object
    ) -> None:
        who = _who(destination.owner, destination.provider)
        names = {"owner": destination.owner, "provider": destination.provider}
        self._tell(("certificate", destination), level, who, text, None, names | fields)

    # -- the lines ---------------------------------------------------------------------------------

    def _tell(
        self,
        about: Hashable,
        level: LogLevel,
        who: str,
        text: str,
        until: float | None,
        fields: dict[str, object],
    ) -> None:
        def say(untold: int) -> None:
            self._log.emit(
                level,
                f"{{_who}}: {text}{{_untold}}",
                _who=who,
                _when=self._when(until),
                _untold=f" ({untold} changes before that were not told)" if untold else "",
                **fields,
            )

        self._rationing.tell(about, say)

    def _when(self, until: float | None) -> str:
        """When something is tried again, at the time that the line is written."""
        if until is None:
            return ""
        seconds = ceil(until - self._seconds())
        return f", tried again in {seconds} s" if seconds > 0 else ", tried again at the next request"

    def _say_of_rest(self, number: int) -> None:
        self._log.warn(
            "{number} more breakers, keys and certificates of providers have changed within a minute: "
            "see the live page, or llmgateway_breaker_state and llmgateway_key_usable",
            number=number,
        )


def _who(owner: str, provider: str) -> str:
    return f"provider {provider} of tenant {owner}"
