from django.core.management import call_command
from guardian.models import UserObjectPermission

from console.access import follow_the_table, powers_of
from console.models import User
from integrations.models import Tenant


def test_what_a_role_may_since_the_code_changed_is_given_to_who_holds_it(operations: User, tenant: Tenant) -> None:
    UserObjectPermission.objects.filter(user=operations, permission__codename="command").delete()
    assert not powers_of(operations).may("command", tenant_id=tenant.pk)

    follow_the_table()

    assert powers_of(operations).may("command", tenant_id=tenant.pk)


def test_migrating_does_that(operations: User, support: User, tenant: Tenant) -> None:
    UserObjectPermission.objects.all().delete()

    call_command("migrate", verbosity=0)

    assert powers_of(operations).may("command", tenant_id=tenant.pk)
    assert powers_of(support).may("resolve", tenant_id=tenant.pk)
    assert not powers_of(support).may("command", tenant_id=tenant.pk)
