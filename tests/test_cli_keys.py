"""`llmgateway new-key` and `llmgateway hash-key`."""

from __future__ import annotations

import getpass
import io
import re
import sys
from hashlib import sha256

import pytest

from gateway.cli import main

KEY = "a-key-of-our-own-making"


def line_for(key: str) -> str:
    return f'apiKeyHash: "sha256:{sha256(key.encode()).hexdigest()}"'


def test_a_new_key_is_shown_with_its_hash(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-key"]) == 0
    key, line = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"llmgw-[0-9A-Za-z]{43}", key)
    assert line == line_for(key)


@pytest.mark.parametrize("text", [KEY, f"{KEY}\n", f"{KEY}\r\n", f"{KEY}\nand more\n"])
def test_the_first_line_of_standard_input_is_hashed(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["hash-key"]) == 0
    assert capsys.readouterr().out == line_for(KEY) + "\n"


def test_what_is_typed_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(getpass, "getpass", lambda prompt: KEY)
    assert main(["hash-key"]) == 0
    output = capsys.readouterr()
    assert KEY not in output.out + output.err
    assert line_for(KEY) in output.out


@pytest.mark.parametrize(
    "text", ["", "\n", "too-short\n", "with blanks in it, and long\n", "schlüssel-der-lang-ist\n"]
)
def test_what_is_no_key_is_refused_and_not_repeated(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert main(["hash-key"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("llmgateway: a key ")
    assert not text.strip() or text.strip() not in output.err


def test_bytes_that_are_no_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff" * 20), "utf-8"))
    assert main(["hash-key"]) == 1
    assert capsys.readouterr().err == "llmgateway: no key could be read\n"
