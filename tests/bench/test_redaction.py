"""What is measured of redaction."""

from __future__ import annotations

import json

from bench.redaction import contents, longest_hold


def test_contents_are_json_of_that_size() -> None:
    for name, content in contents(20_000).items():
        json.loads(content)
        assert 10_000 < len(content) < 100_000, name


def test_only_what_calls_nothing_of_python_holds_others_up() -> None:
    data = b"x" * 4_000_000
    of_c, _ = longest_hold(lambda: data.replace(b"x", b"yy"))
    of_both, _ = longest_hold(lambda: b"".join(data[at : at + 1].replace(b"x", b"y") for at in range(1000)))
    assert of_c > of_both * 10
