from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("integrations", "0007_schedules")]

    operations: list[migrations.operations.base.Operation] = []
