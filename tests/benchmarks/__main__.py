"""`python -m tests.benchmarks [part …]`: run the parts, print their lines, keep them in build/bench.json.

Ends with 1 when a number is not what was asked.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import psycopg
from psycopg import sql

from console.embedded import load_secrets, start_postgres, start_redis
from tests.benchmarks.lines import verdict

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("ingest", "sync", "commands", "pages", "restraint", "deliveries")


def main(wanted: list[str]) -> int:
    """Run the wanted parts, each in a process and a database of its own; return the exit status."""
    lines: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        database = start_postgres(folder / "postgres", durable=True)
        stack.callback(database.stop)
        broker = start_redis(folder / "redis")
        stack.callback(broker.stop)
        variables = os.environ | load_secrets(folder) | {"BROKER_URL": broker.url, "DATA_DIR": str(folder)}
        variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables.get('PATH', os.defpath)}"
        for part in wanted or PARTS:
            lines += run(part, variables | {"DATABASE_URL": fresh(database.url, part)})
    (ROOT / "build").mkdir(exist_ok=True)
    (ROOT / "build" / "bench.json").write_text("".join(lines))
    verdicts = [words for words in map(verdict, lines) if words]
    print("\n".join(verdicts), file=sys.stderr)
    return int(any("MISSED" in words for words in verdicts))


def fresh(url: str, part: str) -> str:
    """Return the address of a new, empty database."""
    name = f"bench_{part}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return url.replace("/console?", f"/{name}?")


def run(part: str, variables: dict[str, str]) -> list[str]:
    """Return the lines of a part, printed as they come; raises CalledProcessError when it breaks off."""
    command = [sys.executable, "-m", "tests.benchmarks.part", part]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables, cwd=ROOT) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
