"""Commands as programs send and read them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.commands.page import kind_of, sensitive
from integrations.boundary.redaction import Redacted, mask, redact
from integrations.models import Command, Outcome, WorkState
from integrations.providers import get_adapter

LONGEST_REASON = 500
LARGEST_ID = 2**63 - 1


class Strict(serializers.Serializer[Any]):
    """Takes the fields that it knows, and says so of any other: a misspelt one would do nothing, silently."""

    def to_internal_value(self, data: Any) -> Any:
        """Return the values; raises `ValidationError` for a field that nobody knows."""
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, Mapping) else []
        if unknown:
            raise serializers.ValidationError({name: ["There is no such field."] for name in unknown})
        return super().to_internal_value(data)


class SubmissionSerializer(Strict):
    """What a provider is to be asked for."""

    connection = serializers.UUIDField(help_text="The public id of the connection, as its page shows it.")
    action = serializers.CharField(max_length=60, help_text="What is asked: `invoice.create`.")
    external_id = serializers.CharField(
        max_length=255, required=False, allow_blank=True, default="", help_text="The provider's id of what it acts on."
    )
    content = serializers.DictField(
        help_text="Canonical values: whole minor units, ISO 4217 currencies, RFC 3339 times, links as ids there."
    )
    record = serializers.IntegerField(
        min_value=1, max_value=LARGEST_ID, required=False, allow_null=True, default=None,
        help_text="The number of the record that it is about.",
    )  # fmt: skip
    reason = serializers.CharField(max_length=LONGEST_REASON, required=False, allow_blank=True, default="")


class ListingSerializer(Strict):
    """What a list of commands is narrowed by."""

    outcome = serializers.ChoiceField(choices=Outcome.choices, required=False)
    state = serializers.ChoiceField(choices=WorkState.choices, required=False)
    connection = serializers.UUIDField(required=False, help_text="The public id of a connection.")
    action = serializers.CharField(max_length=60, required=False)
    record = serializers.IntegerField(min_value=1, max_value=LARGEST_ID, required=False)
    cursor = serializers.CharField(max_length=200, required=False, help_text="Where the page begins; see `next`.")


class CommandSerializer(serializers.ModelSerializer[Command]):
    """One command. Personal values in `content` are masked for who may not see them."""

    connection = serializers.UUIDField(source="connection.public_id")
    record: Any = serializers.IntegerField(source="record_id", allow_null=True)
    content = serializers.SerializerMethodField()
    content_hash = serializers.SerializerMethodField(help_text="SHA-256 over connection, action, target and content.")
    url = serializers.SerializerMethodField(help_text="The command's page in the console.")

    class Meta:
        model = Command
        fields = [
            "id", "operation_id", "connection", "action", "resource", "external_id", "content", "content_hash",
            "summary", "outcome", "outcome_reason", "state", "category", "tries", "record", "asked_by", "reason",
            "submitted_at", "sent_at", "accepted_at", "confirmed_at", "due_at", "finished_at", "url",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.DictField())
    def get_content(self, command: Command) -> Any:
        """Return the content, masked where the reader may not see personal data."""
        may = partial(self.context["user"].powers.may, "see_personal", tenant_id=command.tenant_id)
        if may(connection_id=command.connection_id):
            return command.content
        adapter = get_adapter(command.connection.provider)
        clean = redact(command.content, sensitive(kind_of(command, adapter), adapter))
        return _masked(clean, command.content)

    def get_content_hash(self, command: Command) -> str:
        """Return the hash in hex."""
        return bytes(command.content_hash).hex()

    def get_url(self, command: Command) -> str:
        """Return the address of the command's page."""
        return str(self.context["base"] + reverse("command", args=(*self.context["space"].args, command.pk)))


def _masked(clean: Any, whole: Any) -> Any:
    if isinstance(clean, Redacted):
        return mask(str(whole))
    if isinstance(clean, dict):
        return {name: _masked(value, whole[name]) for name, value in clean.items()}
    if isinstance(clean, list):
        return [_masked(value, whole[place]) for place, value in enumerate(clean)]
    return clean


class PageSerializer(serializers.Serializer[Any]):
    """One page of commands; `next` and `previous` are whole addresses, null at the ends."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = CommandSerializer(many=True)


class ProblemSerializer(serializers.Serializer[Any]):
    """What went wrong (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors: Any = serializers.DictField(child=serializers.ListField(child=serializers.CharField()), required=False)
