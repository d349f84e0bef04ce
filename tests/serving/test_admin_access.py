"""Where the admin token comes from.  What it opens is in `test_admin.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.serving.admin_access import VARIABLE, admin_token

TOKEN = "token-of-the-admin-port"
OTHER = "another-token-of-the-port"


def token_of(given: str | None = None, path: Path | None = None, variable: str | None = None) -> str | None:
    environment = {} if variable is None else {VARIABLE: variable}
    token = admin_token(given, None if path is None else str(path), environment)
    assert TOKEN not in repr(token)
    return None if token is None else token.reveal()


def test_there_may_be_none() -> None:
    assert token_of() is None


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_where_it_comes_from(tmp_path: Path, end: str) -> None:
    path = tmp_path / "token"
    path.write_bytes((TOKEN + end).encode())
    assert token_of(path=path) == TOKEN
    assert token_of(given=TOKEN) == TOKEN
    assert token_of(variable=TOKEN) == TOKEN


def test_an_option_comes_before_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    assert token_of(path=path, variable=OTHER) == TOKEN
    assert token_of(given=TOKEN, variable=OTHER) == TOKEN


def test_two_options_contradict_each_other(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="both given"):
        token_of(given=TOKEN, path=tmp_path / "token")


@pytest.mark.parametrize("token", ["", "too-short", TOKEN + " ", TOKEN + "\n\n", "tokén-of-the-admin-port"])
def test_what_is_no_token_is_refused_and_not_shown(tmp_path: Path, token: str) -> None:
    path = tmp_path / "token"
    path.write_text(token)
    for options in ({"path": path}, {"variable": token}, {"given": token}):
        with pytest.raises(ValueError, match="16 characters") as refused:
            token_of(**options)
        assert not token or token not in str(refused.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none cannot be read: No such file"):
        token_of(path=tmp_path / "none")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff" * 32)
    with pytest.raises(ValueError, match="holds no text"):
        token_of(path=binary)
