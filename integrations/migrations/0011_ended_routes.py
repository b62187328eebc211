from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0010_may_command"),
    ]

    operations = [
        migrations.AddField(
            model_name="historicalroute",
            name="end_reason",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="historicalroute",
            name="ended_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="historicalroute",
            name="ended_by",
            field=models.CharField(blank=True, default="", max_length=150),
        ),
        migrations.AddField(
            model_name="route",
            name="end_reason",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="route",
            name="ended_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="route",
            name="ended_by",
            field=models.CharField(blank=True, default="", max_length=150),
        ),
    ]
