"""`manage.py tenant`: the first step of an installation in earnest."""

from argparse import ArgumentParser
from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email, validate_slug
from django.db import transaction
from django.urls import reverse

from console.access import grant
from console.models import Role, User
from console.people.giving import invite
from integrations.journal.actor import Actor
from integrations.models import Tenant

INSTALLER = Actor(None, "the installation")


class Command(BaseCommand):
    """Make a tenant with its first administrator, and print the link by which they set their password."""

    help = "Make a tenant and its first administrator, who then gives roles to others (People)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("slug", help="as it stands in addresses: northwind")
        parser.add_argument("name", help="as people read it: Northwind Traders")
        parser.add_argument("--administrator", required=True, metavar="EMAIL")

    @transaction.atomic
    def handle(self, *args: Any, slug: str, name: str, administrator: str, **options: Any) -> None:
        try:
            validate_slug(slug)
            validate_email(administrator)
        except Exception as error:
            raise CommandError(f"{slug} or {administrator} is not well formed: {error}") from error
        if slug in ("accounts", "hooks", "health", "theme", "static"):
            raise CommandError(f"{slug} is an address of the console itself; choose another.")
        tenant, made = Tenant.objects.get_or_create(slug=slug, defaults={"name": name})
        user = User.objects.filter(email__iexact=administrator).first() or invite(
            administrator, "", tenant, actor=INSTALLER, reason="The first administrator"
        )
        grant(user, Role.ADMINISTRATOR, tenant, by=INSTALLER.name, reason="The first administrator")
        self.stdout.write(f"{tenant.name} {'is made' if made else 'was there'}: {settings.PUBLIC_URL}/{slug}/live/")
        if not user.has_usable_password():
            key = f"{user_pk_to_url_str(user)}-{default_token_generator.make_token(user)}"
            uid, _, token = key.partition("-")
            link = reverse("account_reset_password_from_key", kwargs={"uidb36": uid, "key": token})
            self.stdout.write(f"{administrator} sets a password at {settings.PUBLIC_URL}{link}")
