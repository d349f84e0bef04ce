"""Changes of conf.d while the gateway runs, as the file system really tells of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.whole.clients import STREAM, Client, ask, request
from tests.whole.documents import documents, provider, route, rule, simulated
from tests.whole.providers import Conversation, Provider, answer, chunk, saying, stream_head
from tests.whole.running import PATIENCE, Gateway, wait_until

SOON = 1.0
"""Seconds within which a change is in effect where the file system tells of it."""

eventually = partial(wait_until, within=SOON)


def model(gateway: Gateway, host: str = "provider.test") -> str:
    """Which model answers, or the status of a refusal."""
    reply = ask(gateway.address, host=host)
    return str(reply.json()["model"]) if reply.status == 200 else str(reply.status)


def conf(name: str, host: str = "provider.test") -> str:
    """A provider whose model has this name."""
    return documents(simulated(host, name))


def config(gateway: Gateway) -> dict[str, object]:
    found: dict[str, object] = json.loads(gateway.admin("/config"))
    return found


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with Gateway(tmp_path / "run", {"a.yaml": conf("old")}) as gateway:
        yield gateway
        assert "Traceback" not in gateway.log


def test_files_come_change_move_and_go(gateway: Gateway) -> None:
    file = gateway.conf / "b.yaml"
    file.write_text(conf("new", "other.test"))
    eventually(lambda: model(gateway, "other.test") == "new")
    with file.open("w") as writing:  # as `cat >` does it: emptied, then written piece by piece
        text = conf("newer", "other.test")
        writing.write(text[:20])
        writing.flush()
        time.sleep(0.02)
        writing.write(text[20:])
    eventually(lambda: model(gateway, "other.test") == "newer")
    file.rename(gateway.conf / "b.disabled")
    eventually(lambda: model(gateway, "other.test") == "404")
    (gateway.conf / "b.disabled").rename(gateway.conf / "c.yml")
    eventually(lambda: model(gateway, "other.test") == "newer")
    (gateway.conf / "c.yml").unlink()
    eventually(lambda: model(gateway, "other.test") == "404")
    assert model(gateway) == "old"
    assert gateway.count("llmgateway_config_reloads_total", result="rejected") == 0


def test_a_file_that_is_emptied_and_not_yet_written_takes_nothing_away(gateway: Gateway) -> None:
    file = gateway.conf / "a.yaml"
    file.write_text("")
    gateway.wait_for_log("a.yaml:1:1: the file is empty, as one that is being written")
    assert model(gateway) == "old"
    file.write_text(conf("new"))
    eventually(lambda: model(gateway) == "new")


def test_editors_saves(gateway: Gateway) -> None:
    file = gateway.conf / "a.yaml"
    swap = gateway.conf / ".a.yaml.swp"  # as vim does it: swap file, backup, new file
    swap.write_text("b0VIM")
    file.rename(gateway.conf / "a.yaml~")
    file.write_text(conf("vim"))
    (gateway.conf / "a.yaml~").unlink()
    swap.unlink()
    eventually(lambda: model(gateway) == "vim")
    temporary = gateway.conf / ".goutputstream-X"  # as GNOME does it: renamed over the file
    temporary.write_text(conf("gedit"))
    temporary.replace(file)
    eventually(lambda: model(gateway) == "gedit")
    (gateway.conf / "#a.yaml#").write_text("{")  # as Emacs does it
    (gateway.conf / ".#a.yaml").symlink_to("user@host.1234")
    file.write_text(conf("emacs"))
    eventually(lambda: model(gateway) == "emacs")
    assert config(gateway)["problems"] == []


def test_a_config_map_is_swapped_as_a_whole(tmp_path: Path) -> None:
    """As Kubernetes mounts one: files are links through `..data`, a link that is replaced."""
    with Gateway(tmp_path / "run", {}) as gateway:

        def mount(generation: str) -> None:
            folder = gateway.conf / f"..{generation}"
            folder.mkdir()
            for host in ("one", "two"):
                (folder / f"{host}.yaml").write_text(conf(generation, f"{host}.test"))
            (gateway.conf / "..data_tmp").symlink_to(folder.name)
            (gateway.conf / "..data_tmp").replace(gateway.conf / "..data")

        def both() -> set[str]:
            return {model(gateway, "one.test"), model(gateway, "two.test")}

        mount("first")
        for host in ("one", "two"):
            (gateway.conf / f"{host}.yaml").symlink_to(f"..data/{host}.yaml")
        eventually(lambda: both() == {"first"})
        reloads = gateway.count("llmgateway_config_reloads_total")
        mount("second")
        eventually(lambda: both() == {"second"})
        assert gateway.count("llmgateway_config_reloads_total") == reloads + 1
        assert "Traceback" not in gateway.log


def test_a_folder_for_a_tenant_comes_with_its_files(gateway: Gateway) -> None:
    folder = gateway.conf / "acme"
    folder.mkdir()
    (folder / "a.yaml").write_text(conf("acme-model", "acme.test"))
    eventually(lambda: model(gateway, "acme.test") == "acme-model")
    (folder / "a.yaml").write_text(conf("acme-model-2", "acme.test"))
    eventually(lambda: model(gateway, "acme.test") == "acme-model-2")
    new = gateway.conf / ".new"
    new.mkdir()
    (new / "a.yaml").write_text(conf("acme-model-3", "acme.test"))
    folder.rename(gateway.conf / ".old")
    new.rename(folder)
    eventually(lambda: model(gateway, "acme.test") == "acme-model-3")
    (folder / "a.yaml").write_text(conf("acme-model-4", "acme.test"))
    eventually(lambda: model(gateway, "acme.test") == "acme-model-4")
    folder.rename(gateway.folder / "acme")
    eventually(lambda: model(gateway, "acme.test") == "404")


def test_conf_d_itself_may_be_replaced(gateway: Gateway) -> None:
    new = gateway.folder / "new"
    new.mkdir()
    (new / "a.yaml").write_text(conf("replaced"))
    gateway.conf.rename(gateway.folder / "gone")
    time.sleep(0.3)
    assert model(gateway) == "old"
    new.rename(gateway.conf)
    eventually(lambda: model(gateway) == "replaced")
    (gateway.conf / "a.yaml").write_text(conf("changed"))
    eventually(lambda: model(gateway) == "changed")


def test_conf_d_may_be_a_link_that_is_changed(tmp_path: Path) -> None:
    """As releases are switched: `ln -sfn releases/2 conf.d`."""
    with Gateway(tmp_path / "run", {"a.yaml": conf("first")}) as gateway:
        for name in ("second", "third"):
            release = gateway.folder / name
            release.mkdir()
            (release / "a.yaml").write_text(conf(name))
        gateway.conf.rename(gateway.folder / "first")
        gateway.conf.symlink_to("second")
        eventually(lambda: model(gateway) == "second")
        (gateway.folder / "link").symlink_to("third")
        (gateway.folder / "link").replace(gateway.conf)
        eventually(lambda: model(gateway) == "third")
        (gateway.folder / "third" / "a.yaml").write_text(conf("changed"))
        eventually(lambda: model(gateway) == "changed")
        assert "Traceback" not in gateway.log


def test_what_links_lead_to_and_secrets_elsewhere_are_watched(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a.yaml").write_text(conf("old", "linked.test"))
    with Provider(saying(answer("{}"))) as running:
        (elsewhere / "key").write_text("sk-1")
        keyed = provider("keyed.test", running.port, key=f"${{file:{elsewhere}/key}}")
        with Gateway(tmp_path / "run", {"k.yaml": documents(keyed)}) as gateway:
            (gateway.conf / "a.yaml").symlink_to(elsewhere / "a.yaml")
            eventually(lambda: model(gateway, "linked.test") == "old")
            time.sleep(0.2)  # until the folder that has just become one of ours is watched
            (elsewhere / "a.yaml").write_text(conf("new", "linked.test"))
            eventually(lambda: model(gateway, "linked.test") == "new")
            (elsewhere / "key").write_text("sk-2")

            def uses_the_new_key() -> bool:
                ask(gateway.address, host="keyed.test")
                return running.requests[-1].header("Authorization") == "Bearer sk-2"

            eventually(uses_the_new_key)


def test_folders_made_anew_are_watched_too(tmp_path: Path) -> None:
    """`rm -r acme; mkdir acme`, which often gets the very inode of the old one; and the same of a secret's folder."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    with Provider(saying(answer("{}"))) as running:
        (secrets / "key").write_text("sk-0")
        keyed = documents(provider("keyed.test", running.port, key=f"${{file:{secrets}/key}}"))
        with Gateway(tmp_path / "run", {"k.yaml": keyed}) as gateway:

            def answers_with(name: str) -> bool:
                return model(gateway) == name

            def uses(key: str) -> bool:
                ask(gateway.address, host="keyed.test")
                return running.requests[-1].header("Authorization") == f"Bearer {key}"

            for turn in range(3):
                shutil.rmtree(gateway.conf / "acme", ignore_errors=True)
                (gateway.conf / "acme").mkdir()
                (gateway.conf / "acme" / "a.yaml").write_text(conf(f"new-{turn}"))
                eventually(partial(answers_with, f"new-{turn}"))
                time.sleep(0.3)  # until it is watched
                (gateway.conf / "acme" / "a.yaml").write_text(conf(f"newer-{turn}"))
                eventually(partial(answers_with, f"newer-{turn}"))

                shutil.rmtree(secrets)
                time.sleep(0.3 * turn)
                secrets.mkdir()
                (secrets / "key").write_text(f"sk-{turn}-new")
                eventually(partial(uses, f"sk-{turn}-new"))
                time.sleep(0.3)
                (secrets / "key").write_text(f"sk-{turn}-newer")
                eventually(partial(uses, f"sk-{turn}-newer"))


def test_permissions_are_taken_and_given_back(tmp_path: Path) -> None:
    # Root reads whatever it likes, unless it is started without that capability.
    may_not = "-dac_override,-dac_read_search"
    within = ("setpriv", f"--bounding-set={may_not}", f"--inh-caps={may_not}") if os.geteuid() == 0 else ()
    with Gateway(tmp_path / "run", {"a.yaml": conf("old")}, within=within) as gateway:
        for path in (gateway.conf / "a.yaml", gateway.conf):
            mode = path.stat().st_mode
            path.chmod(0)
            eventually(lambda: config(gateway)["problems"] != [])
            assert model(gateway) == "old"
            path.chmod(mode)
            eventually(lambda: config(gateway)["problems"] == [])


def test_without_errors_or_not_at_all(tmp_path: Path) -> None:
    broken = documents(simulated("a.test", hots=1), simulated("b.test", hots=2))
    gateway = Gateway(tmp_path / "run", {"a.yaml": broken}, "--strict")
    with pytest.raises(AssertionError), gateway:
        pass
    assert gateway.process.returncode != 0
    assert "not started, as --strict wants it: errors in conf.d: 2" in gateway.log
    assert gateway.log.count("spec.hots: there is no field") == 2
    with Gateway(tmp_path / "good", {"a.yaml": conf("good")}, "--strict") as good:
        good.apply({"a.yaml": broken})
        assert model(good) == "good"


def test_thousands_of_files(tmp_path: Path) -> None:
    """Many more events than any queue holds, and every file counts at the end."""
    with Gateway(tmp_path / "run", {"a.yaml": conf("old")}) as gateway:
        for number in range(3_000):
            (gateway.conf / f"{number}.yaml").write_text(f"# {number}\n")
        (gateway.conf / "0.yaml").write_text(conf("last", "last.test"))
        eventually(lambda: model(gateway, "last.test") == "last", within=5)
        (gateway.conf / "2999.yaml").write_text(conf("later", "later.test"))
        eventually(lambda: model(gateway, "later.test") == "later")
        assert "Traceback" not in gateway.log


def test_an_export_that_is_taken_back_is_gone_at_once(tmp_path: Path) -> None:
    shared, own = simulated("shared.test", "shared", exportTo=["*"]), simulated("shared.test", "shared")
    users = documents(route("users.test", rule("all", "shared.test")))
    with Gateway(tmp_path / "run", {}) as gateway:
        for name, text in (("owner", documents(shared)), ("user", users)):
            (gateway.conf / name).mkdir()
            (gateway.conf / name / "a.yaml").write_text(text)
        eventually(lambda: model(gateway, "users.test") == "shared")
        (gateway.conf / "owner" / "a.yaml").write_text(documents(own))
        eventually(lambda: model(gateway, "users.test") == "503")
        assert ask(gateway.address, host="users.test").json()["error"]["code"] == "no_backend"
        assert model(gateway, "shared.test") == "shared"


def test_a_broken_file_is_told_and_the_last_good_one_stays(gateway: Gateway) -> None:
    broken = conf("new").replace('"host"', '"hots"')
    line, column = next(
        (number, text.index('"hots"') + 1)
        for number, text in enumerate(broken.splitlines(), 1)
        if '"hots"' in text
    )
    gateway.apply({"a.yaml": broken})
    place = f"conf.d/a.yaml:{line}:{column}: spec.hots: "
    problem = next(each for each in config(gateway)["problems"] if each.startswith(place))  # type: ignore[attr-defined]
    assert "host" in problem.removeprefix(place)
    assert place in gateway.log
    assert config(gateway)["stale"] == ["default"]
    assert model(gateway) == "old"
    with Client(gateway.admin_address) as client:
        client.send(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reply = client.reply()
    assert (reply.status, place in str(reply.json()["problems"])) == (200, True)
    assert gateway.count("llmgateway_config_last_reload_successful", tenant="default") == 0
    assert gateway.count("llmgateway_config_problems", tenant="default", severity="error") > 0
    assert gateway.count("llmgateway_config_reloads_total", result="rejected") == 1

    gateway.apply({"a.yaml": conf("new")})
    assert model(gateway) == "new"
    assert (config(gateway)["problems"], config(gateway)["stale"]) == ([], [])
    assert gateway.count("llmgateway_config_last_reload_successful", tenant="default") == 1
    assert gateway.count("llmgateway_config_problems", severity="error") == 0


BROKEN = {
    "no YAML": b"{",
    "a tab": b"a:\n\tb: c\n",
    "NUL": b"a: \0\n",
    "UTF-16": "kind: LLMProvider".encode("utf-16"),
    "invalid UTF-8": b"a: \xff\n",
    "a list": b"- a\n",
    "merge bomb": b"a: &a {}\nb: {<<: [*a, *a]}\n",
    "alias bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "200,000 deep": b"[" * 200_000,
    "a tag": b"!!python/object:os.system {}\n",
    "a digit too many": b"a: " + b"9" * 5000 + b"\n",
    "over 1 MiB": b"# " + b"x" * (1024 * 1024) + b"\n",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_document_harms_nobody(content: bytes, broken_gateway: Gateway) -> None:
    gateway = broken_gateway
    (gateway.conf / "b.yaml").write_bytes(content)
    eventually(lambda: any("conf.d/b.yaml:" in each for each in config(gateway)["problems"]))  # type: ignore[attr-defined]
    assert model(gateway) == "old"
    (gateway.conf / "b.yaml").unlink()
    eventually(lambda: config(gateway)["problems"] == [])


@pytest.fixture(scope="module")
def broken_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Gateway(tmp_path_factory.mktemp("broken"), {"a.yaml": conf("old")}) as gateway:
        yield gateway
        assert "Traceback" not in gateway.log


def test_what_is_no_file_harms_nobody(broken_gateway: Gateway) -> None:
    gateway = broken_gateway
    os.mkfifo(gateway.conf / "fifo.yaml")
    (gateway.conf / "dangling.yaml").symlink_to("nowhere")
    (gateway.conf / "folder.yaml").mkdir()
    eventually(lambda: len(config(gateway)["problems"]) == 2)  # type: ignore[arg-type]
    assert model(gateway) == "old"
    for name in ("fifo.yaml", "dangling.yaml"):
        (gateway.conf / name).unlink()
    (gateway.conf / "folder.yaml").rmdir()
    eventually(lambda: config(gateway)["problems"] == [])


def test_turns_survive_a_reload(tmp_path: Path) -> None:
    """9 of 10 and 1 of 10, counted across changes that have nothing to do with the rule."""

    def split(note: str) -> str:
        backends = [{"providerHost": "one.test", "weight": 90}, {"providerHost": "two.test", "weight": 10}]
        return documents(
            simulated("one.test", "one"),
            simulated("two.test", "two"),
            simulated("other.test", note),
            route("both.test", rule("split", *backends)),
        )

    with Gateway(tmp_path, {"a.yaml": split("0")}) as gateway:
        answered: Counter[str] = Counter()
        for number in range(10):
            answered[model(gateway, "both.test")] += 1
            answered[model(gateway, "both.test")] += 1
            gateway.apply({"a.yaml": split(f"note-{number}")})
    assert answered == {"one": 18, "two": 2}


def test_what_runs_keeps_what_it_began_with(tmp_path: Path) -> None:
    """The key changes and the provider goes, and a stream that has begun ends all the same."""
    go_on = Event()
    event = b'data: {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "word"}}]}\n\n'

    def stream(conversation: Conversation) -> None:
        conversation.send(stream_head() + chunk(event))
        go_on.wait(PATIENCE)
        conversation.send(chunk(b"data: [DONE]\n\n") + chunk(b""))

    with (
        Provider(stream) as old,
        Provider(saying(answer('{"model": "new"}'))) as new,
        Gateway(
            tmp_path, {"a.yaml": documents(provider("provider.test", old.port, key="sk-old"))}
        ) as gateway,
        Client(gateway.address) as client,
    ):
        client.send(request(STREAM))
        client.head()
        assert client.chunk() == event
        gateway.apply({"a.yaml": documents(provider("provider.test", new.port, key="sk-new"))})
        assert model(gateway) == "new"
        go_on.set()
        assert client.chunk() == b"data: [DONE]\n\n"
        assert client.chunk() == b""
        # Its connection belongs to nobody's configuration any more.
        eventually(lambda: gateway.count("llmgateway_upstream_connections") == 1)
    assert [each.header("Authorization") for each in old.requests] == ["Bearer sk-old"]
    assert [each.header("Authorization") for each in new.requests] == ["Bearer sk-new"]


def test_secrets_from_the_environment_and_from_files(tmp_path: Path) -> None:
    """A file's new content counts at once, wherever it lies."""
    secret = tmp_path / "secret"
    secret.write_text("sk-from-a-file\n")
    with Provider(saying(answer("{}"))) as running:
        conf_of = [
            provider("env.test", running.port, key="${THE_KEY}"),
            provider("file.test", running.port, key=f"${{file:{secret}}}"),
            provider("both.test", running.port, key=f"a-${{THE_KEY}}-${{file:{secret}}}-$${{THE_KEY}}"),
        ]
        environment = {"THE_KEY": "sk-from-outside"}
        with Gateway(tmp_path / "run", {"a.yaml": documents(*conf_of)}, environment=environment) as gateway:
            for host in ("env.test", "file.test", "both.test"):
                assert ask(gateway.address, host=host).status == 200
            secret.write_text("sk-rotated\n")
            eventually(
                lambda: (
                    ask(gateway.address, host="file.test").status == 200
                    and running.requests[-1].header("Authorization") == "Bearer sk-rotated"
                )
            )
            secret.unlink()
            eventually(lambda: "cannot be read: No such file" in str(config(gateway)["problems"]))
            assert ask(gateway.address, host="file.test").status == 200
            assert running.requests[-1].header("Authorization") == "Bearer sk-rotated"
            for shown in (gateway.log, gateway.admin("/config"), gateway.admin("/metrics")):
                assert "sk-" not in shown
    keys = [each.header("Authorization") for each in running.requests[:3]]
    assert keys == [
        "Bearer sk-from-outside",
        "Bearer sk-from-a-file",
        "Bearer a-sk-from-outside-sk-from-a-file-${THE_KEY}",
    ]


def test_a_hundred_changes_under_traffic_fail_nobody(gateway: Gateway) -> None:
    seen: list[str] = []
    stop = Event()

    def work() -> None:
        with Client(gateway.address) as client:
            while not stop.is_set():
                client.send(request())
                reply = client.reply()
                seen.append(reply.json()["model"] if reply.status == 200 else str(reply.status))

    workers = [Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for number in range(100):
        gateway.write({"a.yaml": conf(f"model-{number}")})
        time.sleep(0.02)
    eventually(lambda: seen[-1] == "model-99")
    stop.set()
    for worker in workers:
        worker.join(PATIENCE)
    assert all(re.fullmatch(r"old|model-\d+", each) for each in seen), Counter(seen)
    assert len(seen) > 100
    assert len(set(seen)) > 5
    assert gateway.count("llmgateway_requests_total", code="200") == len(seen)
    assert gateway.count("llmgateway_config_reloads_total", result="rejected") == 0
