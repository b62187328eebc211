import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0013_what_holds_copies"),
    ]

    operations = [
        migrations.AddField(
            model_name="copy",
            name="left_out_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="copy",
            name="left_out_by",
            field=models.CharField(blank=True, default="", max_length=150),
        ),
        migrations.AddField(
            model_name="copy",
            name="left_out_reason",
            field=models.TextField(blank=True, default=""),
        ),
        migrations.AddField(
            model_name="failure",
            name="copy",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="failures",
                to="integrations.copy",
            ),
        ),
        migrations.AddConstraint(
            model_name="failure",
            constraint=models.UniqueConstraint(
                condition=models.Q(("copy__isnull", False), ("resolved_at__isnull", True)),
                fields=("copy",),
                name="failure_one_open_of_copy",
            ),
        ),
    ]
