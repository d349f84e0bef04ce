"""Clients: many connections over epoll, each asking again as soon as its answer is whole.

`python -m bench.load streams|requests PORT HOST` prints one LoadResult as JSON.  While the clock runs nothing
is done with an answer but to keep it with the time of each read; whether it was whole is judged afterwards.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import select
import socket
import time
from collections.abc import Callable, Sequence

from attrs import asdict, evolve, frozen

from bench.answers import EXTRA_EVENTS, Answer, BrokenAnswerError, check_stream, delays_ns, sent_interval_ns
from bench.measure import LoadResult, percentile

_QUESTION = (
    b'{"model":"asked-model","messages":[{"role":"system","content":"You are a helpful assistant that '
    b'answers in one short paragraph"},{"role":"user","content":"What is the difference between a proxy '
    b'and a gateway, and when is each of the two the better choice for a small team?"}],'
)
REQUEST_BODY = _QUESTION + b'"temperature":0.7}'
STREAM_BODY = _QUESTION + b'"stream":true,"stream_options":{"include_usage":true}}'

READ_BYTES = 16384
STUCK_SECONDS = 20.0
"""Without any byte from anyone for this long, a run has failed."""

_LAST_CHUNK = b"\r\n0\r\n\r\n"


def request_bytes(host: str, body: bytes, headers: Sequence[tuple[str, int]] = ()) -> bytes:
    """A chat request of the one client that the gateway's third rule is for."""
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/json",
        "User-Type: subscriber",
        "Authorization: Bearer sk-of-the-client",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class _Client:
    """One connection and the answer that it is receiving."""

    __slots__ = ("asked_ns", "connection", "reads", "tail", "times", "whole_bytes")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.ask_nothing()

    def ask_nothing(self) -> None:
        self.asked_ns = 0
        self.reads: list[bytes] = []
        self.times: list[int] = []
        self.tail = b""
        self.whole_bytes = 0

    def ask(self, request: bytes) -> None:
        self.ask_nothing()
        self.asked_ns = time.monotonic_ns()
        self.connection.sendall(request)

    def stream_is_whole(self, data: bytes) -> bool:
        self.tail = (self.tail + data)[-len(_LAST_CHUNK) :]
        return self.tail == _LAST_CHUNK

    def answer_is_whole(self, data: bytes) -> bool:
        """For answers with a Content-Length."""
        if not self.whole_bytes:
            so_far = b"".join(self.reads)
            head_end = so_far.find(b"\r\n\r\n")
            if head_end < 0:
                return False
            length = re.search(rb"\r\ncontent-length: *(\d+)", so_far[:head_end], re.IGNORECASE)
            if length is None:
                return self.stream_is_whole(so_far)
            self.whole_bytes = head_end + 4 + int(length[1])
        return sum(map(len, self.reads)) >= self.whole_bytes

    def answer(self) -> Answer:
        return Answer(tuple(self.reads), tuple(self.times), self.asked_ns)


@frozen
class Run:
    """What the clients of one run received."""

    answers: list[Answer]
    seconds: float
    unfinished: int
    """Clients whose connection ended, or stood still, within an answer."""
    most_at_once: int


def run(
    port: int,
    request: bytes,
    is_whole: Callable[[_Client, bytes], bool],
    *,
    connections: int,
    seconds: float,
    ramp: float,
) -> Run:
    """Ask on every connection, again and again until the seconds are over; started answers are waited for.

    :param ramp: seconds over which the connections are opened, evenly.
    """
    epoll = select.epoll()
    clients: dict[int, _Client] = {}
    answers: list[Answer] = []
    started = time.monotonic()
    opened = most_at_once = unfinished = 0
    last_read = started
    while clients or opened < connections:
        now = time.monotonic()
        while opened < connections and now >= started + ramp * opened / connections:
            client = _Client(socket.create_connection(("127.0.0.1", port)))
            client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clients[client.connection.fileno()] = client
            epoll.register(client.connection, select.EPOLLIN)
            client.ask(request)
            opened += 1
            most_at_once = max(most_at_once, len(clients))
        ready = epoll.poll(0.001 if opened < connections else 1.0)
        for number, _ in ready:
            client = clients[number]
            try:
                data = client.connection.recv(READ_BYTES)
            except ConnectionError:
                data = b""
            read_ns = time.monotonic_ns()
            client.reads.append(data)
            client.times.append(read_ns)
            if data and not is_whole(client, data):
                continue
            if data:
                answers.append(client.answer())
                if read_ns / 1e9 - started < seconds:
                    client.ask(request)
                    continue
            else:
                unfinished += 1
            del clients[number]
            client.connection.close()
        if ready:
            last_read = time.monotonic()
        elif time.monotonic() - last_read > STUCK_SECONDS:
            unfinished += len(clients)
            break
    return Run(answers, time.monotonic() - started, unfinished, most_at_once)


def judged(
    finished: Run, check: Callable[[Answer], None], times_ns: Callable[[Answer], list[int]], *, worth: int
) -> LoadResult:
    """What a run comes to, once every answer is checked.

    :param worth: how many requests or events one whole answer counts for.
    """
    durations: list[int] = []
    completed = 0
    failed = finished.unfinished
    complaint = f"{failed} did not end" if failed else ""
    for answer in finished.answers:
        try:
            check(answer)
        except BrokenAnswerError as error:
            failed += 1
            complaint = complaint or str(error)
        else:
            completed += worth
            durations.extend(times_ns(answer))
    durations.sort()
    return LoadResult(
        completed=completed,
        seconds=finished.seconds,
        p50_us=percentile(durations, 50) / 1000 if durations else 0.0,
        p99_us=percentile(durations, 99) / 1000 if durations else 0.0,
        failed=failed,
        most_at_once=finished.most_at_once,
        complaint=complaint,
    )


def streams(
    port: int, host: str, *, connections: int, seconds: float, ramp: float, events: int, interval_us: int
) -> LoadResult:
    """Streams of events at a pace; each must be complete."""
    headers = (("x-bench-events", events), ("x-bench-interval-us", interval_us))
    finished = run(
        port,
        request_bytes(host, STREAM_BODY, headers),
        _Client.stream_is_whole,
        connections=connections,
        seconds=seconds,
        ramp=ramp,
    )
    intervals_ns: list[float] = []

    def check(answer: Answer) -> None:
        _, body = answer.split()
        check_stream(body, events)
        intervals_ns.append(sent_interval_ns(body))

    result = judged(finished, check, delays_ns, worth=events + EXTRA_EVENTS)
    slowest = max(intervals_ns, default=0.0)
    return evolve(result, pace=min(1.0, interval_us * 1000 / slowest)) if slowest else result


def requests(port: int, host: str, *, connections: int, seconds: float) -> LoadResult:
    """Single requests, one after the other on each connection; all answers must be equal."""
    finished = run(
        port,
        request_bytes(host, REQUEST_BODY),
        _Client.answer_is_whole,
        connections=connections,
        seconds=seconds,
        ramp=0.0,
    )
    expected = finished.answers[0].split()[1] if finished.answers else b""

    def check(answer: Answer) -> None:
        if answer.split()[1] != expected:
            raise BrokenAnswerError("answers differ")

    return judged(finished, check, lambda answer: [answer.times_ns[-1] - answer.asked_ns], worth=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("kind", choices=("streams", "requests"))
    parser.add_argument("port", type=int)
    parser.add_argument("host")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--ramp", type=float, default=0.1)
    parser.add_argument("--events", type=int, default=50)
    parser.add_argument("--interval-us", type=int, default=10_000)
    asked = parser.parse_args()
    gc.disable()  # thousands of kept reads, no cycles: a collection would only delay the clock
    if asked.kind == "streams":
        result = streams(
            asked.port,
            asked.host,
            connections=asked.connections,
            seconds=asked.seconds,
            ramp=asked.ramp,
            events=asked.events,
            interval_us=asked.interval_us,
        )
    else:
        result = requests(asked.port, asked.host, connections=asked.connections, seconds=asked.seconds)
    print(json.dumps(asdict(result)))


if __name__ == "__main__":
    main()
