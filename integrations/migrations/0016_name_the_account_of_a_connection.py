from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0015_sending_ours_as_decided")]

    operations = [
        migrations.AddField(
            "connection", "account", models.CharField(blank=True, db_default="", default="", max_length=255)
        ),
    ]
