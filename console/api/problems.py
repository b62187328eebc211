"""Errors as programs read them: RFC 9457 problem details, whatever went wrong."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from console.access import Forbidden

CONTENT_TYPE = "application/problem+json"


class Conflict(exceptions.APIException):
    """The operation id stands for other content."""

    status_code = 409
    default_detail = "The operation id is that of another command."


class Unprocessable(exceptions.APIException):
    """What is asked is well said, and cannot be done as things stand."""

    status_code = 422
    default_detail = "It cannot be done as things stand."


class TooLarge(exceptions.APIException):
    """The body is larger than anything that a command needs."""

    status_code = 413
    default_detail = "The body is too large."


def answer(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the answer for an error; None for one that nobody foresaw, which is a 500."""
    if isinstance(error, Http404):
        error = exceptions.NotFound("There is nothing that this token may see.")
    elif isinstance(error, Forbidden):
        error = exceptions.PermissionDenied(f"You see it, and may not do this: it needs the role {error.who_may}.")
    elif isinstance(error, PermissionDenied):
        error = exceptions.PermissionDenied()
    if not isinstance(error, exceptions.APIException):
        return None
    headers = {}
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        headers["WWW-Authenticate"] = 'Bearer realm="api"'
    if isinstance(error, exceptions.Throttled):
        wait: float | None = getattr(error, "wait", None)
        headers["Retry-After"] = str(int(wait or 1))
    return Response(problem(error), status=error.status_code, headers=headers, content_type=CONTENT_TYPE)


def problem(error: exceptions.APIException) -> dict[str, Any]:
    """Return the members of a problem; what is wrong with single fields stands under `errors`."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
    }
    if isinstance(error, exceptions.ValidationError):
        return body | {"detail": "Some fields cannot be taken as they are.", "errors": _fields(error.detail)}
    return body | {"detail": str(error.detail)}


def _fields(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Return {path of a field: [what is wrong]} of what serializers say in nested form."""
    if isinstance(detail, Mapping):
        found: dict[str, list[str]] = {}
        for name, below in detail.items():
            found |= _fields(below, f"{path}.{name}" if path else str(name))
        return found
    if isinstance(detail, list) and any(isinstance(each, Mapping | list) for each in detail):
        found = {}
        for place, below in enumerate(detail):
            found |= _fields(below, f"{path}.{place}")
        return found
    return {path or "body": [str(each) for each in detail]}
