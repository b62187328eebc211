from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("integrations", "0006_restraint")]

    operations: list[migrations.operations.base.Operation] = []
