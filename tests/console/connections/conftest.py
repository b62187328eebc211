"""Addresses of the pages of connections."""

from collections.abc import Callable
from typing import Any

import pytest
from django.urls import reverse

from integrations.models import Connection, Stream


@pytest.fixture
def at(connection: Connection) -> Callable[..., str]:
    """Return the address of a page by its name; its space goes without saying."""

    def address(name: str, *args: Any) -> str:
        return reverse(name, args=[connection.tenant.slug, connection.environment, *args])

    return address


@pytest.fixture
def stream(connection: Connection) -> Stream:
    return Stream.objects.get(connection=connection, resource="invoice")
