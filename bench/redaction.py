"""What it costs to redact a content, and for how long no other thread can run meanwhile.

Python changes threads between two of its steps, so what holds the others up is the longest call of a function that is
written in C and keeps the interpreter to itself.  RE2 does not.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping

from attrs import frozen

from gateway.policy.redacting.allowance import Allowance
from gateway.policy.redacting.content import LookedFor, beginning_of, kept
from gateway.policy.redacting.known_secrets import KnownSecrets, credential_words
from gateway.telemetry.capture_log import CaptureRecord, line_of

HOLD_SECONDS = 0.001
"""For which nobody else may be held up at a time."""

THREAD_SECONDS = 0.05
"""That a content may take a thread."""

ROUNDS = 9
"""Of which the quickest counts: whatever else the machine does only makes them slower."""

_WORDS = (
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog,",
    "and",
    "nothing",
    "else",
    "happens.",
)


@frozen
class Cost:
    """What a content costs, in seconds of a thread's CPU time."""

    all: float
    re2: float
    """Of it within RE2, beside which others run."""
    hold: float
    """Of it the longest for which nobody else can run."""


def contents(size: int) -> Mapping[str, bytes]:
    """What clients say, and what they could think up, each of about this many bytes."""
    chance = random.Random(1)
    prose = " ".join(chance.choice(_WORDS) for _ in range(size // 4))
    code = 'def f(text: str) -> bytes:\n    return b"%b" % text.encode()  # as it is\n'
    picture = base64.b64encode(chance.randbytes(size)).decode()
    vector = [chance.uniform(-1, 1) for _ in range(size // 20)]
    parts = [{"type": "text", "text": "a@b.co 1"}] * (size // 38)
    said = {
        "prose": prose,
        "code": code * (size // len(code)),
        "Japanese": "今日はいい天気ですね。" * (size // 66),
        "a picture": f"data:image/png;base64,{picture}",
        "addresses": "a@b.co " * (size // 7),
        "cards": "4111 1111 1111 1111, " * (size // 21),
        "groups of digits": "1234 " * (size // 5),
        "keys": "sk-aaaaaaaaaaaa " * (size // 16),
        "passwords": "password: " * (size // 10),
        "private keys": "-----BEGIN PRIVATE KEY-----" * (size // 27),
        "one long word": "eyJ-4" * (size // 5),
        "line ends": "\n" * (size // 2),
        "quotation marks": '"' * (size // 2),
        "control characters": "\x01" * (size // 6),
    }
    built = {name: json.dumps({"messages": [{"content": text}]}).encode() for name, text in said.items()}
    built["many parts"] = json.dumps({"messages": [{"content": parts}]}).encode()
    built["a vector"] = json.dumps({"data": [{"embedding": vector}]}).encode()
    for name, item in (("empty texts", b'""'), ("objects", b"{}"), ("names", b'{"token":"a"}')):
        built[name] = b"[" + b",".join([item] * (size // (len(item) + 1))) + b"]"
    return built


def longest_hold(work: Callable[[], object]) -> tuple[float, float]:
    """The longest call that keeps the interpreter to itself, and all time within RE2; seconds of CPU time."""
    hold = re2 = 0.0
    running: list[tuple[float, list[bool]]] = []

    def told(_frame: object, event: str, function: object) -> None:
        nonlocal hold, re2
        if event in ("call", "c_call") and running:
            running[-1][1][0] = True  # others can run at each step of what it calls
        if event == "c_call":
            running.append((time.thread_time(), [False]))
        elif event in ("c_return", "c_exception") and running:
            begun, (has_called,) = running.pop()
            seconds = time.thread_time() - begun
            if getattr(function, "__name__", "") == "Match":
                re2 += seconds
            elif not has_called:
                hold = max(hold, seconds)

    sys.setprofile(told)
    try:
        work()
    finally:
        sys.setprofile(None)
    return hold, re2


def cost(content: bytes, size: int, looked_for: LookedFor) -> Cost:
    """What it costs to redact a content as both sides of an exchange are, and to make a line of it."""

    def work() -> None:
        record = CaptureRecord("r", "t", "c", "r", "r", "p", "m", "ok", stream=False, time="now")
        allowance = Allowance(time.perf_counter)
        record.request, record.request_cut = kept(beginning_of(content, size), size, looked_for, allowance)
        line_of(record)

    def seconds() -> float:
        begun = time.thread_time()
        work()
        return time.thread_time() - begun

    held = [longest_hold(work) for _ in range(ROUNDS)]
    return Cost(
        all=min(seconds() for _ in range(ROUNDS)),
        re2=min(re2 for _, re2 in held),
        hold=min(hold for hold, _ in held),
    )


def secrets(number: int) -> Iterator[bytes]:
    """Keys of providers."""
    chance = random.Random(2)
    for _ in range(number):
        yield b"sk-" + base64.urlsafe_b64encode(chance.randbytes(36))


def check_redaction(size: int) -> bool:
    """Print what contents of this size cost; whether nobody is held up."""
    looked_for = LookedFor(
        known=KnownSecrets(tuple(secrets(40))), words=frozenset(credential_words(secrets(10_000)))
    )
    print(f"Of {size:,} bytes, with 40 secrets of the tenant's own and 10,000 of others; ms of CPU time:")
    print(f"{'':20} thread    RE2  longest hold")
    well = True
    for name, content in contents(size).items():
        found = cost(content, size, looked_for)
        well &= found.hold <= HOLD_SECONDS and found.all <= THREAD_SECONDS
        print(f"{name:20} {found.all * 1e3:6.2f} {found.re2 * 1e3:6.2f} {found.hold * 1e3:13.2f}", flush=True)
    return well
