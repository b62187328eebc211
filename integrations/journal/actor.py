"""Who did it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Actor:
    """A person, or the engine itself (`id` is None), as the journal names them.

    `role` is by which roles they act; `roles_at` by which they do at single connections, where those are others.
    """

    id: int | None
    name: str
    role: str = ""
    address: str = ""
    request_id: str = ""
    roles_at: Mapping[int | None, str] = field(default_factory=dict)


ENGINE = Actor(None, "the engine")
