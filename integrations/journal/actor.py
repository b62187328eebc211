"""Who did it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """A person, or the engine itself (`id` is None), as the journal names them."""

    id: int | None
    name: str
    role: str = ""
    address: str = ""
    request_id: str = ""


ENGINE = Actor(None, "the engine")
