"""Why an action is refused, in words for the person who asked."""


class Refusal(Exception):  # noqa: N818 - the word that people read
    """The action cannot be done as things stand; the text says why and what to do."""
