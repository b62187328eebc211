"""Who a request really comes from, where reverse proxies stand in front of us."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Application = Callable[[Scope, Any, Any], Awaitable[None]]


def behind(application: Application, proxies: int) -> Application:
    """Return the application with the client and the scheme that the outermost of our `proxies` told.

    Each proxy adds to the right of X-Forwarded-For whom it saw; what stands further left anybody may have
    written. Without proxies nothing is believed.
    """
    if not proxies:
        return application

    async def seen(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, **told(dict(scope["headers"]), proxies)}
        await application(scope, receive, send)

    return seen


def told(headers: MutableMapping[bytes, bytes], proxies: int) -> dict[str, Any]:
    """Return what our proxies tell of a request: `client` and `scheme`, as far as they do."""
    found: dict[str, Any] = {}
    passed = [each.strip() for each in headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")]
    if len(passed) >= proxies and passed[-proxies]:
        found["client"] = (passed[-proxies][:45], 0)
    scheme = headers.get(b"x-forwarded-proto", b"").decode("latin-1").rpartition(",")[2].strip().lower()
    if scheme in ("http", "https"):
        found["scheme"] = scheme
    return found
