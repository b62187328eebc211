"""Forms of the questions about a problem."""

from typing import Any

from django import forms

from console.models import User
from integrations.failures.categories import Category

NOBODY = "nobody"


class AssignForm(forms.Form):
    """Who takes care of it."""

    person = forms.ChoiceField(label="Who takes care of it")

    def __init__(self, *args: Any, people: list[User], me: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = {str(person.pk): person for person in people}
        choices = [(str(p.pk), f"{p.name} (you)" if p.pk == me.pk else p.name) for p in people]
        self.fields["person"].choices = [*choices, (NOBODY, "Nobody: leave it to its role")]  # type: ignore[attr-defined]

    @property
    def chosen(self) -> User | None:
        """The person, None for nobody."""
        return self.people.get(self.cleaned_data["person"])


class NameForm(forms.Form):
    """Which of the named categories it is."""

    category = forms.ChoiceField(
        label="What it is",
        widget=forms.RadioSelect,
        choices=[(each.value, each.value) for each in Category if each != Category.UNKNOWN],
        help_text="The category says who is asked and whether the engine tries again.",
    )
