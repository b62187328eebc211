from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from integrations.models import Connection
from tests.outbox.conftest import change, near, receiver, subscribe

__all__ = ["change", "near", "receiver", "subscribe"]


@pytest.fixture
def at(connection: Connection) -> Callable[..., str]:
    """Return the address of a page of the test space by its name."""
    return lambda name, *args: reverse(name, args=("northwind", "test", *args))


@pytest.fixture
def look(client_of: Any) -> Callable[..., str]:
    """Return what a person sees at an address."""
    return lambda person, url: client_of(person).get(url, follow=True).content.decode()
