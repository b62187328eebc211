"""The REST API: commands are asked for, and looked at."""

from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from console.access import get_visible, require
from console.api.authentication import TokenAuthentication
from console.api.paging import NewestFirst
from console.api.problems import Conflict, Unprocessable
from console.api.schema import BearerScheme
from console.api.serializers import (
    CommandSerializer,
    ListingSerializer,
    PageSerializer,
    ProblemSerializer,
    SubmissionSerializer,
)
from console.api.space import SpaceView
from console.newest import id_of
from integrations.boundary import content
from integrations.models import Command, Connection, Record
from integrations.providers import get_adapter
from integrations.workflow import commands
from integrations.workflow.errors import Refusal

KEY = "Idempotency-Key"


def _says(status: str) -> OpenApiResponse:
    return OpenApiResponse(ProblemSerializer, description=status)


ERRORS: dict[int, Any] = {
    401: _says("No token, or one that opens nothing"),
    404: _says("There is nothing of it that the token may see"),
    429: _says("Too many requests; see `Retry-After`"),
}
OPERATION_ID = OpenApiParameter(
    KEY,
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description=f"The operation id: 1 to {commands.LONGEST_ID} printable ASCII characters, unique in the tenant.",
)


class Commands(SpaceView):
    """All commands of the token's space."""

    @extend_schema(
        operation_id="listCommands",
        parameters=[ListingSerializer],
        responses={200: PageSerializer, 400: _says("A filter that cannot be read"), **ERRORS},
    )
    def get(self, request: Any) -> Response:
        """List commands, the newest first."""
        asked = ListingSerializer(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        names = {"connection": "connection__public_id", "record": "record_id"}
        chosen = {names.get(k, k): v for k, v in asked.validated_data.items() if k != "cursor"}
        paginator = NewestFirst()
        rows: Any = paginator.paginate_queryset(visible(self).filter(**chosen), request, view=self)
        return paginator.get_paginated_response(shown(self, rows, many=True))

    @extend_schema(
        operation_id="submitCommand",
        parameters=[OPERATION_ID],
        request=SubmissionSerializer,
        responses={
            201: CommandSerializer,
            200: OpenApiResponse(CommandSerializer, description="The first result: the same was asked before"),
            400: _says("Fields that cannot be taken as they are"),
            403: _says("The connection is visible, and may not be commanded"),
            409: _says("The operation id is that of another command"),
            422: _says("It cannot be done as things stand"),
            **ERRORS,
        },
    )
    def post(self, request: Any) -> Response:
        """Ask a provider for something, once: the same operation id with the same content changes nothing."""
        operation_id = operation_id_of(request)
        asked = SubmissionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        values = asked.validated_data
        connection = get_visible(self._connections(), request.user, public_id=values["connection"])
        require(request.user, "command", tenant_id=connection.tenant_id, connection_id=connection.pk)
        _check(connection, values)
        record = self._record(values["record"])
        try:
            with transaction.atomic():
                command = commands.submit(
                    connection,
                    action=values["action"],
                    content=values["content"],
                    operation_id=operation_id,
                    external_id=values["external_id"],
                    record=record,
                    actor=self.actor,
                    reason=values["reason"],
                )
        except commands.DifferentContent as different:
            raise Conflict(_conflict(self, different.command)) from different
        except Refusal as refusal:
            raise Unprocessable(str(refusal)) from refusal
        return Response(shown(self, command), status=200 if command.repeated else 201)

    def _connections(self) -> Any:
        return Connection.objects.filter(tenant=self.space.tenant, environment=self.space.environment)

    def _record(self, pk: int | None) -> Record | None:
        here = Record.objects.filter(tenant=self.space.tenant, environment=self.space.environment)
        return get_visible(here, self.request.user, pk=pk) if pk is not None else None  # type: ignore[arg-type]


class OneCommand(SpaceView):
    """One command of the token's space."""

    @extend_schema(
        operation_id="getCommand",
        parameters=[
            OpenApiParameter("key", OpenApiTypes.STR, OpenApiParameter.PATH, description="An operation id, or a number")
        ],
        responses={200: CommandSerializer, **ERRORS},
    )
    def get(self, request: Request, key: str) -> Response:
        """Show one command, by its operation id or by its number."""
        rows = visible(self)
        command = None if "\x00" in key else rows.filter(operation_id=key[:60]).first()
        command = command or rows.filter(pk=id_of(key)).first()
        if command is None:
            raise Http404
        return Response(shown(self, command))


class Schema(SpectacularAPIView):
    """The OpenAPI description of this API, for token holders and for people who signed in."""

    # Named here, so that how a token is sent stands in it.
    bearer = BearerScheme

    authentication_classes = [TokenAuthentication, SessionAuthentication]


def visible(view: SpaceView) -> Any:
    """Return the commands of the token's space that its person may see."""
    here = {"tenant": view.space.tenant, "environment": view.space.environment}
    return Command.objects.visible_to(view.request.user).filter(**here).select_related("connection")  # type: ignore[arg-type]


def shown(view: SpaceView, what: Any, *, many: bool = False) -> Any:
    """Return commands as the reader may see them."""
    context = {"user": view.request.user, "space": view.space, "base": settings.PUBLIC_URL.rstrip("/")}
    return CommandSerializer(what, many=many, context=context).data


def operation_id_of(request: Request) -> str:
    """Return the operation id that a request carries; raises 400 where it has none that can be kept."""
    key = request.headers.get(KEY, "").strip()
    if not key:
        raise ValidationError({KEY: ["Give an operation id, by which the same request is known again."]})
    if len(key) > commands.LONGEST_ID or not (key.isascii() and key.isprintable()):
        raise ValidationError({KEY: [f"An operation id has at most {commands.LONGEST_ID} printable ASCII characters."]})
    if commands.RESERVED.match(key):
        raise ValidationError({KEY: ["Operation ids that begin like x1-23-v are those of exports. Use another one."]})
    return key


def _check(connection: Connection, values: dict[str, Any]) -> None:
    """Raise 400 for an action that the provider does not have, and for content that does not fit it."""
    actions = get_adapter(connection.provider).actions
    spec = actions.get(values["action"])
    if spec is None:
        known = ", ".join(sorted(actions)) or "nothing: it is only read"
        raise ValidationError({"action": [f"{connection.name} can be asked for {known}."]})
    found = content.faults(spec, values["external_id"], values["content"])
    if found:
        raise ValidationError(found)


def _conflict(view: SpaceView, command: Command) -> str:
    """Say which command has the operation id, to who may see it."""
    said = f"The operation id {command.operation_id} is that of another command"
    if not visible(view).filter(pk=command.pk).exists():
        return f"{said}. Use a new id for what is new."
    return f"{said}: {command.summary}. Use a new id for what is new."
