"""Routes, and the copies of records at other connections."""

import django.db.models.deletion
import simple_history.models
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("integrations", "0007_schedules"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="Copy",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("environment", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                ("resource", models.CharField(blank=True, default="", max_length=60)),
                ("external_id", models.CharField(blank=True, default="", max_length=255)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("due", "to be exported"),
                            ("waiting", "Waiting"),
                            ("exported", "Exported"),
                            ("not needed", "not exported"),
                            ("stopped", "needs a person"),
                        ],
                        default="due",
                        max_length=10,
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("reason", models.TextField(blank=True, default="")),
                ("asked_at", models.DateTimeField(blank=True, null=True)),
                ("made", models.JSONField(blank=True, default=dict)),
                ("flying", models.BooleanField(default=False)),
                ("round", models.PositiveIntegerField(default=0)),
                (
                    "version",
                    models.PositiveIntegerField(
                        blank=True, help_text="Of the record, when it was last exported", null=True
                    ),
                ),
                ("exported_at", models.DateTimeField(blank=True, null=True)),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("shown_state", models.CharField(blank=True, default="", max_length=24)),
                ("compared_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "copies",
            },
        ),
        migrations.CreateModel(
            name="HistoricalRoute",
            fields=[
                ("id", models.BigIntegerField(auto_created=True, blank=True, db_index=True, verbose_name="ID")),
                ("environment", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                ("kinds", models.JSONField(default=list)),
                (
                    "since",
                    models.DateTimeField(
                        blank=True,
                        help_text="Records that came to be before are exported only where others need them",
                        null=True,
                    ),
                ),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("paused_by", models.CharField(blank=True, default="", max_length=150)),
                ("pause_reason", models.TextField(blank=True, default="")),
                ("made_by", models.CharField(max_length=150)),
                ("made_at", models.DateTimeField(blank=True, editable=False)),
                ("history_id", models.AutoField(primary_key=True, serialize=False)),
                ("history_date", models.DateTimeField(db_index=True)),
                ("history_change_reason", models.TextField(null=True)),
                (
                    "history_type",
                    models.CharField(choices=[("+", "Created"), ("~", "Changed"), ("-", "Deleted")], max_length=1),
                ),
            ],
            options={
                "verbose_name": "historical route",
                "verbose_name_plural": "historical routes",
                "ordering": ("-history_date", "-history_id"),
                "get_latest_by": ("history_date", "history_id"),
            },
            bases=(simple_history.models.HistoricalChanges, models.Model),
        ),
        migrations.CreateModel(
            name="Route",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("environment", models.CharField(choices=[("live", "Live"), ("test", "Test")], max_length=4)),
                ("kinds", models.JSONField(default=list)),
                (
                    "since",
                    models.DateTimeField(
                        blank=True,
                        help_text="Records that came to be before are exported only where others need them",
                        null=True,
                    ),
                ),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("paused_by", models.CharField(blank=True, default="", max_length=150)),
                ("pause_reason", models.TextField(blank=True, default="")),
                ("made_by", models.CharField(max_length=150)),
                ("made_at", models.DateTimeField(auto_now_add=True)),
            ],
        ),
        migrations.AlterField(
            model_name="drift",
            name="status",
            field=models.CharField(
                choices=[
                    ("open", "Open"),
                    ("accepted", "theirs accepted"),
                    ("ignored", "Ignored"),
                    ("pushed", "ours sent"),
                    ("gone", "no longer differs"),
                ],
                default="open",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="run",
            name="kind",
            field=models.CharField(
                choices=[
                    ("sync", "first sync"),
                    ("resync", "resync"),
                    ("reconcile", "check"),
                    ("scan", "absence scan"),
                    ("export", "first export"),
                ],
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            model_name="record",
            index=models.Index(
                condition=models.Q(("kind", "customer")), fields=["connection", "label"], name="record_namesakes"
            ),
        ),
        migrations.AddField(
            model_name="copy",
            name="command",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="copies",
                to="integrations.command",
            ),
        ),
        migrations.AddField(
            model_name="copy",
            name="connection",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="integrations.connection",
            ),
        ),
        migrations.AddField(
            model_name="copy",
            name="record",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="copies", to="integrations.record"
            ),
        ),
        migrations.AddField(
            model_name="copy",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="integrations.tenant"
            ),
        ),
        migrations.AddField(
            model_name="copy",
            name="waits_on",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="integrations.record",
            ),
        ),
        migrations.AddField(
            model_name="historicalroute",
            name="history_user",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="historicalroute",
            name="source",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="integrations.connection",
            ),
        ),
        migrations.AddField(
            model_name="historicalroute",
            name="target",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="integrations.connection",
            ),
        ),
        migrations.AddField(
            model_name="historicalroute",
            name="tenant",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="integrations.tenant",
            ),
        ),
        migrations.AddField(
            model_name="route",
            name="source",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="routes_out", to="integrations.connection"
            ),
        ),
        migrations.AddField(
            model_name="route",
            name="target",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="routes_in", to="integrations.connection"
            ),
        ),
        migrations.AddField(
            model_name="route",
            name="tenant",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="integrations.tenant"
            ),
        ),
        migrations.AddField(
            model_name="copy",
            name="route",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="copies", to="integrations.route"
            ),
        ),
        migrations.AddConstraint(
            model_name="route",
            constraint=models.UniqueConstraint(fields=("source", "target"), name="route_once"),
        ),
        migrations.AddIndex(
            model_name="copy",
            index=models.Index(
                condition=models.Q(("state", "due")), fields=["connection", "due_at", "id"], name="copy_due"
            ),
        ),
        migrations.AddIndex(
            model_name="copy",
            index=models.Index(fields=["route", "state"], name="copy_of_route"),
        ),
        migrations.AddIndex(
            model_name="copy",
            index=models.Index(
                condition=models.Q(("external_id", ""), _negated=True),
                fields=["connection", "external_id"],
                name="copy_object",
            ),
        ),
        migrations.AddIndex(
            model_name="copy",
            index=models.Index(condition=models.Q(("state", "waiting")), fields=["due_at"], name="copy_waits"),
        ),
        migrations.AddConstraint(
            model_name="copy",
            constraint=models.UniqueConstraint(fields=("record", "connection"), name="copy_once"),
        ),
    ]
