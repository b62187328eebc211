"""What somebody who resolves a command fills in: what they know, and the id that the provider knows it by."""

from typing import Any

from django import forms

from console.commands.telling import thing
from integrations.models import Command

#: What somebody may know.
THERE, SEND, NOTHING = "confirmed", "again", "failed"


class ResolveForm(forms.Form):
    """The effect is there (with its id), or it is not, and then it is sent again or let be."""

    how = forms.ChoiceField(
        label="What do you know?", widget=forms.RadioSelect, error_messages={"required": "Choose what you know."}
    )
    external_id = forms.CharField(max_length=255, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, data: Any, *, command: Command, may_send: bool) -> None:
        super().__init__(data, initial={"external_id": command.external_id})
        name, what = command.connection.name, thing(command)
        again = f"It is not in {name}. Send 1 command again under {command.operation_id}."
        self.fields["how"].choices = [  # type: ignore[attr-defined]
            (THERE, f"It is in {name}. Mark 1 command as confirmed; give its id below."),
            *([(SEND, again)] if may_send else []),
            (NOTHING, f"It is not in {name}, and nothing should be sent. Mark 1 command as failed."),
        ]
        self.fields["external_id"].label = f"{name} {what} id"
        # A hint is markup to Django, so that no name may stand in it.
        self.fields["external_id"].help_text = "As it is shown there; only where it is there."

    def clean_external_id(self) -> str:
        return str(self.cleaned_data["external_id"]).strip()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("how") == THERE and not cleaned.get("external_id"):
            self.add_error("external_id", "Give the id, so that others find it there.")
        return cleaned
