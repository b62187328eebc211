"""A token for each of the cast, and a way to ask by it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from console.models import User
from console.tokens import keys
from integrations.models import Connection
from tests.conftest import TESTER

URL = "/api/v1/commands/"
Ask = Callable[..., Any]


@pytest.fixture
def secret_of(connection: Connection) -> Callable[[User], str]:
    """Return a factory of tokens for the space of the tests."""

    def make(user: User, *, environment: str = "test") -> str:
        return keys.make(user, connection.tenant, environment, name="warehouse", actor=TESTER)[1]

    return make


@pytest.fixture
def submit(secret_of: Callable[[User], str], connection: Connection) -> Ask:
    """Return a function by which somebody's token asks for a refund, with what is given instead."""

    def post(user: User, key: str | None = "op_1", *, raw: bytes | None = None, secret: str = "", **fields: Any) -> Any:
        body = {
            "connection": str(connection.public_id),
            "action": "refund.create",
            "content": {"payment": "pi_0001", "amount": 1250, "currency": "EUR"},
        } | fields
        headers = {"Authorization": f"Bearer {secret or secret_of(user)}"} | ({"Idempotency-Key": key} if key else {})
        sent = raw if raw is not None else json.dumps(body).encode()
        return Client().post(URL, sent, content_type="application/json", headers=headers)

    return post


@pytest.fixture
def get(secret_of: Callable[[User], str]) -> Ask:
    """Return a function by which somebody's token reads."""

    def read(user: User, path: str = "", **query: Any) -> Any:
        return Client().get(URL + path, query, headers={"Authorization": f"Bearer {secret_of(user)}"})

    return read
