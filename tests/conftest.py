"""What all tests share: where the required tools of `.ci/run` are there, a skipped test is a failed one."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

# Hypothesis builds its tables of characters in the first test that needs them, and would blame that test's speed.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("LLMGATEWAY_NO_SKIPS"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and LLMGATEWAY_NO_SKIPS is set: {report.longrepr}"
    return report
