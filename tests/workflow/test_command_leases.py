"""Leases of commands: only who holds it sends and settles, and whoever dies with it leaves a doubt and no more."""

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.boundary import client
from integrations.models import Attempt, Command, Connection, Outcome
from integrations.providers.base import Request, Response
from integrations.providers.xero.sandbox.harness import Sandbox
from integrations.workflow import parcels, sending
from tests.commanding import ask, send_all, state_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worker_that_dies_leaves_a_command_in_doubt(
    target: Connection, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ask(target)

    class Killed(BaseException):
        pass

    real = client.send

    def killed(request: Request) -> Response:
        response = real(request)
        if request.method == "PUT":
            raise Killed
        return response

    with monkeypatch.context() as patch:
        patch.setattr(client, "send", killed)
        with pytest.raises(Killed):
            sending.send_next()
    assert state_of(command) == (Outcome.SENT, "leased")
    assert not sending.send_next()
    Command.objects.update(leased_until=timezone.now() - timedelta(seconds=1))

    assert parcels.recover() == 1
    assert state_of(command) == (Outcome.UNKNOWN, "ready")
    assert Attempt.objects.get(command=command).state == "no answer"
    send_all()

    assert state_of(command) == (Outcome.ACCEPTED, "waiting")
    assert sandbox.effects()["created"] == 1
