"""How fast dltrain is: `python tests/benchmarks [steps|functions|whole|to-98|before-after] [options]`.

steps (the default): the time of one step of four workloads, beside hand-written NumPy and the matrix products
alone. functions: the time of one evaluation of functions that are no layers, and of their gradients; the peer
"before" is an earlier commit. whole: time, memory and disk space of whole processes. to-98: configs/mlp.yaml
to 98 % accuracy.
before-after: all of this beside an earlier commit, `--before FOLDER`, installed in FOLDER/.venv.
Peers run in environments of their own, each named by its Python: `--peer torch=/envs/torch/bin/python`.
Measure on an idle machine, and compare only figures of one run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from before_after import compare_before
from function_times import PEERS as FUNCTION_PEERS
from function_times import compare_functions
from functions.cases import CASES, FUNCTIONS
from processes import REPOSITORY
from step_times import PEERS, compare_steps
from to_98 import compare_to_98
from whole_process import compare_whole
from workloads import WORKLOADS

COMMANDS = {
    "steps": (compare_steps, tuple(PEERS)),
    "functions": (compare_functions, tuple(FUNCTION_PEERS)),
    "whole": (compare_whole, ("torch", "keras")),
    "to-98": (compare_to_98, ("torch",)),
    "before-after": (compare_before, ()),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python tests/benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", nargs="?", choices=COMMANDS, default="steps")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PYTHON",
        help="\n".join(f"{command}: {', '.join(peers)}" for command, (_, peers) in COMMANDS.items()),
    )
    parser.add_argument("--rounds", type=_count, default=3, help="interleaved rounds (default: 3)")
    parser.add_argument("--threads", type=_count, default=2, help="of every side (default: 2)")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data" / "mnist", help="folder of MNIST")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="steps: only this, repeatable")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=[*FUNCTIONS, *(case for case in CASES if case not in FUNCTIONS)],
        metavar="NAME",
        help="functions: only this, with all its sizes or one of them, repeatable",
    )
    parser.add_argument(
        "--tiny", action="store_true", help="functions: sizes of at most 4, to see that all agree"
    )
    parser.add_argument("--steps", type=_count, help="steps: how many are timed (default: by workload)")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="before-after: the earlier checkout")
    parser.add_argument("--epochs", type=_count, help="to-98: how many (default: those of the config)")
    options = parser.parse_args(arguments)
    options.peer = dict(_peer(parser, text, COMMANDS[options.command][1]) for text in options.peer)
    options.workload = options.workload or list(WORKLOADS)
    options.data = options.data.resolve()
    return options


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _peer(parser: argparse.ArgumentParser, text: str, known: tuple[str, ...]) -> tuple[str, str]:
    name, _, python = text.partition("=")
    if name not in known:
        parser.error(f"--peer {text}: the peers are {', '.join(known)}")
    found = shutil.which(python)
    if found is None:
        parser.error(f"--peer {text}: not a Python to run")
    return name, os.path.abspath(found)  # not resolved: a link in an environment's bin is what makes it one


if __name__ == "__main__":
    options = parse(sys.argv[1:])
    sys.exit(COMMANDS[options.command][0](options))
