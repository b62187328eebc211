from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0011_ended_routes"),
    ]

    operations = [
        migrations.AlterField(
            model_name="historicalstream",
            name="cron",
            field=models.CharField(
                blank=True, default="", help_text="Five cron fields and a time zone, instead of every", max_length=120
            ),
        ),
        migrations.AlterField(
            model_name="stream",
            name="cron",
            field=models.CharField(
                blank=True, default="", help_text="Five cron fields and a time zone, instead of every", max_length=120
            ),
        ),
    ]
