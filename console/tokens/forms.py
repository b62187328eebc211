"""What somebody who makes a token fills in."""

from django import forms

from console.tokens.keys import LONGEST_NAME


class TokenForm(forms.Form):
    """A name by which people know what uses the token."""

    name = forms.CharField(
        max_length=LONGEST_NAME,
        help_text="What will use it, as “warehouse” or “month end”. The journal names it beside your own name.",
        error_messages={"required": "Name what will use it."},
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
