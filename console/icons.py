"""The icon sprite, as markup."""

from functools import cache

from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString


@cache
def icon(name: str, css: str = "") -> SafeString:
    """Return one symbol of `static/img/icons.svg`; ears get nothing, the words beside it speak."""
    return format_html(
        '<svg class="i{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {css}" if css else "",
        static("img/icons.svg"),
        name,
    )
