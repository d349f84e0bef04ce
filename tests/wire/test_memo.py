from __future__ import annotations

import pytest

from gateway.wire import memo
from gateway.wire.memo import Memo


def test_a_text_is_asked_about_once() -> None:
    asked: list[bytes] = []

    def read(text: bytes) -> int:
        asked.append(text)
        return len(text)

    known = Memo(read)
    assert [known[text] for text in (b"a", b"bb", b"a", b"bb")] == [1, 2, 1, 2]
    assert asked == [b"a", b"bb"]


def test_what_raises_is_not_remembered() -> None:
    known = Memo(int)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            known[b"x"]
    assert not known


def test_it_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo, "_MOST", 3)
    known = Memo(len)
    for number in range(100):
        assert known[b"%d" % number] == len(str(number))
        assert len(known) <= 3
    assert known[b"x" * 1000] == 1000
    assert b"x" * 1000 not in known
