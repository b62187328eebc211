"""What an administrator fills in: who, which role, where."""

from typing import Any

from django import forms

from console.access import ROLE_ACTIONS
from console.models import Role, User
from integrations.models import Connection, Tenant

#: What a role is for, beside its name; the whole table is the design's.
ROLE_WORDS = {
    Role.SUPPORT: "sees records and events, notes, resolves",
    Role.OPERATIONS: "as support; replays, pauses, checks, settles drift, rotates secrets, sends commands",
    Role.FINANCE: "sees records, notes, settles drift, exports the journal",
    Role.ENGINEER: "as operations; edits mappings and settings, reveals payloads",
    Role.AUDITOR: "reads everything redacted, verifies and exports",
    Role.ADMINISTRATOR: "gives and takes roles, sees no records",
}
assert set(ROLE_WORDS) == set(ROLE_ACTIONS)


class GiveForm(forms.Form):
    """A role for somebody who is known by their e-mail, or who is invited by it."""

    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        help_text="Somebody new is sent a link to set a password.",
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    name = forms.CharField(
        label="Name", max_length=120, required=False, help_text="Only for somebody new: how people call them."
    )
    role = forms.ChoiceField(
        choices=[(role.value, f"{role.value}: {ROLE_WORDS[role]}") for role in Role],
        error_messages={"required": "Choose a role."},
    )
    where = forms.ChoiceField(label="Where", required=False)

    def __init__(self, data: Any, *, tenant: Tenant, connections: list[Connection], initial: dict[str, str]) -> None:
        super().__init__(data, initial=initial)
        self.connections = {str(each.pk): each for each in connections}
        places = [(pk, f"{each.name} ({each.environment}) only") for pk, each in self.connections.items()]
        self.fields["where"].choices = [("", f"All of {tenant.name}"), *places]  # type: ignore[attr-defined]

    def clean_email(self) -> str:
        return str(self.cleaned_data["email"]).strip().lower()

    def clean_name(self) -> str:
        return str(self.cleaned_data["name"]).replace("\x00", "").strip()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("role") == Role.ADMINISTRATOR and cleaned.get("where"):
            self.add_error("where", "An administrator is one for the whole tenant.")
        return cleaned

    @property
    def connection(self) -> Connection | None:
        """The one connection that the role is for, None for the whole tenant."""
        return self.connections.get(self.cleaned_data["where"])


def person_by(email: str) -> User | None:
    """Return who has an e-mail address, whatever its capitals."""
    return User.objects.filter(email__iexact=email).first()
