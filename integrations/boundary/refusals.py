"""What happens at the door besides keeping: signatures refused, and which secrets are in use."""

import time
from collections import defaultdict

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from integrations.boundary.gates import Gate
from integrations.configuration import credentials
from integrations.journal.write import Entry, write
from integrations.models import Connection, Credential, Lane

#: Journal lines a minute, connection and process; beyond that refusals are only counted.
LINES_A_MINUTE = 30

_lines: dict[tuple[int, int], int] = defaultdict(int)


@transaction.atomic
def refuse(gate: Gate, why: str, *, address: str, size: int) -> None:
    """Count a refused signature and say so in the journal. The body is kept nowhere."""
    Connection.objects.filter(pk=gate.connection_id).update(refused_signatures=F("refused_signatures") + 1)
    minute = int(time.time() // 60)
    for old in [key for key in _lines if key[1] != minute]:
        del _lines[old]
    _lines[gate.connection_id, minute] += 1
    if _lines[gate.connection_id, minute] > LINES_A_MINUTE:
        return
    write(
        [
            Entry(
                tenant_id=gate.tenant_id,
                environment=gate.environment,
                connection_id=gate.connection_id,
                lane=Lane.EVENTS,
                action="webhook.refused",
                summary=f"A webhook was refused: {why}",
                outcome="refused",
                address=address,
                data={"bytes": size},
            )
        ]
    )


def note_use(credential_id: int) -> None:
    """Note that a delivery came signed with a secret: whoever ends an overlap has to know."""
    Credential.objects.filter(pk=credential_id).update(last_used_at=timezone.now())


def prove(credential_id: int) -> None:
    """A delivery signed with a pending secret arrived: make that secret the active one."""
    credentials.activate_by_delivery(credential_id)
