"""How words look: the shape and tone of every state, category, lane, decision and owner.

This is the only table of its kind. A shape is a symbol of `static/img/icons.svg`; a tone is one of
the classes in `static/css/components.css`. Calm words have no tone; a tone says that something runs
("busy"), went well ("ok"), may ask for a person ("warn") or asks for one ("danger").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from integrations.failures.categories import Category

Tone = Literal["", "ok", "busy", "warn", "danger"]


@dataclass(frozen=True)
class Look:
    """`shape` names an icon, `tone` a colour class ("" is calm), `title` explains the word."""

    shape: str
    tone: Tone = ""
    title: str = ""


#: Shown for a word that no table holds, so that a new word is seen and named.
UNNAMED: Final = Look("s-question")

#: Topic, then word. One word may mean different things: an open invoice is fine, open drift is not.
STATES: Final[Mapping[str, Mapping[str, Look]]] = {
    "invoice": {
        "draft": Look("s-hollow"),
        "open": Look("s-half", "busy"),
        "part paid": Look("s-diamond-half", "busy"),
        "paid": Look("s-done", "ok"),
        "refunded": Look("s-diamond"),
        "void": Look("s-slash"),
        "uncollectible": Look("s-square", "warn"),
        "written off": Look("s-square", "warn"),
        "deleted": Look("s-slash"),
    },
    "payment": {
        "pending": Look("s-wait"),
        "requires action": Look("s-triangle", "warn", "The customer has to do something"),
        "processing": Look("s-run", "busy"),
        "succeeded": Look("s-done", "ok"),
        "canceled": Look("s-slash"),
        "failed": Look("s-octagon", "danger"),
    },
    "refund": {
        "pending": Look("s-wait"),
        "succeeded": Look("s-done", "ok"),
        "failed": Look("s-octagon", "danger"),
        "canceled": Look("s-slash"),
    },
    "customer": {
        "active": Look("s-full"),
        "merged": Look("s-diamond"),
        "deleted": Look("s-slash"),
    },
    "record": {
        "stuck": Look("s-triangle", "danger"),
        "unknown": Look("s-absent", "", "Known by reference only; its evidence has not arrived"),
    },
    "work": {
        "ready": Look("s-hollow"),
        "leased": Look("s-run", "busy", "A worker has it"),
        "waiting": Look("s-wait", "", "Tried again by itself when it is due"),
        "held": Look("s-held", "warn", "Waits while its connection or stream is paused"),
        "parked": Look("s-square", "danger", "Waits for a person"),
        "dismissed": Look("s-slash", "", "Closed by a person, with a reason"),
        "done": Look("s-done", "ok"),
    },
    "command": {
        "submitted": Look("s-hollow"),
        "sent": Look("s-half", "busy"),
        "accepted": Look("s-full"),
        "confirmed": Look("s-done", "ok"),
        "unknown outcome": Look("s-question", "warn"),
        "in flight": Look("s-run", "busy"),
        "failed": Look("s-octagon", "danger"),
        "cancelled": Look("s-slash"),
    },
    "decision": {
        "new": Look("s-diamond", "busy"),
        "changed": Look("s-full", "busy"),
        "unchanged": Look("s-hollow"),
        "duplicate": Look("s-same"),
        "stale": Look("s-slash"),
        "unexpected": Look("s-octagon", "danger"),
        "waiting for another record": Look("s-wait", "warn"),
        "waiting": Look("s-wait", "warn", "Waits for another record"),
        "ignored": Look("s-absent"),
        "not needed": Look("s-absent"),
        "failed": Look("s-octagon", "danger"),
    },
    "attempt": {
        "in flight": Look("s-run", "busy"),
        "answered": Look("s-done", "ok"),
        "no answer": Look("s-question", "warn"),
    },
    "match": {
        "matches": Look("s-same", "ok"),
        "same": Look("s-same"),
        "differs": Look("s-differs", "danger"),
        "apart": Look("s-differs", "warn", "Their states are not the same, and no difference is open over it"),
        "settling": Look("s-settling", "", "Younger than the time a change takes to arrive"),
        "behind": Look("s-wait", "warn", "Newer evidence is here and waits"),
        "not exported": Look("s-absent"),
        "not yet": Look("s-absent"),
        "not checked": Look("s-absent"),
        "missing there": Look("s-absent", "danger"),
        "missing here": Look("s-absent", "danger"),
    },
    "export": {
        "to be exported": Look("s-hollow"),
        "waiting": Look("s-wait"),
        "exported": Look("s-done", "ok"),
        "not exported": Look("s-absent"),
        "needs a person": Look("s-square", "danger"),
    },
    "drift": {
        "open": Look("s-differs", "danger"),
        "settling": Look("s-settling"),
        "accepted": Look("s-done", "ok"),
        "theirs accepted": Look("s-done", "ok"),
        "gone": Look("s-same", "ok", "The two sides agree again"),
        "no longer differs": Look("s-same", "ok"),
        "pushed": Look("s-full", "busy"),
        "ours sent": Look("s-full", "busy"),
        "ignored": Look("s-slash"),
        "resolved": Look("s-same", "ok"),
        "resolved by itself": Look("s-same", "ok"),
    },
    "problem": {
        "open": Look("s-square", "danger"),
        "snoozed": Look("s-wait"),
        "closed": Look("s-done", "ok"),
        "resolved": Look("s-done", "ok"),
        "dismissed": Look("s-slash"),
    },
    "verdict": {
        "would change": Look("s-full", "busy"),
        "no change": Look("s-hollow"),
        "would fail again": Look("s-octagon", "warn"),
        "unsafe": Look("s-triangle", "danger", "Its effect may already exist at the provider"),
        "stale": Look("s-slash", "", "We hold newer evidence"),
        "waiting for another record": Look("s-wait", "warn"),
        "order unknown": Look("s-question", "warn", "The provider is asked how it stands"),
    },
    "run": {
        "planned": Look("s-hollow"),
        "ready": Look("s-hollow"),
        "running": Look("s-run", "busy"),
        "waiting": Look("s-wait", "", "Tried again by itself when it is due"),
        "paused": Look("s-held", "warn"),
        "done": Look("s-done", "ok"),
        "failed": Look("s-octagon", "danger"),
        "cancelled": Look("s-slash"),
    },
    "connection": {
        "active": Look("s-done", "ok"),
        "healthy": Look("s-done", "ok"),
        "needs someone": Look("s-triangle", "warn", "What flows, flows; a problem waits for a person"),
        "commands wait": Look("s-octagon", "danger", "Its breaker is open: reading goes on, nothing is sent"),
        "late": Look("s-triangle", "warn"),
        "failing": Look("s-octagon", "danger"),
        "paused": Look("s-held", "warn"),
        "disabled": Look("s-slash", "", "Refuses webhooks"),
        "first sync": Look("s-run", "busy"),
    },
    "subscription": {
        "active": Look("s-done", "ok"),
        "paused": Look("s-held", "warn"),
        "disabled": Look("s-slash", "danger", "Nothing is sent to it"),
        "ended": Look("s-slash"),
    },
    "freshness": {
        "fresh": Look("s-done", "ok"),
        "late": Look("s-triangle", "warn"),
        "very late": Look("s-triangle", "danger"),
        "never": Look("s-absent"),
        "held": Look("s-held", "warn"),
        "first sync": Look("s-run", "busy"),
    },
    "credential": {
        "pending": Look("s-wait"),
        "active": Look("s-done", "ok"),
        "retiring": Look("s-diamond-half", "warn"),
        "revoked": Look("s-slash"),
    },
    "mapping": {
        "draft": Look("s-hollow"),
        "published": Look("s-done", "ok"),
        "in force": Look("s-done", "ok"),
        "retired": Look("s-slash"),
    },
    "breaker": {
        "closed": Look("s-hollow"),
        "half open": Look("s-half", "warn"),
        "open": Look("s-octagon", "danger"),
    },
    "signature": {
        "valid": Look("s-done", "ok"),
        "bad": Look("s-octagon", "danger"),
        "none": Look("s-absent"),
    },
    "seal": {
        "sealed": Look("s-done", "ok"),
        "open": Look("s-hollow"),
        "broken": Look("s-octagon", "danger"),
    },
}

#: Red: a person must act. Amber: one may have to. Calm: handled by itself.
CATEGORIES: Final[Mapping[str, Look]] = {
    Category.AUTHENTICATION.value: Look("c-authentication", "danger"),
    Category.AUTHORIZATION.value: Look("c-authorization", "danger"),
    Category.VALIDATION.value: Look("c-validation", "danger"),
    Category.CONTRACT.value: Look("c-contract", "danger"),
    Category.RATE_LIMIT.value: Look("c-rate"),
    Category.TIMEOUT.value: Look("c-timeout", "warn"),
    Category.DUPLICATE.value: Look("c-duplicate"),
    Category.STALE.value: Look("c-stale"),
    Category.DEPENDENCY.value: Look("c-dependency", "warn"),
    Category.OUTAGE.value: Look("c-outage", "danger"),
    Category.MAPPING.value: Look("c-mapping", "danger"),
    Category.BUSINESS.value: Look("c-business", "danger"),
    Category.UNKNOWN.value: Look("c-unknown", "warn"),
}

#: Who spoke, in the order of the timeline's gutter.
LANES: Final[Mapping[str, Look]] = {
    "commands": Look("l-commands", "", "What we asked the provider to do"),
    "events": Look("l-events", "", "What the provider says happened"),
    "state": Look("l-state", "", "What we believe since then"),
    "reconciliation": Look("l-reconciliation", "", "What a comparison found"),
    "people": Look("l-people", "", "What somebody did or noted"),
}

#: Whom a failure asks. The title is the plural used in headings.
OWNERS: Final[Mapping[str, Look]] = {
    "operations": Look("replay", "", "Operations"),
    "support": Look("people", "", "Support"),
    "finance": Look("c-business", "", "Finance"),
    "engineer": Look("mapping", "", "Engineers"),
    "nobody": Look("s-done", "", "Nobody needed"),
}


def of_state(word: str, topic: str = "") -> Look:
    """Return the look of a state; without a known topic, of the first that has the word.

    Underscores read as spaces, so stored words (`requires_action`) and shown ones are the same.
    """
    spoken = say(word)
    if topic in STATES:
        return STATES[topic].get(spoken, UNNAMED)
    return next((words[spoken] for words in STATES.values() if spoken in words), UNNAMED)


def of_category(word: str) -> Look:
    """Return the look of a failure category."""
    return CATEGORIES.get(say(word), UNNAMED)


def say(word: str) -> str:
    """Return a stored word as it is shown: states are in lower case."""
    return word.replace("_", " ").lower()
