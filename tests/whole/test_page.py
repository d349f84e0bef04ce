"""The live page in a real browser: what it shows, that it follows what happens, and that it keeps to itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from gateway.serving.admin_access import VARIABLE
from tests.whole.browser import CHROMIUM, Browser
from tests.whole.documents import documents, owned, route, rule, simulated
from tests.whole.running import Gateway

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="wants Chromium")

SCRIPT = "<script>alert(1)</script>"
CONF = {
    "all.yaml": documents(
        simulated("good.test", model="large"),
        simulated("bad.test"),
        route(
            "chat.test",
            rule(
                "shared",
                {"providerHost": "good.test", "weight": 3},
                {"providerHost": "bad.test", "weight": 1},
            ),
        ),
        route("odd.test", rule(SCRIPT, "good.test")),
    )
}
LLMGATEWAY = str(Path(sys.executable).parent / "llmgateway")
TOKEN = "token-of-the-admin-port"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("gateway"), CONF) as running:
        yield running


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as running:
        yield running
        assert running.complaints() == []
        addresses = {urlsplit(url).hostname for url in running.requested() if url != "about:blank"}
        assert addresses == {"127.0.0.1"}


def shares(*hosts: str) -> list[dict[str, Any]]:
    """Backends that have the same weight."""
    return [{"providerHost": host, "weight": 1} for host in hosts]


def ask(gateway: Gateway, host: str = "chat.test", **headers: str) -> int:
    """Send a chat; tells the status."""
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode()
    request = Request(gateway.url + "/v1/chat/completions", body, {"Host": host, **headers})
    try:
        with urlopen(request) as answer:
            status: int = answer.status
            return status
    except HTTPError as error:
        return error.code


def test_it_shows_what_there_is_and_follows_what_happens(gateway: Gateway, browser: Browser) -> None:
    browser.go(gateway.admin_url)
    browser.wait_until(lambda: browser.text("#live") == "live")
    assert "chat.test" in browser.text("#routes")
    assert SCRIPT in browser.text("#routes")
    assert "good-test" in browser.text("#providers")
    assert browser.text("#problems .fine") == "None."
    browser.evaluate("window.untouched = true")
    for _ in range(8):
        assert ask(gateway) == 200
    assert ask(gateway, **{"x-simulate": "status=500"}) == 500
    browser.wait_until(lambda: "9 in all" in browser.text("#numbers"))
    shown = browser.text("#failures")
    assert "500 provider_error" in shown
    assert "default / chat-test / shared" in shown
    assert "status 500" in shown  # the attempt, although there is no access log
    browser.wait_until(
        lambda: browser.evaluate("points.some((point) => point.failed > 0 && point.latency95 > 0)")
    )
    assert browser.evaluate("document.querySelectorAll('.uplot canvas').length") == 4
    assert browser.evaluate("window.untouched") is True


def test_what_somebody_reads_stays_while_more_fails(gateway: Gateway, browser: Browser) -> None:
    for _ in range(2):
        assert ask(gateway, "odd.test", **{"x-simulate": "status=500"}) == 500
    browser.go(gateway.admin_url)
    browser.wait_until(lambda: browser.text("#live") == "live")
    browser.wait_until(lambda: browser.text("#failures summary"))
    browser.evaluate(
        """{
            const summary = [...document.querySelectorAll("#failures summary")].find((each) =>
                each.textContent.includes("odd-test"));
            summary.parentNode.open = true;
            summary.focus();
            getSelection().selectAllChildren(summary.parentNode.querySelector("dl"));
        }"""
    )
    selected = browser.evaluate("String(getSelection())")
    assert "2 times since" in selected
    for host, status in (("chat.test", 502), ("odd.test", 500), ("chat.test", 503)):
        before = browser.text("#failures")
        assert ask(gateway, host, **{"x-simulate": f"status={status}"}) == status
        browser.wait_until(lambda before=before: browser.text("#failures") != before)  # type: ignore[misc]
    assert browser.evaluate("document.querySelectorAll('#failures details[open]').length") == 1
    assert "odd-test" in browser.evaluate("document.activeElement.textContent")
    assert browser.evaluate("String(getSelection())") == selected
    assert "3 × default / odd-test" in browser.text("#failures")
    browser.evaluate("getSelection().empty()")
    browser.wait_until(lambda: "3 times since" in browser.text("#failures"))


def test_failures_that_are_alike_are_told_once(gateway: Gateway, browser: Browser) -> None:
    for _ in range(3):
        assert ask(gateway, "odd.test", **{"x-simulate": "status=504"}) == 504
    browser.go(gateway.admin_url)
    browser.wait_until(lambda: "504 provider_error 3 ×" in browser.text("#failures"))
    told = browser.text("#failures")
    assert told.count("504 provider_error 3 × default / odd-test") == told.count("504 provider_error") == 1


def test_what_clients_got_wrong_is_no_failure(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway", CONF) as gateway, Browser(tmp_path / "profile") as browser:
        for _ in range(10):
            assert ask(gateway, **{"x-simulate": "context-length"}) == 400
        browser.go(gateway.admin_url)
        browser.wait_until(lambda: "10 in all" in browser.text("#numbers"))
        assert browser.text("[data-part=state]") == "serving"
        assert "Nothing is wrong" in browser.text("#findings")
        assert "What clients got wrong or left: 10 of late" in browser.text("#failures")
        for _ in range(10):
            assert ask(gateway, **{"x-simulate": "status=500"}) in (500, 503)
        browser.wait_until(lambda: "× status 500" in browser.text("#findings"))
        assert browser.text("[data-part=state]") == "serving, with failures"


def test_a_page_that_nobody_sees_holds_no_connection(gateway: Gateway, browser: Browser) -> None:
    browser.go(gateway.admin_url)
    browser.wait_until(lambda: browser.text("#live") == "live")
    for _ in range(8):  # more than a browser has connections to a host
        browser.open_tab()
        browser.go(gateway.admin_url)
        browser.wait_until(lambda: browser.text("#live") == "live")
    browser.show_tab(0)
    browser.wait_until(lambda: browser.text("#live") == "live")
    browser.evaluate("document.getElementById('live').textContent = 'as it was'")
    assert ask(gateway) == 200
    browser.wait_until(lambda: browser.text("#live") == "live")


def test_a_change_of_the_files_shows(gateway: Gateway, browser: Browser) -> None:
    browser.go(gateway.admin_url)
    gateway.apply({"broken.yaml": documents(route("new.test", rule("all", "gooood.test")))})
    browser.wait_until(lambda: "broken.yaml:" in browser.text("#problems"))
    assert "last good" in browser.text("#findings")
    (gateway.conf / "broken.yaml").unlink()
    browser.wait_until(lambda: browser.text("#problems .fine") == "None.")


def test_the_form_explains(gateway: Gateway, browser: Browser) -> None:
    browser.go(gateway.admin_url)
    browser.fill("[name=host]", "odd.test")
    browser.fill("[name=headers]", "user-type: subscriber")
    browser.click("#explain-form button")
    browser.wait_until(lambda: "rule       " + SCRIPT in browser.text("#explanation"))
    assert "good.test" in browser.text("#explanation")
    browser.fill("[name=host]", "nobody.test")
    browser.click("#explain-form button")
    browser.wait_until(lambda: "refused" in browser.text("#explanation"))


def test_a_gateway_that_ends_is_seen(tmp_path: Path) -> None:
    with Gateway(tmp_path / "gateway", CONF) as gateway, Browser(tmp_path / "profile") as browser:
        browser.go(gateway.admin_url)
        browser.wait_until(lambda: browser.text("#live") == "live")
        assert gateway.stop() == 0  # who looks on does not keep it
        browser.wait_until(lambda: browser.text("#live") == "not live")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (360, False), (360, True)])
def test_it_fits_the_screen(gateway: Gateway, tmp_path: Path, width: int, dark: bool) -> None:
    with Browser(tmp_path / "profile", width=width, dark=dark) as browser:
        browser.go(gateway.admin_url)
        browser.wait_until(lambda: browser.text("#live") == "live")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        red = int(ground.removeprefix("rgb(").partition(",")[0])
        assert (red < 60) == dark


LONG = "inference.production.platformteam.svc.cluster.local.eu-central-1.compute.internal.example"


def test_names_of_any_length_fit_any_window(tmp_path: Path) -> None:
    conf = {
        "a.yaml": documents(
            *owned(
                "t" * 50,
                simulated("p" * 60 + ".test", model="m" * 60),
                simulated("deep.test", model="deepseek-r1-distill-qwen-32b-preview"),
                route(LONG, rule("r" * 60, *shares("p" * 60 + ".test", "deep.test"))),
            )
        )
    }
    with Gateway(tmp_path / "gateway", conf) as gateway, Browser(tmp_path / "profile") as browser:
        for _ in range(4):
            assert ask(gateway, LONG, **{"x-simulate": "status=500"}) == 500
        browser.go(gateway.admin_url)
        browser.wait_until(lambda: "500 provider_error" in browser.text("#failures"))
        browser.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        for width in (360, 390, 730, 900, 1000, 1200, 1261, 1280, 1600):
            browser.resize(width)
            assert browser.evaluate("document.documentElement.scrollWidth") <= width, width
            assert browser.evaluate(TOO_WIDE) == [], width


TOO_WIDE = """[...document.querySelectorAll(".scrolls, section, li, dd, td > div")]
    .filter((each) => each.scrollWidth > each.clientWidth + 1)
    .map((each) => `${each.className || each.tagName}: ${each.textContent.slice(0, 30)}`)"""


def test_a_value_alone_is_a_dot(gateway: Gateway, browser: Browser) -> None:
    browser.go(gateway.admin_url)
    browser.wait_until(lambda: browser.text("#live") == "live")
    opacity = """(async () => {
        pause();
        const now = Date.now() / 1000;
        begin([-40, -30, -20, -10, 0].map((ago) => ({ time: now + ago, first50: ago === -20 ? 0.137 : null })));
        await new Promise((drawn) => setTimeout(drawn, 100));
        const { plot } = drawn[2];
        const [x, y] = [plot.valToPos(now - 20, "x", true), plot.valToPos(0.137, "y", true)];
        return plot.ctx.getImageData(Math.round(x), Math.round(y), 1, 1).data[3];
    })()"""
    assert browser.evaluate(opacity) == 255


def test_without_scripts(gateway: Gateway, tmp_path: Path) -> None:
    with Browser(tmp_path / "profile", runs_scripts=False) as browser:
        browser.go(gateway.admin_url)
        assert "chat.test" in browser.text("#routes")
        assert "not live" in browser.text("header")
        assert browser.text("#charts") == "Charts and live updates need JavaScript."
        assert browser.evaluate("document.querySelector('#charts').clientHeight") < 80
        browser.evaluate("document.querySelector('[name=host]').value = 'odd.test'")
        browser.click("#explain-form button")
        browser.wait_until(lambda: "rule       " + SCRIPT in browser.text("body"))
        assert browser.evaluate("location.href") == gateway.admin_url + "/explain"


def sign_out_elsewhere(gateway: Gateway, browser: Browser) -> None:
    """As this browser, but not in its tab."""
    [cookie] = browser.command("Network.getCookies")["cookies"]
    headers = {
        "Cookie": f"{cookie['name']}={cookie['value']}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    with pytest.raises(HTTPError, match="401"):  # it is led to the page, where it may not be any more
        urlopen(Request(gateway.admin_url + "/logout", b"", headers))


def test_the_token_opens_it(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(TOKEN + "\n")
    with (
        Gateway(tmp_path / "gateway", CONF, f"--admin-token-file={secret}") as gateway,
        Browser(tmp_path / "profile") as browser,
    ):
        browser.go(gateway.admin_url)
        assert "Admin token" in browser.text("body")
        for given, expected in (("wrong", "That was not the token."), (TOKEN, "Routes")):
            browser.fill("[name=token]", given)
            browser.click("button")
            browser.wait_until(lambda expected=expected: expected in browser.text("body"))  # type: ignore[misc]
        browser.wait_until(lambda: browser.text("#live") == "live")
        assert browser.evaluate("document.cookie") == ""
        assert browser.evaluate("fetch('/login').then((answer) => answer.url)") == gateway.admin_url + "/"
        browser.click("#explain-form button")
        browser.wait_until(lambda: "tenant" in browser.text("#explanation"))
        browser.click(".sign-out button")
        browser.wait_until(lambda: "Admin token" in browser.text("body"))
        browser.fill("[name=token]", TOKEN)
        browser.click("button")
        browser.wait_until(lambda: browser.text("#live") == "live")
        sign_out_elsewhere(gateway, browser)
        browser.wait_until(lambda: "Admin token" in browser.text("body"))
        assert TOKEN not in gateway.log
        with pytest.raises(HTTPError, match="401"):
            urlopen(gateway.admin_url + "/config")
        bearing = Request(gateway.admin_url + "/config", headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(bearing) as answer:
            assert TOKEN not in answer.read().decode()
        assert gateway.admin("/healthz") == "ok\n"
        explain = [LLMGATEWAY, "explain", "--against", gateway.admin_url, "--host", "odd.test", "-d", "{}"]
        refused = subprocess.run(explain, capture_output=True, text=True, check=False)
        assert (refused.returncode, refused.stdout) == (2, "")
        wanted = "has refused the question with 401: it wants its admin token; --admin-token-file FILE, "
        assert wanted in refused.stderr
        refused = subprocess.run(
            [*explain, "--admin-token=not-the-right-token"], capture_output=True, text=True, check=False
        )
        assert refused.returncode == 2
        assert "401: this is not its admin token; --admin-token-file FILE, " in refused.stderr
        for environment, options in (({VARIABLE: TOKEN}, []), ({}, [f"--admin-token-file={secret}"])):
            done = subprocess.run(
                [*explain, *options],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ, **environment},
            )
            assert "odd.test" in done.stdout
