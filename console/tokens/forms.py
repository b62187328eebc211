"""What somebody who makes a token fills in."""

from django import forms

from console.tokens.keys import LIFETIMES, LONGEST_NAME, USUAL


class TokenForm(forms.Form):
    """A name by which people know what uses the token, and for how long it does."""

    name = forms.CharField(
        max_length=LONGEST_NAME,
        help_text="What will use it, as “warehouse” or “month end”. The journal names it beside your own name.",
        error_messages={"required": "Name what will use it."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    days = forms.ChoiceField(
        label="Ends after",
        choices=[(str(days), f"{days} days") for days in LIFETIMES],
        initial=str(USUAL),
        required=False,
        help_text="From then on it opens nothing; make another one before.",
    )

    def clean_days(self) -> int:
        return int(self.cleaned_data["days"] or USUAL)
