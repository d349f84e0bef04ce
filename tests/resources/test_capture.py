"""What a Tenant says of keeping its exchanges."""

from __future__ import annotations

import pytest

from gateway.resources.capture import DEFAULT_BYTES, Capture
from tests.resources.written import document, read_text, spec_problems


def capture_of(written: str) -> Capture | None:
    resources = read_text(document("Tenant", f"capture: {written}"))
    assert resources.problems == ()
    (tenant,) = resources.tenant_documents
    return tenant.capture


def test_unless_written_nothing_is_kept() -> None:
    (tenant,) = read_text(document("Tenant", "{}")).tenant_documents
    assert tenant.capture is None


def test_what_was_not_written() -> None:
    assert capture_of("{request: true}") == Capture(True, False, DEFAULT_BYTES, 100, ())


def test_all_of_it() -> None:
    written = (
        "{request: true, response: true, maxBytes: 1024, samplePercent: 0, redact: ['ACME-\\d+', '${x}|y']}"
    )
    assert capture_of(written) == Capture(True, True, 1024, 0, (r"ACME-\d+", "${x}|y"))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{}", "keeps nothing: set request or response to true, or leave it out"),
        ("{request: false}", "keeps nothing"),
        ("{request: yes please}", "must be true or false"),
        ("{request: true, maxBytes: 10}", "maxBytes"),
        ("{request: true, samplePercent: 101}", "samplePercent"),
        ("{request: true, redact: ['(']}", "missing )"),
        ("{request: true, redact: ['a*']}", "it is content with nothing"),
        ("{request: true, redact: ['(?P<name>a)']}", "it names a group"),
        ("{request: true, redact: ['(?=a)']}", "is not a regular expression of RE2"),
        ("{request: true, keep: 1d}", "capture.keep"),
    ],
)
def test_what_is_wrong(written: str, words: str) -> None:
    (problem,) = spec_problems("Tenant", f"capture: {written}")
    assert words in problem


def test_patterns_that_are_too_much_together() -> None:
    many = ", ".join(f"'[^{chr(0x4E00 + number)}]{{1000}}'" for number in range(50))
    (problem,) = spec_problems("Tenant", f"capture: {{request: true, redact: [{many}]}}")
    assert "is too much in all (pattern too large" in problem


def test_patterns_that_take_too_long() -> None:
    (problem,) = spec_problems("Tenant", "capture: {request: true, redact: ['a.{900}x']}")
    assert problem.endswith("redact: is too much in all (7206 steps of RE2's, of at most 5000)")
