"""Keys of clients."""

from __future__ import annotations

import re
from hashlib import sha256

import pytest

from gateway.snapshot.keys import SHORTEST, digest_of, hash_line, new_key


def test_a_new_key_is_long_and_random() -> None:
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch(r"llmgw-[0-9A-Za-z]{43}", key) for key in keys)
    assert 62**43 > 2**256


def test_it_is_made_of_what_is_chosen() -> None:
    assert new_key(lambda letters: letters[-1]) == "llmgw-" + "Z" * 43


def test_the_line_for_a_tenant_document() -> None:
    key = new_key()
    assert hash_line(key) == f'apiKeyHash: "sha256:{sha256(key.encode()).hexdigest()}"'
    assert digest_of(key.encode()).hex() in hash_line(key)


@pytest.mark.parametrize(
    "key",
    ["", "x", "k" * (SHORTEST - 1), "a key with blanks in it", "schlüssel-der-lang-ist", "k" * 20 + "\n"],
)
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(ValueError, match="a key") as caught:
        hash_line(key)
    assert len(key) < 2 or key.strip() not in str(caught.value)
