"""The ways in which Xero says no, each in its own words and shape."""

from typing import Any

from integrations.providers.xero.sandbox.formats import JSON, dumps

NO_SUCH = "The resource you're looking for cannot be found"


class Refused(Exception):
    """An answer that is not a success. `body` is bytes, or a document."""

    def __init__(self, status: int, body: Any = b"", headers: dict[str, str] | None = None, kind: str = "") -> None:
        super().__init__(f"{status} {body!r}")
        self.status = status
        self.body = body if isinstance(body, bytes) else dumps(body)
        self.headers = headers or {}
        self.kind = kind or "application/json"


class Invalid(Exception):
    """An element that Xero's rules refuse, with its messages."""

    def __init__(self, *messages: str) -> None:
        super().__init__("; ".join(messages))
        self.messages = list(messages)


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Refused:
    """The shape of 401, 403 and the like."""
    body: JSON = {"Type": None, "Title": title, "Status": status, "Detail": detail, "Instance": None, "Extensions": {}}
    return Refused(status, body, headers)


def unauthorized(detail: str) -> Refused:
    """401, as the gateway in front of the API says it."""
    return problem(401, "Unauthorized", detail, {"WWW-Authenticate": 'Bearer error="invalid_token"'})


def forbidden() -> Refused:
    """403: no such tenant, or not one of this token's."""
    return problem(403, "Forbidden", "AuthenticationUnsuccessful")


def not_found() -> Refused:
    """404: a page for people, as at Xero."""
    return Refused(404, NO_SUCH.encode(), kind="text/html")


def unreadable(message: str) -> Refused:
    """400 for a body that is no JSON, or not of the resource."""
    return Refused(400, {"ErrorNumber": 14, "Type": "PostDataInvalidException", "Message": message})


def bad_query(message: str) -> Refused:
    """400 for a query that cannot be understood."""
    return Refused(400, {"ErrorNumber": 16, "Type": "QueryParseException", "Message": message})


def exception(message: str, elements: list[JSON] | None = None) -> Refused:
    """400 for elements that break a rule."""
    body = {"ErrorNumber": 10, "Type": "ValidationException", "Message": message, "Elements": elements or []}
    return Refused(400, body)
