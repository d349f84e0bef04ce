"""Arguments, and the order of a run."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from attrs import asdict

from bench.books import check_books
from bench.certificates import issue
from bench.changes import check_changes
from bench.comparing import WORKLOADS, Subject, Workload, compare, doubts
from bench.faults import check_faults
from bench.isolation import check_isolation
from bench.measure import machine
from bench.memory import check_memory
from bench.outage import check_outage
from bench.profiling import find_py_spy, profile
from bench.redaction import check_redaction
from bench.reload import check_reload
from bench.series import check_series
from bench.servers import (
    GATEWAY_COMMAND,
    CannotRunError,
    Cores,
    find_nginx,
    gateway,
    gateway_documents,
    nginx_proxy,
    nginx_version,
    raise_open_files,
    request_upstream,
    stream_upstream,
    two_cores,
)
from bench.soak import check_soak
from bench.table import table


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="What the gateway costs, and what it must stand."
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--gateway", default=GATEWAY_COMMAND, metavar="COMMAND", help="how to start it (default: %(default)s)"
    )
    commands = parser.add_subparsers(dest="what", required=True, metavar="WHAT")

    cpu = commands.add_parser("cpu", parents=[common], help="time beside nginx; the default")
    add = cpu.add_argument
    add("--rounds", type=int, default=5, help="interleaved rounds, of which the median counts (5)")
    add("--seconds", type=float, default=3.0, help="of load in each round (3)")
    add("--only", choices=("requests", "streams"), help="one kind of load; both if not given")
    add("--tls", action="store_true", help="one more line: the gateway with TLS to the provider")
    add(
        "--beside",
        action="append",
        default=[],
        metavar="COMMAND",
        help="one more line: a gateway that is started otherwise; may be repeated",
    )
    add("--profile", action="store_true", help="afterwards, the gateway's hottest functions (py-spy)")
    add("--json", type=Path, metavar="FILE", help="write every sample there")

    memory = commands.add_parser(
        "memory", parents=[common], help="an enormous answer, and thousands of streams"
    )
    add = memory.add_argument
    add("--mebibytes", type=int, default=1024, help="length of the enormous answer (1024)")
    add("--streams", type=int, default=2000, help="streams at once (2000)")

    changes = commands.add_parser("changes", parents=[common], help="changes of conf.d under load")
    add = changes.add_argument
    add("--changes", type=int, default=200, help="at least so many (200)")
    add("--worst-lag", type=float, metavar="SECONDS", help="(0.3; 1 without inotify)")
    add("--without-inotify", action="store_true", help="the kernel gives the gateway none")

    reload = commands.add_parser(
        "reload", parents=[common], help="what a reload costs requests, memory and file descriptors"
    )
    add = reload.add_argument
    add("--tenants", type=int, default=1000, help="(1000)")
    add("--routes", type=int, default=10, help="of each tenant (10)")
    add("--reloads", type=int, default=2000, help="of a small configuration, for the memory (2000)")

    series = commands.add_parser("series", parents=[common], help="what many busy series cost")
    add = series.add_argument
    add("--tenants", type=int, default=1000, help="(1000)")
    add("--routes", type=int, default=10, help="of each tenant: a series each (10)")

    redaction = commands.add_parser("redaction", help="what it costs to redact a content")
    redaction.add_argument("--kibibytes", type=int, default=64, help="that are kept of it (64)")

    isolation = commands.add_parser("isolation", parents=[common], help="two tenants, keys mixed at random")
    isolation.add_argument("--requests", type=int, default=100_000, help="in all (100000)")

    books = commands.add_parser("books", parents=[common], help="metrics, log and simulator count alike")
    books.add_argument("--requests", type=int, default=10_000, help="in all (10000)")

    faults = commands.add_parser("faults", parents=[common], help="all that a provider can do wrong")
    add = faults.add_argument
    add("--only", metavar="NAME", help="faults whose name holds this; all if not given")
    add("--slack", type=float, default=1.0, metavar="SECONDS", help="that each may take longer (1)")
    add("--markdown", action="store_true", help="write the table into docs/resilience.md")

    outage = commands.add_parser("outage", parents=[common], help="a primary that is down for a while")
    outage.add_argument("--seconds", type=float, default=60.0, help="(60)")
    outage.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="one request (2)")
    outage.add_argument(
        "--slack", type=float, default=0.0, metavar="SECONDS", help="that it may be back later (0)"
    )

    soak = commands.add_parser("soak", parents=[common], help="random faults for a long time")
    soak.add_argument("--minutes", type=float, default=10.0, help="(10)")
    soak.add_argument("--streams", type=int, default=200, help="at a time (200)")

    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words = ["cpu", *words]
    return parser.parse_args(words)


def compare_cpu(asked: argparse.Namespace, cores: Cores, directory: Path) -> None:
    """Print a table for each workload; raises CannotRunError."""
    line = machine(nginx_version(find_nginx()))
    if asked.profile:
        find_py_spy()
    print(f"{line}\nMedian of {asked.rounds} interleaved rounds of {asked.seconds:g} s", flush=True)
    written: dict[str, object] = {"machine": line}
    with ExitStack() as running:
        requests = running.enter_context(request_upstream(cores, directory))
        streams = running.enter_context(stream_upstream(cores, directory))
        nginx = running.enter_context(nginx_proxy(cores, directory, requests, streams))
        documents = {
            "requests": gateway_documents("requests", requests),
            "streams": gateway_documents("streams", streams),
        }
        if asked.tls:
            certificate = issue(directory, "a.tls.bench", "b.tls.bench")
            secured = running.enter_context(request_upstream(cores, directory, certificate))
            documents["tls"] = gateway_documents("tls", secured, certificate.authority)
        commands = (asked.gateway, *asked.beside)
        ours, *others = [
            running.enter_context(gateway(command, cores, directory, documents)) for command in commands
        ]

        def subjects(workload: Workload) -> list[Subject]:
            host = f"{workload.kind}.bench"
            found = [Subject("nginx", nginx, host), Subject("gateway", ours, host)]
            found += [Subject(f"beside {number}", other, host) for number, other in enumerate(others, 1)]
            if asked.tls and workload.kind == "requests":
                found.append(Subject("gateway, TLS to the provider", ours, "tls.bench"))
            return found

        workloads = [workload for workload in WORKLOADS if asked.only in (None, workload.kind)]
        for workload in workloads:
            samples = compare(
                subjects(workload), workload, rounds=asked.rounds, seconds=asked.seconds, core=cores.proxy
            )
            print("", table(workload.title, samples), *doubts(samples), sep="\n", flush=True)
            written[workload.title] = {name: [asdict(s) for s in of_one] for name, of_one in samples.items()}
        if asked.profile:
            for workload in workloads:
                print(
                    "",
                    profile(subjects(workload)[1], workload, asked.seconds, directory),
                    sep="\n",
                    flush=True,
                )
    if asked.json:
        asked.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")


def run(asked: argparse.Namespace, cores: Cores, directory: Path) -> bool:
    """Do what was asked, and print it; whether all went well.  Raises CannotRunError."""
    match asked.what:
        case "memory":
            return check_memory(
                asked.gateway, cores, directory, mebibytes=asked.mebibytes, streams=asked.streams
            )
        case "reload":
            return check_reload(
                asked.gateway,
                cores,
                directory,
                tenants=asked.tenants,
                routes=asked.routes,
                reloads=asked.reloads,
            )
        case "series":
            return check_series(asked.gateway, cores, directory, tenants=asked.tenants, routes=asked.routes)
        case "changes":
            return check_changes(
                asked.gateway,
                cores,
                directory,
                changes=asked.changes,
                worst_lag=asked.worst_lag or (1.0 if asked.without_inotify else 0.3),
                inotify=not asked.without_inotify,
            )
        case "faults":
            return check_faults(
                asked.gateway,
                cores,
                directory,
                only=asked.only,
                slack=asked.slack,
                markdown=asked.markdown,
            )
        case "outage":
            return check_outage(
                asked.gateway,
                cores,
                directory,
                seconds=asked.seconds,
                every=asked.every,
                slack=asked.slack,
            )
        case "soak":
            return check_soak(asked.gateway, cores, directory, minutes=asked.minutes, streams=asked.streams)
        case "books":
            return check_books(asked.gateway, cores, directory, requests=asked.requests)
        case "redaction":
            return check_redaction(asked.kibibytes * 1024)
        case "isolation":
            return check_isolation(asked.gateway, cores, directory, requests=asked.requests)
        case _:
            compare_cpu(asked, cores, directory)
            return True


def main() -> int:
    asked = arguments(sys.argv[1:])
    # A plain SIGTERM would leave the servers running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cores = two_cores()
        raise_open_files()
        os.sched_setaffinity(0, {cores.load})
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            Path(name).chmod(0o755)  # nginx's worker drops to another user
            good = run(asked, cores, Path(name))
    except CannotRunError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
