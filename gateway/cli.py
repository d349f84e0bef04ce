"""The `llmgateway` command: what an operator does with conf.d beside running it."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NoReturn, TypeVar

import yaml
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from gateway import __version__
from gateway.live import Live
from gateway.resources.custom_resources import definitions
from gateway.resources.directives import DrillError
from gateway.resources.kinds import GROUPS
from gateway.resources.misbehaviour import in_list, read_misbehaviour
from gateway.resources.schema import json_schema
from gateway.resources.syntax import namespace
from gateway.serving.admin_access import admin_token
from gateway.serving.explaining import explain
from gateway.serving.explanation import Explanation
from gateway.serving.questions import Question
from gateway.serving.rehearsing import Rehearsal, counted, hosts_of, proposal_from
from gateway.snapshot.generations import Generation
from gateway.snapshot.keys import hash_line, new_key
from gateway.snapshot.matching import listeners_named
from gateway.watcher.folder import Contents, Folder
from gateway.watcher.loading import LoadSettings, load
from gateway.wire.addresses import shown
from gateway.wire.limits import DownstreamLimits
from gateway.wire.tls import ContextCache

T = TypeVar("T")

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
    contents = _contents(options)
    if not contents.files and not contents.problems:
        print(
            f"warning: {options.folder} holds no .yaml or .yml file: a gateway without files serves nothing"
        )
    if options.against is not None:
        rehearsal = _asked(options, "/check", proposal_from(options.folder, contents), Rehearsal)
        print(rehearsal.text())
        return 1 if rehearsal.errors else 0
    generation = _generation(options, contents)
    errors = 0
    for problem in generation.problems:
        errors += problem.severity == "error"
        print(problem if problem.severity == "error" else f"warning: {problem}")
    snapshot = generation.snapshot
    print(f"{counted(errors, 'problem')}; {hosts_of(snapshot.hosts, len(snapshot.tenants))} answered for")
    return 1 if errors else 0


def _explain(options: argparse.Namespace) -> int:
    if (options.folder is None) == (options.against is None):
        _exit("explain wants either DIR or --against URL")
    question = _question(options)
    if options.against is not None:
        explanation = _asked(options, "/explain", question, Explanation)
    else:
        generation = _generation(options, _contents(options))
        for problem in generation.problems:
            if problem.severity == "error":
                print(problem, file=sys.stderr)
        named = listeners_named(generation.snapshot)
        if question.listener and question.listener not in named:
            there = f"; those of {options.folder} name {', '.join(sorted(named))}" if named else ""
            print(f"hint: no `gateways` names a listener {question.listener!r}{there}", file=sys.stderr)
        explanation = explain(generation.snapshot, Live(), question, DownstreamLimits())
    print(explanation.text())
    if explanation.refusal is None:
        return 0
    if explanation.decisions and options.data is None and options.method is None:
        print("hint: without -d this is a GET; -d '{\"messages\": []}' makes it a chat", file=sys.stderr)
    return 1


def _question(options: argparse.Namespace) -> Question:
    """The request that the options describe."""
    headers: dict[str, tuple[str, ...]] = {}
    for text in options.header:
        name, value = _header(text)
        headers[name] = (*headers.get(name, ()), value)
    return Question(
        host=options.host,
        path=options.path,
        method=options.method or ("POST" if options.data is not None else "GET"),
        headers=headers,
        data=_data(options.data),
        listener=options.listener,
        client_address=options.client_address,
        client_certificate=tuple(options.client_certificate),
    )


def _new_key(_: argparse.Namespace) -> int:
    key = new_key()
    print(f"{key}\n{hash_line(key)}")
    return 0


def _hash_key(_: argparse.Namespace) -> int:
    try:
        key = getpass.getpass("key: ") if sys.stdin.isatty() else sys.stdin.readline()
        print(hash_line(key.rstrip("\r\n")))
    except (EOFError, UnicodeDecodeError):
        return _complain("no key could be read")
    except ValueError as error:
        return _complain(str(error))
    return 0


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
    print(f"run it with: twistd -n --pidfile= llmgateway --conf {folder}")
    return 0


def _schema(options: argparse.Namespace) -> int:
    if options.crds is None:
        print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    else:
        print(f"# Made by: llmgateway schema --crds {options.crds}")
        yaml.safe_dump_all(
            definitions(options.crds), sys.stdout, sort_keys=False, width=110, allow_unicode=True
        )
    return 0


def _simulate(options: argparse.Namespace) -> int:
    # Here and not above: importing the reactor is this one subcommand's business.
    from twisted.internet import reactor, task

    from gateway.simulator.alone import simulate

    failures: list[Failure] = []

    def run(_: object) -> Deferred[None]:
        return simulate(reactor, options.listen, listening, options.misbehave).addErrback(failures.append)

    def listening(address: IAddress) -> None:
        print(f"simulating a provider on {shown(address)}", flush=True)

    try:
        task.react(run)
    except SystemExit:
        pass  # react's way to return
    except Exception as error:  # each kind of endpoint raises what it likes
        return _complain(f"{options.listen} is no endpoint: {error}")
    return _complain(f"cannot listen on {options.listen}: {failures[0].getErrorMessage()}") if failures else 0


def _contents(options: argparse.Namespace) -> Contents:
    folder: Path = options.folder
    if folder.is_file():
        _exit(f"{folder} is a file, and files count together: name its folder, {folder.parent}")
    try:
        return Folder(folder).read()
    except OSError as error:
        _exit(f"{folder} cannot be read: {error.strerror}")


def _generation(options: argparse.Namespace, contents: Contents) -> Generation:
    """What a gateway that starts with these files runs on."""
    settings = LoadSettings(
        environment=os.environ,
        labels=dict(options.label),
        root_namespace=options.root_namespace,
        prepare_tls=ContextCache().prepare,
    )
    return load(contents, None, settings).generation


def _asked(options: argparse.Namespace, page: str, question: object, answer: type[T]) -> T:
    """What the running gateway answers."""
    # Here and not above: no other subcommand needs a client of HTTP.
    from gateway.serving.asking import NoAnswer, ask_and_wait

    try:
        token = admin_token(options.admin_token, options.admin_token_file, os.environ)
        return ask_and_wait(options.against, token, page, question, answer)
    except (NoAnswer, ValueError) as error:
        _exit(str(error))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        _exit(f"a header is written as 'Name: value', not {text!r}")
    return name.strip().lower(), value.strip()


def _data(text: str | None) -> str:
    """The body; what is no UTF-8 keeps its bytes as lone surrogates (PEP 383)."""
    if text is None or not text.startswith("@"):
        return text or ""
    try:
        content = sys.stdin.buffer.read() if text == "@-" else Path(text[1:]).read_bytes()
    except OSError as error:
        _exit(f"{text[1:]} cannot be read: {error.strerror}")
    return content.decode(errors="surrogateescape")


def _misbehaviour(text: str) -> tuple[str, ...]:
    groups = tuple(in_list(text))
    try:
        read_misbehaviour(groups)
    except DrillError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return groups


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"wants KEY=VALUE, not {text!r}")
    return key, value


def _namespace(text: str) -> str:
    try:
        return namespace(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _complain(sentence: str) -> int:
    print(f"llmgateway: {sentence}", file=sys.stderr)
    return 1


def _exit(sentence: str) -> NoReturn:
    _complain(sentence)
    raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="llmgateway",
        description="Tools for an LLM gateway's conf.d.  `twistd -n --pidfile= llmgateway` runs the gateway.",
    )
    parser.add_argument("--version", action="version", version=f"llmgateway {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    of_conf = argparse.ArgumentParser(add_help=False)
    of_conf.add_argument(
        "--against",
        metavar="URL",
        help="ask the running gateway whose admin port this is, such as http://127.0.0.1:9901",
    )
    of_conf.add_argument("--admin-token", metavar="TOKEN", help="what opens that port; `ps` shows it")
    of_conf.add_argument(
        "--admin-token-file",
        metavar="FILE",
        help="a file that holds it; else LLMGATEWAY_ADMIN_TOKEN in the environment may",
    )
    of_conf.add_argument(
        "--label", type=_label, action="append", default=[], help="a label of the gateway, KEY=VALUE"
    )
    of_conf.add_argument(
        "--root-namespace", type=_namespace, default="istio-system", help="as given to twistd"
    )

    check = commands.add_parser(
        "check",
        parents=[of_conf],
        help="tell every problem of the files, and with --against what they would change; exit 1 if there is one",
    )
    check.add_argument("folder", type=Path, metavar="DIR", help="the conf.d folder")
    check.set_defaults(run=_check)

    explaining = commands.add_parser(
        "explain",
        parents=[of_conf],
        help="tell what the gateway would do with a request, and what it would send",
    )
    explaining.add_argument("folder", type=Path, metavar="DIR", nargs="?", help="the conf.d folder")
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
    explaining.add_argument("--client-address", default="", help="the IP address that the client comes from")
    explaining.add_argument(
        "--client-certificate",
        action="append",
        default=[],
        metavar="NAME",
        help="a subjectAltName of the client's certificate; may be repeated",
    )
    explaining.set_defaults(run=_explain)

    new = commands.add_parser("new-key", help="make a key for a client, and the hash of it for a Tenant")
    new.set_defaults(run=_new_key)

    hashing = commands.add_parser(
        "hash-key", help="hash a key that is typed, or the first line of standard input"
    )
    hashing.set_defaults(run=_hash_key)

    init = commands.add_parser("init", help="write an example conf.d that needs no key and no network")
    init.add_argument("folder", type=Path, metavar="DIR")
    init.set_defaults(run=_init)

    simulate = commands.add_parser("simulate", help="run the simulated provider on a port of its own")
    simulate.add_argument(
        "--listen", default="tcp:9000:interface=127.0.0.1", help="Twisted endpoint [%(default)s]"
    )
    simulate.add_argument(
        "--misbehave",
        type=_misbehaviour,
        default=(),
        metavar="DIRECTIVES",
        help="what it does wrong at every request, such as cut-after=3",
    )
    simulate.set_defaults(run=_simulate)

    schema = commands.add_parser("schema", help="print the JSON Schema of the resources, for editors")
    schema.add_argument(
        "--crds",
        choices=GROUPS,
        metavar="GROUP",
        help=f"print Kubernetes' CustomResourceDefinitions of this group instead: {' or '.join(GROUPS)}",
    )
    schema.set_defaults(run=_schema)
    return parser


if __name__ == "__main__":
    sys.exit(main())
