import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0005_outbox"),
    ]

    operations = [
        migrations.CreateModel(
            name="Breaker",
            fields=[
                (
                    "connection",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="breaker",
                        serialize=False,
                        to="integrations.connection",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("closed", "Closed"), ("open", "Open"), ("half open", "Half Open")],
                        default="closed",
                        max_length=9,
                    ),
                ),
                ("changed_at", models.DateTimeField(blank=True, null=True)),
                ("changed_by", models.CharField(blank=True, default="", max_length=150)),
                ("reason", models.TextField(blank=True, default="")),
                (
                    "category",
                    models.CharField(blank=True, default="", help_text="Of the failure that opened it", max_length=24),
                ),
                ("counted_since", models.DateTimeField(blank=True, null=True)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("passed", models.PositiveIntegerField(default=0)),
                ("refused_probes", models.PositiveIntegerField(default=0)),
                ("probe_at", models.DateTimeField(blank=True, null=True)),
                ("probe", models.UUIDField(blank=True, null=True)),
                ("probe_until", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="Pace",
            fields=[
                (
                    "connection",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="pace",
                        serialize=False,
                        to="integrations.connection",
                    ),
                ),
                ("tokens", models.FloatField(default=0)),
                ("refilled_at", models.DateTimeField()),
                (
                    "hours",
                    django.contrib.postgres.fields.ArrayField(base_field=models.PositiveIntegerField(), size=None),
                ),
                ("hour_at", models.DateTimeField()),
                (
                    "under_way",
                    django.contrib.postgres.fields.ArrayField(base_field=models.FloatField(), default=list, size=None),
                ),
                ("ran_at", models.DateTimeField(blank=True, null=True)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.RemoveIndex(
            model_name="event",
            name="event_due",
        ),
        migrations.RemoveIndex(
            model_name="run",
            name="run_due",
        ),
        migrations.AddField(
            model_name="connection",
            name="limits",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name="historicalconnection",
            name="limits",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("state__in", ["ready", "waiting"])),
                fields=["connection", "due_at", "id"],
                name="event_due_in_turn",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("state__in", ["ready", "waiting"])),
                fields=["connection", "due_at", "id"],
                name="run_due_in_turn",
            ),
        ),
    ]
