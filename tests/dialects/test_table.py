"""The dialects by the names that operators write."""

from __future__ import annotations

from gateway.dialects.table import DIALECTS


def test_both_blocks_speak_openai() -> None:
    assert {name: dialect.name for name, dialect in DIALECTS.items()} == {
        "openAIConfig": "openai",
        "simulatorConfig": "openai",
    }
