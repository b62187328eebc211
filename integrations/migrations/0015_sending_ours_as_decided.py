from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0014_failures_of_exports"),
    ]

    operations = [
        migrations.AddField(
            model_name="copy",
            name="kept",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="copy",
            name="push",
            field=models.JSONField(blank=True, default=dict),
        ),
    ]
