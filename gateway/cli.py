"""The `llmgateway` command: what an operator does with conf.d beside running it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from gateway import __version__
from gateway.errors import GatewayError
from gateway.live import Live
from gateway.resources.schema import json_schema
from gateway.serving.explaining import explain
from gateway.snapshot.adopting import Generation
from gateway.watcher.folder import Folder
from gateway.watcher.loading import LoadSettings, load
from gateway.wire.addresses import shown
from gateway.wire.limits import DownstreamLimits
from gateway.wire.request_judging import judge
from gateway.wire.tls import ContextCache

EXAMPLES = ("demo.yaml", "dashscope.yaml")
"""What `init` writes; the files lie in `gateway/examples`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :return: the exit status: 0, or 1 where something is wrong with what was looked at, or 2 for wrong usage.
    """
    options = _parser().parse_args(arguments)
    try:
        status: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read the output has seen enough.  The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _check(options: argparse.Namespace) -> int:
    generation = _loaded(options)
    errors = 0
    for problem in generation.problems:
        errors += problem.severity == "error"
        print(problem if problem.severity == "error" else f"warning: {problem}")
    tenants = len(generation.snapshot.tenants)
    hosts = len(generation.snapshot.anonymous)
    print(
        f"{_counted(errors, 'problem')}; {_counted(hosts, 'host')} of {_counted(tenants, 'tenant')} answered for"
    )
    return 1 if errors else 0


def _explain(options: argparse.Namespace) -> int:
    generation = _loaded(options)
    for problem in generation.problems:
        if problem.severity == "error":
            print(problem, file=sys.stderr)
    headers = [_header(text) for text in options.header]
    body = _data(options.data)
    method = options.method or ("POST" if options.data is not None else "GET")
    headers += [(b"host", options.host.encode()), (b"content-length", b"%d" % len(body))]
    try:
        head = judge(method.encode(), options.path.encode(), headers, DownstreamLimits(), old=False)
    except GatewayError as error:
        print(f"refused    {error.status} {error.code}: {error.message}")
        return 1
    lines = list(explain(generation.snapshot, Live(), head, body, options.listener))
    print("\n".join(lines))
    return 1 if lines[-1].startswith("refused") else 0


def _init(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        existing = [name for name in EXAMPLES if os.path.lexists(folder / name)]
        if existing:
            return _complain(f"{folder / existing[0]} is there already; nothing was written")
        for name in EXAMPLES:
            (folder / name).write_bytes(files("gateway.examples").joinpath(name).read_bytes())
            print(f"wrote {folder / name}")
    except OSError as error:
        return _complain(f"{error.filename} cannot be written: {error.strerror}")
    print(f"run it with: twistd -n llmgateway --conf {folder}")
    return 0


def _schema(options: argparse.Namespace) -> int:
    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0


def _simulate(options: argparse.Namespace) -> int:
    # Here and not above: importing the reactor is this one subcommand's business.
    from twisted.internet import reactor, task

    from gateway.simulator.alone import simulate

    failures: list[Failure] = []

    def run(_: object) -> Deferred[None]:
        return simulate(reactor, options.listen, listening).addErrback(failures.append)

    def listening(address: IAddress) -> None:
        print(f"simulating a provider on {shown(address)}", flush=True)

    try:
        task.react(run)
    except SystemExit:
        pass  # react's way to return
    except Exception as error:  # each kind of endpoint raises what it likes
        return _complain(f"{options.listen} is no endpoint: {error}")
    return _complain(f"cannot listen on {options.listen}: {failures[0].getErrorMessage()}") if failures else 0


def _loaded(options: argparse.Namespace) -> Generation:
    try:
        contents = Folder(options.folder).read()
    except OSError as error:
        _exit(f"{options.folder} cannot be read: {error.strerror}")
    settings = LoadSettings(
        environment=os.environ,
        labels=dict(options.label),
        root_namespace=options.root_namespace,
        prepare_tls=ContextCache().prepare,
    )
    return load(contents, None, settings).generation


def _header(text: str) -> tuple[bytes, bytes]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        _exit(f"a header is written as 'Name: value', not {text!r}")
    return name.strip().lower().encode(), value.strip().encode()


def _data(text: str | None) -> bytes:
    if text is None:
        return b""
    if text == "@-":
        return sys.stdin.buffer.read()
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_bytes()
        except OSError as error:
            _exit(f"{text[1:]} cannot be read: {error.strerror}")
    return text.encode()


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"wants KEY=VALUE, not {text!r}")
    return key, value


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _complain(sentence: str) -> int:
    print(f"llmgateway: {sentence}", file=sys.stderr)
    return 1


def _exit(sentence: str) -> NoReturn:
    _complain(sentence)
    raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmgateway",
        description="Tools for an LLM gateway's conf.d.  `twistd -n llmgateway` runs the gateway.",
    )
    parser.add_argument("--version", action="version", version=f"llmgateway {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    of_conf = argparse.ArgumentParser(add_help=False)
    of_conf.add_argument("folder", type=Path, metavar="DIR", help="the conf.d folder")
    of_conf.add_argument(
        "--label", type=_label, action="append", default=[], help="a label of the gateway, KEY=VALUE"
    )
    of_conf.add_argument("--root-namespace", default="istio-system", help="as given to twistd")

    check = commands.add_parser(
        "check", parents=[of_conf], help="tell every problem of the files; exit 1 if there is one"
    )
    check.set_defaults(run=_check)

    explaining = commands.add_parser(
        "explain",
        parents=[of_conf],
        help="tell what the gateway would do with a request, and what it would send",
    )
    explaining.add_argument("--host", required=True, help="the Host that the client asks")
    explaining.add_argument(
        "-H", "--header", action="append", default=[], help="'Name: value'; may be repeated"
    )
    explaining.add_argument("-d", "--data", help="the body; @FILE reads a file, @- standard input")
    explaining.add_argument("--path", default="/v1/chat/completions", help="path and query [%(default)s]")
    explaining.add_argument("-X", "--method", help="POST with --data, else GET")
    explaining.add_argument(
        "--listener", default="", help="the name of the listener that the client comes to"
    )
    explaining.set_defaults(run=_explain)

    init = commands.add_parser("init", help="write an example conf.d that needs no key and no network")
    init.add_argument("folder", type=Path, metavar="DIR")
    init.set_defaults(run=_init)

    simulate = commands.add_parser("simulate", help="run the simulated provider on a port of its own")
    simulate.add_argument(
        "--listen", default="tcp:9000:interface=127.0.0.1", help="Twisted endpoint [%(default)s]"
    )
    simulate.set_defaults(run=_simulate)

    schema = commands.add_parser("schema", help="print the JSON Schema of the resources, for editors")
    schema.set_defaults(run=_schema)
    return parser


if __name__ == "__main__":
    sys.exit(main())
