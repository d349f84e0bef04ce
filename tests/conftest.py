"""What all tests share: where the required tools of `.ci/run` are there, a skipped test is a failed one."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("LLMGATEWAY_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and LLMGATEWAY_NO_SKIPS is set: {report.longrepr}"
    return report
