import django.db.models.functions.text
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0017_journal_of_changes"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="record",
            name="record_namesakes",
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                django.db.models.functions.text.Lower("label"),
                condition=models.Q(("kind", "customer")),
                name="record_called",
            ),
        ),
    ]
