"""Why an action is refused, in words for the person who asked."""


class Refusal(Exception):
    """The action cannot be done as things stand; the text says why and what to do."""
