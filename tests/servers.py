"""A pytest plugin (`-p tests.servers`): one embedded PostgreSQL and Redis for the whole run, before Django's settings.

The data is thrown away, so it is not written durably. What the environment says about servers is ignored: two test
runs never share a database.
"""

import os
import tempfile
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from console.embedded import Server, StartError, load_secrets, start_postgres, start_redis

_stack = ExitStack()
_servers: dict[str, Server] = {}


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests() -> Generator[None]:
    """Start the servers; pytest-django reads the settings in this same hook, inside of ours."""
    folder = Path(
        _stack.enter_context(tempfile.TemporaryDirectory(prefix="console-tests-", ignore_cleanup_errors=True))
    )
    try:
        _servers["database"] = start_postgres(folder / "postgres", durable=False)
        _stack.callback(_servers["database"].stop)
        _servers["broker"] = start_redis(folder / "redis")
        _stack.callback(_servers["broker"].stop)
    except StartError as error:
        raise pytest.UsageError(str(error)) from error
    os.environ |= load_secrets(folder)
    os.environ |= {
        "DATA_DIR": str(folder),
        "DATABASE_URL": _servers["database"].url,
        "BROKER_URL": _servers["broker"].url,
    }
    yield


def pytest_unconfigure() -> None:
    """End the servers and remove their data."""
    _stack.close()


@pytest.fixture(scope="session")
def database_server() -> Server:
    """The PostgreSQL that the tests run on."""
    return _servers["database"]


@pytest.fixture(scope="session")
def broker_server() -> Server:
    """The Redis that the tests run on."""
    return _servers["broker"]
