from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0012_cron_in_a_zone")]

    operations = [
        migrations.AddField(model_name="copy", name="held_by", field=models.JSONField(blank=True, default=list)),
    ]
