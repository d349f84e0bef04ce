"""How long a provider asks to wait before the next try, read from the headers of its answer.

    retry-after-ms: 250                     OpenAI, Azure; its SDKs read it before all others
    retry-after: 2.5                        seconds (RFC 9110 §10.2.3 has whole ones only, some send fractions)
    retry-after: Sun, 06 Nov 1994 08:49:37 GMT
    x-ratelimit-reset-requests: 6m0s        a duration as Go writes them, or seconds: OpenAI, Groq, Azure
    x-ratelimit-remaining-requests: 0       says which of several limits is the one that was hit

What cannot be read is passed over as if it had not been sent.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.messages import Headers

_LIMITS = (b"requests", b"tokens")

_NUMBER = re.compile(rb"\d{1,15}(?:\.\d{0,15})?|\.\d{1,15}")

_DURATION_PART = re.compile(rb"(\d{1,15}(?:\.\d{0,15})?|\.\d{1,15})(h|ms|m|s|us|\xc2\xb5s|\xce\xbcs|ns)")
"""One of Go's `time.ParseDuration`; its micro sign comes as U+00B5 or U+03BC."""

_UNITS = {
    b"h": 3600.0,
    b"m": 60.0,
    b"s": 1.0,
    b"ms": 1e-3,
    b"us": 1e-6,
    b"\xc2\xb5s": 1e-6,
    b"\xce\xbcs": 1e-6,
    b"ns": 1e-9,
}

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

_TIME = rb"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_MONTH = rb"(?P<month>" + b"|".join(_MONTHS) + rb")"

_DATES = tuple(
    re.compile(form)
    for form in (
        rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) "
        + _MONTH
        + rb" (?P<year>\d{4}) "
        + _TIME
        + rb" GMT",
        rb"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-"
        + _MONTH
        + rb"-(?P<year>\d\d) "
        + _TIME
        + rb" GMT",
        rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) " + _MONTH + rb" (?P<day>[ \d]\d) " + _TIME + rb" (?P<year>\d{4})",
    )
)
"""The three forms that a recipient must accept: IMF-fixdate, RFC 850's, asctime's (RFC 9110 §5.6.7)."""


def retry_after(headers: Headers, now: float) -> float | None:
    """Seconds to wait, 0 or more, or None where the provider does not say.

    :param now: seconds of Unix time, for dates.
    """
    values: dict[bytes, bytes] = {}
    for name, value in headers:
        values.setdefault(name, value)
    milliseconds = _read(values, b"retry-after-ms", _number)
    if milliseconds is not None:
        return milliseconds / 1000
    seconds = _read(values, b"retry-after", _number)
    if seconds is not None:
        return seconds
    date = _read(values, b"retry-after", lambda value: http_date(value, now))
    return max(0.0, date - now) if date is not None else _until_reset(values)


def http_date(value: bytes, now: float) -> float | None:
    """A date of HTTP in seconds of Unix time, or None if it is none (RFC 9110 §5.6.7).

    :param now: a year of two digits that would lie more than 50 years ahead is one of the century before.
    """
    for form in _DATES:
        found = form.fullmatch(value)
        if found is not None:
            break
    else:
        return None
    year = int(found["year"])
    if len(found["year"]) == 2:
        earliest = datetime.fromtimestamp(now, UTC).year - 49
        year = earliest + (year - earliest) % 100
    second = int(found["second"])
    try:
        # A leap second is the first of the next minute: Unix time has none.
        moment = datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(second, 59),
        )
    except ValueError:
        return None
    return None if second > 60 else float(timegm(moment.timetuple()) + (second == 60))


def _until_reset(values: dict[bytes, bytes]) -> float | None:
    """When the limits that may have been hit are free again, the latest of them.

    A limit of which something remains was not hit.
    """
    waits = []
    for limit in _LIMITS:
        remaining = _read(values, b"x-ratelimit-remaining-" + limit, _number)
        wait = _read(values, b"x-ratelimit-reset-" + limit, _duration)
        if wait is not None and not remaining:
            waits.append((remaining == 0, wait))
    # One that says that nothing remains is to blame rather than one that does not say.
    return max(waits)[1] if waits else None


def _read(values: dict[bytes, bytes], name: bytes, reading: Callable[[bytes], float | None]) -> float | None:
    value = values.get(name)
    return None if value is None else reading(value)


def _number(value: bytes) -> float | None:
    return float(value) if _NUMBER.fullmatch(value) else None


def _duration(value: bytes) -> float | None:
    number = _number(value)
    if number is not None:
        return number
    seconds, place = 0.0, 0
    while place < len(value):
        part = _DURATION_PART.match(value, place)
        if part is None:
            return None
        seconds += float(part[1]) * _UNITS[part[2]]
        place = part.end()
    return seconds if place else None
