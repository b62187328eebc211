from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("integrations", "0004_commands")]

    operations: list[migrations.operations.base.Operation] = []
