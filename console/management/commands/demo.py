"""`manage.py demo`: two tenants with one person a role, connected to sandboxes of the providers and a receiver."""

import hmac
import json
import os
import secrets
import tomllib
from argparse import ArgumentParser
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from console.access import grant
from console.downstream import DEFAULT_PORT
from console.models import Role, User
from integrations.boundary.vault import seal, unseal
from integrations.configuration import subscriptions
from integrations.configuration.connect import connect
from integrations.journal.actor import Actor
from integrations.models import (
    Connection,
    Credential,
    CredentialState,
    Route,
    SecretState,
    SigningSecret,
    Stream,
    Subscription,
    Tenant,
)
from integrations.providers import PROVIDERS
from integrations.workflow import routes

DEMO = Actor(None, "the demo")

RECEIVER = "Demo receiver"
#: So that a first day has deliveries that fail and go through later.
REFUSALS = [{"status": 503, "topic": "payment.failed", "times": 8}, {"status": 500, "topic": "refund.*", "times": 3}]

TENANTS = {"northwind": "Northwind Traders", "contoso": "Contoso"}

#: (first name, last name, name in the address, role, tenant)
PEOPLE = (
    ("Sam", "Okafor", "support", Role.SUPPORT, "northwind"),
    ("Priya", "Raman", "operations", Role.OPERATIONS, "northwind"),
    ("Marta", "Kowalczyk", "finance", Role.FINANCE, "northwind"),
    ("Ines", "Duarte", "engineer", Role.ENGINEER, "northwind"),
    ("Noor", "Haddad", "auditor", Role.AUDITOR, "northwind"),
    ("Jonas", "Lindqvist", "admin", Role.ADMINISTRATOR, "northwind"),
    ("Alex", "Winter", "stranger", Role.OPERATIONS, "contoso"),
)


class Command(BaseCommand):
    """Make what is missing of the demo, and print how to sign in."""

    help = "Make the demo's tenants, people and connections; what exists already stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ensure", action="store_true", help="the default: make only what is missing")

    def handle(self, *args: Any, **options: Any) -> None:
        password = demo_password()
        with transaction.atomic():
            tenants = {slug: Tenant.objects.get_or_create(slug=slug, defaults={"name": name})[0]
                       for slug, name in TENANTS.items()}  # fmt: skip
            for person in PEOPLE:
                make_person(person, tenants, password)
            documents = demo_documents()
            for document in documents:
                write_sandbox(document, [make_connection(document, each, tenants) for each in document["connections"]])
            make_subscription(tenants["northwind"])
            for wanted in (each for document in documents for each in document.get("routes", ())):
                make_route(wanted, tenants)
        self.stdout.write(f"Sign in with the password {password} as")
        for first, last, name, role, tenant in PEOPLE:
            self.stdout.write(f"  {name}@{tenant}.example".ljust(34) + f"{first} {last}, {role} at {TENANTS[tenant]}")


def demo_password() -> str:
    """Return the one password of the demo's people: the same at every start, another on every machine."""
    return hmac.new(settings.SECRET_KEY.encode(), b"demo password", "sha256").hexdigest()[:12]


def make_person(person: tuple[str, str, str, str, str], tenants: dict[str, Tenant], password: str) -> None:
    """Make one person with a role, or leave them as they are."""
    first, last, name, role, tenant = person
    email = f"{name}@{tenant}.example"
    user, made = User.objects.get_or_create(
        email=email, defaults={"username": email, "first_name": first, "last_name": last}
    )
    if made:
        user.set_password(password)
        user.save()
        EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    grant(user, role, tenants[tenant], by=DEMO.name, reason="One person a role")


def demo_documents() -> list[dict[str, Any]]:
    """Return what each provider that has a sandbox wants for the demo."""
    found = []
    for place in PROVIDERS.values():
        package = import_module(place.partition(":")[0].rpartition(".")[0])
        document = files(package).joinpath("sandbox", "demo.toml")
        if document.is_file():
            found.append(tomllib.loads(document.read_text()))
    return found


def make_connection(document: dict[str, Any], wanted: dict[str, Any], tenants: dict[str, Tenant]) -> dict[str, Any]:
    """Make one connection with its secrets; return its sandbox account with where its webhooks go."""
    tenant = tenants[wanted["tenant"]]
    base = f"http://127.0.0.1:{os.environ.get(document['port']) or document['default_port']}"
    places = dict.fromkeys(document["addresses"], base)
    found = Connection.objects.filter(tenant=tenant, environment=wanted["environment"], name=wanted["name"]).first()
    if found is None:
        found = connect(
            tenant,
            provider=document["provider"],
            name=wanted["name"],
            environment=wanted["environment"],
            values={**wanted.get("settings", {}), **places},
            actor=DEMO,
        )
        for purpose, secret in wanted["secrets"].items():
            give(found, purpose, secret)
        give(found, document["signed_by"], f"whsec_{secrets.token_hex(16)}")
        for resource, every in document["every"].items():
            Stream.objects.filter(connection=found, resource=resource).update(every=every, fresh_within=every * 5)
    elif found.settings != found.settings | places:
        Connection.objects.filter(pk=found.pk).update(settings=found.settings | places)
    target = {
        "url": f"{settings.PUBLIC_URL}/hooks/{found.public_id}/",
        "secrets": signing_secrets(found, document["signed_by"]),
    }
    account: dict[str, Any] = wanted["account"]
    return account | {"keys": [wanted["secrets"][name] for name in document["keys"]], "targets": [target]}


def make_route(wanted: dict[str, Any], tenants: dict[str, Tenant]) -> None:
    """Let what changes at one of the demo's connections go to another, or leave it as it is."""
    here = {"tenant": tenants[wanted["tenant"]], "environment": wanted["environment"]}
    source, target = (Connection.objects.get(**here, name=wanted[end]) for end in ("source", "target"))
    if not Route.objects.filter(source=source, target=target).exists():
        kinds = routes.kinds_for(target)
        routes.make(source, target, kinds=kinds, since=None, actor=DEMO, reason="The demo keeps books")


def make_subscription(tenant: Tenant) -> None:
    """Let the demo's own receiver be told of everything, and tell it the secret, or leave it as it is.

    It listens on this machine: without the installation's allowance for that there is none.
    """
    if not settings.OUTBOX_ALLOW_PRIVATE:
        return
    url = f"http://127.0.0.1:{os.environ.get('RECEIVER_PORT') or DEFAULT_PORT}/hooks"
    found = Subscription.objects.filter(tenant=tenant, environment="test", name=RECEIVER).order_by("pk").last()
    if found is None:
        found, _ = subscriptions.make(
            tenant, environment="test", name=RECEIVER, url=url, topics=["*"], actor=DEMO,
            reason="The demo has somebody downstream",
        )  # fmt: skip
    elif found.url.startswith("http://127.0.0.1:"):
        Subscription.objects.filter(pk=found.pk).update(url=url)
    active = SigningSecret.objects.filter(subscription=found, state=SecretState.ACTIVE)
    known = [unseal(each.secret).decode() for each in active]
    write_private("receiver.json", {"secrets": known, "refusals": REFUSALS})


def give(connection: Connection, purpose: str, secret: str) -> None:
    """Give a connection a secret that needs no proof: the sandbox is ours."""
    Credential.objects.create(
        connection=connection,
        purpose=purpose,
        version=1,
        state=CredentialState.ACTIVE,
        secret=seal(secret.encode()),
        hint=f"…{secret[-4:]}",
        reason="The demo's own",
        created_by=DEMO.name,
        verified_at=timezone.now(),
    )


def signing_secrets(connection: Connection, purpose: str) -> list[str]:
    """Return the signing secret that the sandbox shall use: the active one."""
    active = Credential.objects.filter(connection=connection, purpose=purpose, state=CredentialState.ACTIVE).order_by(
        "-version"
    )
    return [unseal(credential.secret).decode() for credential in active[:1]]


def write_sandbox(document: dict[str, Any], accounts: list[dict[str, Any]]) -> None:
    """Tell the sandbox its accounts and where their webhooks go; the file holds secrets."""
    write_private(document["file"], document.get("sandbox", {}) | {"accounts": accounts})


def write_private(name: str, told: dict[str, Any]) -> None:
    """Write what a process of the demo begins with; nobody else may read it."""
    path = Path(settings.DATA_DIR) / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(told, file, indent=1)
