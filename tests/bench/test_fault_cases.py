from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bench.expecting import Case
from bench.fault_cases import CASES
from bench.faults import PAGE, documents
from bench.simulated import written
from gateway.resources.directives import DIRECTIVES
from gateway.resources.misbehaviour import in_list
from tests.resources.written import problems

NO_FAULTS = ("context", "words", "chunks", "chunk-delay", "refusal", "usage", "cached")
"""What the simulator is asked for that nobody has to be rescued from."""


PORTS = {"primary": 1, "second": 2, "fallback": 3}


def directives(case: Case) -> Iterator[str]:
    for group in [*in_list(case.primary), *in_list(case.second or ""), *in_list(case.fallback)]:
        yield from (re.split("[=]", directive)[0] for directive in group.split("&"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.fault)
def test_every_fault_can_be_asked_for(case: Case) -> None:
    assert problems(written(documents(case, "trial.bench", PORTS))) == []


def test_every_fault_that_the_simulator_knows_is_tried() -> None:
    tried = {directive for case in CASES for directive in directives(case)}
    assert DIRECTIVES.keys() - tried == set(NO_FAULTS)


def test_the_page_has_a_line_for_each_fault() -> None:
    table = PAGE.read_text().partition("--markdown -->\n")[2].partition("<!-- end -->")[0]
    rows = [row.split(" | ")[0].removeprefix("| ") for row in table.splitlines()[2:]]
    assert rows == [case.fault for case in CASES]
