import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0003_when_reads_were_asked_for"),
    ]

    operations = [
        migrations.AddField(
            model_name="attempt",
            name="key",
            field=models.CharField(blank=True, default="", max_length=128),
        ),
        migrations.AddField(
            model_name="attempt",
            name="path",
            field=models.CharField(blank=True, default="", help_text="JSON pointer into the answer", max_length=60),
        ),
        migrations.AddField(
            model_name="attempt",
            name="request_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="attempt",
            name="request_id",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="attempt",
            name="request_path",
            field=models.CharField(blank=True, default="", help_text="JSON pointer into the request", max_length=60),
        ),
        migrations.CreateModel(
            name="Command",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("environment", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("ready", "Ready"),
                            ("leased", "Leased"),
                            ("waiting", "Waiting"),
                            ("parked", "Parked"),
                            ("dismissed", "Dismissed"),
                            ("held", "Held"),
                            ("done", "Done"),
                        ],
                        default="ready",
                        max_length=10,
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
                ("leased_by", models.UUIDField(blank=True, null=True)),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                (
                    "category",
                    models.CharField(blank=True, default="", help_text="Category of its last failure", max_length=24),
                ),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("operation_id", models.CharField(max_length=50)),
                ("content_hash", models.BinaryField()),
                ("action", models.CharField(max_length=60)),
                ("resource", models.CharField(max_length=60)),
                ("external_id", models.CharField(blank=True, default="", max_length=255)),
                ("content", models.JSONField(default=dict)),
                ("summary", models.CharField(help_text="What it asks, in words", max_length=200)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("submitted", "Submitted"),
                            ("sent", "Sent"),
                            ("accepted", "Accepted"),
                            ("confirmed", "Confirmed"),
                            ("failed", "Failed"),
                            ("unknown", "unknown outcome"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="submitted",
                        max_length=10,
                    ),
                ),
                ("outcome_reason", models.TextField(blank=True, default="", help_text="Why that is believed")),
                ("record_version", models.PositiveIntegerField(blank=True, null=True)),
                ("waits_for", models.CharField(blank=True, default="", max_length=320)),
                ("key", models.CharField(blank=True, default="", max_length=128)),
                ("key_since", models.DateTimeField(blank=True, null=True)),
                ("request_id", models.BigIntegerField(blank=True, null=True)),
                ("request_at", models.DateTimeField(blank=True, null=True)),
                ("asked_by", models.CharField(max_length=150)),
                ("reason", models.TextField(blank=True, default="")),
                ("submitted_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("accepted_at", models.DateTimeField(blank=True, null=True)),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "connection",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="commands",
                        to="integrations.connection",
                    ),
                ),
                (
                    "record",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="commands",
                        to="integrations.record",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="integrations.tenant"
                    ),
                ),
                (
                    "transition",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="integrations.transition",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="attempt",
            name="command",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="attempts",
                to="integrations.command",
            ),
        ),
        migrations.AddField(
            model_name="failure",
            name="command",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="failures",
                to="integrations.command",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("state", "in flight")), fields=["started_at"], name="attempt_in_flight"
            ),
        ),
        migrations.AddIndex(
            model_name="attempt",
            index=models.Index(
                condition=models.Q(("command__isnull", False)), fields=["command"], name="attempt_of_command"
            ),
        ),
        migrations.AddConstraint(
            model_name="failure",
            constraint=models.UniqueConstraint(
                condition=models.Q(("command__isnull", False), ("resolved_at__isnull", True)),
                fields=("command",),
                name="failure_one_open_of_command",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("state__in", ["ready", "waiting"])),
                fields=["connection", "due_at", "id"],
                name="command_due",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(condition=models.Q(("state", "leased")), fields=["leased_until"], name="command_lease"),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("key", ""), _negated=True), fields=["connection", "key"], name="command_key"
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("waits_for", ""), _negated=True),
                fields=["connection", "waits_for"],
                name="command_waits_for",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("outcome__in", ["sent", "unknown", "accepted"])),
                fields=["connection", "external_id"],
                name="command_expected",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(
                    models.Q(("external_id", ""), _negated=True),
                    models.Q(("state__in", ["done", "dismissed"]), _negated=True),
                ),
                fields=["external_id"],
                name="command_open_of_object",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(fields=["tenant", "environment", "-id"], name="command_newest"),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("state__in", ["ready", "leased", "waiting", "parked", "held", "dismissed"])),
                fields=["tenant", "environment", "state", "-id"],
                name="command_by_state",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(fields=["tenant", "environment", "outcome", "-id"], name="command_by_outcome"),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(fields=["connection", "-id"], name="command_of_connection"),
        ),
        migrations.AddConstraint(
            model_name="command",
            constraint=models.UniqueConstraint(fields=("tenant", "operation_id"), name="command_once"),
        ),
    ]
