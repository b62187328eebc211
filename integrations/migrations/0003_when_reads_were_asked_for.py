from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0002_tallies_and_what_waits")]

    operations = [
        migrations.AddField(
            model_name="event",
            name="asked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="reference",
            name="asked_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="reference",
            name="lag",
            field=models.PositiveSmallIntegerField(blank=True, null=True),
        ),
    ]
