"""Runs all programs here and phasedeck with one model server, in turns; prints ratios to plain Python.

    python3 benches/side/run.py TARGET/release/deps/engine-… [ROUNDS]

Requires the packages in requirements.txt; programs with a missing package are skipped and reported.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PHASES = "30"
PROGRAMS = {"plain Python": "bare.py", "DBOS": "durable.py", "LangGraph": "graph.py", "deepagents": "deep.py"}


def once(command, env):
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"wall_s"')]
    return json.loads(lines[-1]) if lines else done.stderr.strip().splitlines()[-1:]


def main():
    engine, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    disk = os.path.dirname(os.path.abspath(engine))
    env = {**os.environ, "LANGSMITH_TRACING": "false", "DBOS__LOG_LEVEL": "ERROR"}
    model = subprocess.Popen([engine, "model"], stdout=subprocess.PIPE, text=True)
    found, failed = {}, {}
    try:
        url = model.stdout.readline().strip()
        for _ in range(rounds):
            for name, program in {"phasedeck": None, **PROGRAMS}.items():
                with tempfile.TemporaryDirectory(dir=disk) as folder:
                    command = [sys.executable, os.path.join(HERE, program), url, PHASES, folder] if program else [engine, "beside", url]
                    took = once(command, env)
                if isinstance(took, dict):
                    found.setdefault(name, []).append(took)
                else:
                    failed[name] = took
    finally:
        model.kill()
    middle = lambda name, what: statistics.median(took[what] for took in found[name])
    print(f"{'':<14} {'wall':>8} {'CPU':>8}   relative to plain Python; medians of {rounds}")
    for name in found:
        wall, cpu = (middle(name, what) / middle("plain Python", what) for what in ("wall_s", "cpu_s"))
        print(f"{name:<14} {wall:>8.2f} {cpu:>8.2f}")
    for name, why in failed.items():
        print(f"{name:<14} skipped: {why}")


main()
