"""What goes wrong at a provider, fault by fault, and what must come of it.

The goal: what another provider can cure ends in the whole answer, all else in a clear error within its timers, and
nobody is asked in vain.  A drill is what the simulator is asked for (docs/simulator.md).
"""

from __future__ import annotations

from hashlib import sha256

from bench.expecting import TIMER_SECONDS, Case, Spec, error, whole

PREFILL: Spec = {"prefill": True}
DEAD_KEY = "sk-dead"
_TWO_KEYS: Spec = {
    "apiKeys": [
        {"name": "dead", "key": DEAD_KEY, "weight": 1000},
        {"name": "alive", "key": "sk-alive", "weight": 1},
    ]
}
_OF_THE_DEAD_KEY = f"key={sha256(DEAD_KEY.encode()).hexdigest()[:8]}"
_ONE_OR_TWO = (1, 2)
_TIMER = TIMER_SECONDS
_PATIENT: Spec = {"timeouts": {"headers": "3s", "firstContent": "3s"}, "keepAlive": "1s"}

BEFORE_AN_ANSWER = (
    Case(
        "429, Retry-After 1 s, once",
        whole(2, 0, least=1, most=1.7),
        primary="status=429&retry-after=1&first=1",
    ),
    Case("429, Retry-After 60 s", whole(), primary="status=429, retry-after=60"),
    Case(
        "429, Retry-After as a date, once",
        whole(2, 0, least=0.9, most=3.0),
        primary="status=429&retry-after-date=2s&first=1",
    ),
    Case("429, Retry-After as a date in a minute", whole(), primary="status=429, retry-after-date=60s"),
    Case(
        "429, retry-after-ms 400, once",
        whole(2, 0, least=0.4, most=1.1),
        primary="status=429&retry-after-ms=400&first=1",
    ),
    Case(
        "429, x-ratelimit-reset 1 s, once",
        whole(2, 0, least=1, most=1.7),
        primary="status=429&ratelimit-reset=1s&first=1",
    ),
    Case("429, once", whole(2, 0), primary="status=429&first=1"),
    Case("429", whole(2, 1), primary="status=429"),
    Case("429, quota used up", whole(), primary="status=429, code=insufficient_quota"),
    Case(
        "429 for one of two keys",
        whole(2, 0),
        primary=f"status=429&retry-after=60&{_OF_THE_DEAD_KEY}",
        primary_config=_TWO_KEYS,
    ),
    Case("500, once", whole(2, 0), primary="status=500&first=1"),
    Case("503 for 2 s", whole(2, 1), primary="status=503&for=2s"),
    Case("503, Retry-After 60 s", whole(), primary="status=503, retry-after=60"),
    Case("connection refused", whole(), door="refused"),
    Case("packets dropped", whole(timers=_TIMER), door="filled"),
    Case("connection never accepted", whole(timers=_TIMER), door="ignored"),
    Case("closed before the head (FIN)", whole(2, 1), primary="close"),
    Case("reset before the head (RST)", whole(2, 1), primary="reset"),
    Case("silence", whole(timers=_TIMER), primary="stall"),
    Case("slow head, 10 s", whole(timers=_TIMER), primary="delay=10s"),
    Case("no HTTP", whole(_ONE_OR_TWO, 1), primary="garbage"),
    Case("100 kB of headers", whole(_ONE_OR_TWO, 1), primary="huge-headers=100000"),
    Case("400, context length", whole(), primary="context-length"),
    Case("400, content filter", error(400), primary="content-filter"),
    Case(
        "400, content filter, in `fallbackOn`",
        whole(),
        primary="content-filter",
        rule={"fallbackOn": ["content_filter"]},
    ),
    Case("401", whole(), primary="status=401"),
    Case(
        "401 for one of two keys",
        whole(2, 0),
        primary=f"status=401&{_OF_THE_DEAD_KEY}",
        primary_config=_TWO_KEYS,
    ),
    Case("402", whole(), primary="status=402"),
    Case("403", whole(), primary="status=403"),
    Case("404", error(404), primary="status=404"),
    Case("404, in `fallbackOn`", whole(), primary="status=404", rule={"fallbackOn": ["404"]}),
    Case("422", error(422), primary="status=422"),
    Case(
        "503, left alone since an earlier request",
        whole(0, 1),
        primary="status=503",
        primary_spec={"outlierDetection": {"consecutiveErrors": 1}},
        before=1,
    ),
    Case("silence, hedged after 300 ms", whole(), primary="stall", rule={"hedge": {"after": "300ms"}}),
)
"""The client has nothing yet."""

_SLOW = "first-content-delay=10s, heartbeat-delay=200ms"

BEFORE_CONTENT = (
    *(
        Case(
            f"slow first token, heartbeat {heartbeat}",
            None,
            whole(timers=_TIMER),
            primary=f"{_SLOW}, heartbeat={heartbeat}",
        )
        for heartbeat in ("comment", "ping", "empty", "role")
    ),
    Case("error event before content", None, whole(2, 1), primary="error-after=0"),
    Case(
        "error event before content, content filter",
        None,
        error(400),
        primary="error-after=0, code=content_filter",
    ),
    Case(
        "error event before content, content filter, in `fallbackOn`",
        None,
        whole(),
        primary="error-after=0, code=content_filter",
        rule={"fallbackOn": ["content_filter"]},
    ),
    Case("cut before content (FIN)", whole(2, 1), primary="cut-after=0"),
    Case("cut before content (RST)", whole(2, 1), primary="cut-after=0, cut=reset"),
    Case("silence before content", whole(timers=_TIMER), primary="stall-after=0"),
    Case("silence, keepAlive", None, whole(timers=3), primary="stall", rule=_PATIENT),
)
"""A head has come, but nothing that anybody waits for."""

_CUT = "cut-after=3"
_ENDS = whole(2, 1)
"""Of a plain answer that does not come whole: it is asked for again."""

WITHIN_AN_ANSWER = (
    Case("cut (FIN), prefill", _ENDS, whole(), primary=_CUT, fallback_spec=PREFILL),
    Case("cut (RST), prefill", _ENDS, whole(), primary=f"{_CUT}, cut=reset", fallback_spec=PREFILL),
    Case(
        "cut within an event, prefill",
        _ENDS,
        whole(),
        primary="cut-after-bytes=700",
        fallback_spec=PREFILL,
    ),
    Case(
        "clean end without finish reason, prefill",
        _ENDS,
        whole(),
        primary=f"{_CUT}, cut=end",
        fallback_spec=PREFILL,
    ),
    Case("false [DONE], prefill", _ENDS, whole(), primary=f"{_CUT}, cut=done", fallback_spec=PREFILL),
    Case(
        "stall, prefill",
        whole(timers=_TIMER),
        whole(timers=_TIMER),
        primary="stall-after=3",
        fallback_spec=PREFILL,
    ),
    Case(
        "stall with heartbeats, prefill",
        None,
        whole(timers=_TIMER),
        primary="stall-after=3, heartbeat=comment, heartbeat-delay=200ms",
        fallback_spec=PREFILL,
    ),
    Case(
        "stall with empty deltas, prefill",
        None,
        whole(timers=_TIMER),
        primary="stall-after=3, heartbeat=empty, heartbeat-delay=200ms",
        fallback_spec=PREFILL,
    ),
    Case("error event, prefill", None, whole(), primary="error-after=3", fallback_spec=PREFILL),
    Case(
        "error event, content filter",
        None,
        error(None),
        primary="error-after=3, code=content_filter",
        fallback_spec=PREFILL,
    ),
    Case("cut, same model from the start", None, whole(), primary=_CUT, same_model=True),
    Case(
        "stall, same model from the start",
        None,
        whole(timers=_TIMER),
        primary="stall-after=3",
        same_model=True,
    ),
    Case(
        "cut, prefill refused, same model",
        None,
        whole(1, 2),
        primary=_CUT,
        fallback="prefill=refuse",
        same_model=True,
        fallback_spec=PREFILL,
    ),
    Case(
        "cut, prefill refused, other model",
        None,
        error(None, _ONE_OR_TWO, 2),
        primary=_CUT,
        fallback="prefill=refuse",
        fallback_spec=PREFILL,
    ),
    Case(
        "cut, the fallback 500 once, prefill",
        None,
        whole(1, 2),
        primary=_CUT,
        fallback="status=500&first=1",
        fallback_spec=PREFILL,
    ),
    Case(
        "cut, the fallback reset once, same model",
        None,
        whole(1, 2),
        primary=_CUT,
        fallback="reset&first=1",
        same_model=True,
    ),
    Case(
        "cut, the fallback 429, Retry-After 1 s, once, prefill",
        None,
        whole(1, 2, least=1, most=1.7),
        primary=_CUT,
        fallback="status=429&retry-after=1&first=1",
        fallback_spec=PREFILL,
    ),
    Case(
        "cut, the fallback cut once, prefill",
        None,
        whole(1, 2),
        primary=_CUT,
        fallback="cut-after=2&first=1",
        fallback_spec=PREFILL,
    ),
    Case(
        "cut, prefill answered with all of it",
        None,
        whole(),
        primary=_CUT,
        fallback="prefill=repeat",
        fallback_spec=PREFILL,
    ),
    Case(
        "cut, prefill ignored, same model",
        None,
        whole(),
        primary=_CUT,
        fallback="prefill=ignore",
        same_model=True,
        fallback_spec=PREFILL,
    ),
    Case(
        "cut, prefill by a field",
        None,
        whole(),
        primary=_CUT,
        fallback="prefill=marked",
        fallback_spec={"prefill": {"field": "partial"}},
    ),
    Case(
        "cut, the fallback says other words",
        None,
        error(None, _ONE_OR_TWO, _ONE_OR_TWO),
        primary=_CUT,
        fallback="other-words",
    ),
    Case(
        "cut in a tool call",
        None,
        error(None, 1, 0),
        primary="tool-call=5, cut-after=3",
        fallback_spec=PREFILL,
    ),
    Case(
        "cut in the reasoning, same model", None, whole(), primary="reasoning=5, cut-after=3", same_model=True
    ),
    Case(
        "cut, `onStreamBreak: error`",
        None,
        error(None, 1, 0),
        primary=_CUT,
        fallback_spec=PREFILL,
        rule={"onStreamBreak": "error"},
    ),
    Case("malformed event", None, whole(1, 0), primary="malformed-event"),
    Case("no [DONE] after the finish reason", None, whole(1, 0), primary="no-done"),
    Case("no finish reason, same model", None, whole(1, (0, 1)), primary="no-finish", same_model=True),
    Case("an event of 1 MB", None, whole(1, 0), primary="huge-event=1000000"),
    Case(
        "cut within an event of 1 MB",
        None,
        whole(_ONE_OR_TWO, 1),
        primary="huge-event=1000000, cut-after-bytes=500000",
    ),
    Case("byte by byte, 1 ms each", whole(1, 0, most=12.0), primary="trickle=1ms"),
    Case("Content-Length too long", whole(timers=_TIMER), whole(1, 0), primary="content-length=longer"),
    Case(
        "Content-Length too short",
        whole(_ONE_OR_TWO, 1),
        whole(1, (0, 1)),
        primary="content-length=shorter",
        same_model=True,
    ),
    Case("gzip, not asked for", whole(_ONE_OR_TWO, (0, 1)), primary="gzip"),
    Case(
        "gzip, cut, prefill",
        whole(_ONE_OR_TWO, 1),
        primary="gzip, cut-after=3",
        fallback_spec=PREFILL,
    ),
    Case(
        "gzip, clean end without finish reason, prefill",
        whole(_ONE_OR_TWO, 1),
        primary="gzip, cut-after=3, cut=end",
        fallback_spec=PREFILL,
    ),
)
"""The client may have some of it."""

WITHOUT_A_CURE = (
    Case("both: 503", error(503, 2, 2, most=1.2), primary="status=503", fallback="status=503"),
    Case(
        "both: 429, Retry-After 60 s",
        error(429, 1, 1),
        primary="status=429, retry-after=60",
        fallback="status=429, retry-after=60",
    ),
    Case("both: connection refused", error(502, 1, 1), door="refused", fallback_door="refused"),
    Case("both: silence", error(504, 1, 1, timers=2 * _TIMER), primary="stall", fallback="stall"),
    Case(
        "both: silence, `request: 1500ms`",
        error(504, 1, 1, timers=1.5),
        primary="stall",
        fallback="stall",
        rule={"timeouts": {"request": "1500ms"}},
    ),
    Case(
        "both: left alone",
        error(503, 0, 0),
        primary="status=503",
        fallback="status=503",
        primary_spec={"outlierDetection": {"consecutiveErrors": 1}},
        fallback_spec={"outlierDetection": {"consecutiveErrors": 1}},
        before=1,
    ),
    Case(
        "both: cut, prefill",
        error(502, 2, 2, most=1.2),
        error(None, _ONE_OR_TWO, _ONE_OR_TWO),
        primary=_CUT,
        fallback=_CUT,
        fallback_spec=PREFILL,
    ),
    Case(
        "both: silence, keepAlive",
        None,
        error(None, 1, 1, timers=6),
        primary="stall",
        fallback="stall",
        rule=_PATIENT,
    ),
    Case(
        "silence, keepAlive; fallback 503",
        None,
        error(None, 1, 2, timers=3),
        primary="stall",
        fallback="status=503",
        rule=_PATIENT,
    ),
)
"""No backend can help."""

_LEFT_ALONE: Spec = {"outlierDetection": {"consecutiveErrors": 1}}

MORE_THAN_TWO = (
    Case(
        "three: 503, silence, whole",
        whole(2, 1, second=1, timers=_TIMER),
        primary="status=503",
        second="stall",
    ),
    Case(
        "three: 429 with Retry-After 60 s, 503, whole",
        whole(1, 1, second=2),
        primary="status=429, retry-after=60",
        second="status=503",
    ),
    Case(
        "three: two left alone since an earlier request",
        whole(0, 1, second=0),
        primary="status=503",
        primary_spec=_LEFT_ALONE,
        second="close",
        second_spec=_LEFT_ALONE,
        before=1,
    ),
    Case(
        "three: cut, cut again, prefill",
        whole(2, 1, second=2, most=1.0),
        whole(1, 1, second=2),
        primary=_CUT,
        second="cut-after=6",
        second_spec=PREFILL,
        fallback_spec=PREFILL,
    ),
    Case(
        "three: silence, hedged after 300 ms, second 503",
        whole(1, 1, second=1, timers=_TIMER),
        primary="stall",
        second="status=503, retry-after=60",
        rule={"hedge": {"after": "300ms"}},
    ),
    Case(
        "six at once, `maxConnections: 2`, `maxPending: 0`",
        whole(2, 4),
        primary="delay=400ms",
        primary_spec={"connectionPool": {"maxConnections": 2, "maxPending": 0}},
        crowd=6,
    ),
    Case(
        "six at once, `maxConnections: 2`, `pendingTimeout: 500ms`",
        whole(2, 4, most=2.0),
        primary="delay=1s",
        primary_spec={"connectionPool": {"maxConnections": 2, "pendingTimeout": "500ms"}},
        rule={"timeouts": {"headers": "3s", "firstContent": "3s"}},
        crowd=6,
    ),
    Case(
        "503 to 200 at once: what the retry budget allows",
        whole(range(320, 380), 200, most=4.0),
        primary="status=503",
        primary_spec={"outlierDetection": {"consecutiveErrors": 0}},
        crowd=200,
    ),
)
"""More than a request at a time, or more than two providers."""

CASES = (*BEFORE_AN_ANSWER, *BEFORE_CONTENT, *WITHIN_AN_ANSWER, *WITHOUT_A_CURE, *MORE_THAN_TWO)
