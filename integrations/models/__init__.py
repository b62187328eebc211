"""One noun a file; the words are those of the glossary in README.md."""

from integrations.models.attempt import Attempt, AttemptState
from integrations.models.command import Command, Outcome
from integrations.models.connection import Connection, Credential, CredentialState
from integrations.models.copy import Copy, CopyState
from integrations.models.delivery import Delivery, DeliveryAttempt
from integrations.models.drift import Drift, DriftStatus
from integrations.models.event import DecisionWord, Event, Source
from integrations.models.export import Export
from integrations.models.failure import Failure, Problem
from integrations.models.journal import Checkpoint, JournalEntry, Lane
from integrations.models.mapping import Mapping, MappingState
from integrations.models.message import Message
from integrations.models.pace import Breaker, BreakerState, Pace
from integrations.models.payload import Payload
from integrations.models.record import Cause, Link, Record, Reference, Transition
from integrations.models.route import Route
from integrations.models.run import Run, RunKind
from integrations.models.stream import Stream
from integrations.models.subscription import SecretState, SigningSecret, Subscription
from integrations.models.tally import Tally
from integrations.models.tenant import Tenant
from integrations.models.token import Token
from integrations.models.visibility import Environment, Scope
from integrations.models.work import OPEN_STATES, Work, WorkState

__all__ = [
    "OPEN_STATES", "Attempt", "AttemptState", "Breaker", "BreakerState", "Cause", "Checkpoint", "Command",
    "Connection", "Copy", "CopyState", "Credential", "CredentialState", "DecisionWord", "Delivery",
    "DeliveryAttempt", "Drift", "DriftStatus", "Environment", "Event", "Export", "Failure", "JournalEntry",
    "Lane", "Link", "Mapping", "MappingState", "Message", "Outcome", "Pace", "Payload", "Problem", "Record",
    "Reference", "Route", "Run", "RunKind", "Scope", "SecretState", "SigningSecret", "Source", "Stream",
    "Subscription", "Tally", "Tenant", "Token", "Transition", "Work", "WorkState",
]  # fmt: skip
