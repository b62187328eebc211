"""Schedules, overlap, absence scans and off-peak windows."""

from typing import Any

from django.db import migrations, models


def scan_daily(apps: Any, schema_editor: Any) -> None:
    """Let streams that were there before scan for deletions as new ones do; a person may switch it off."""
    apps.get_model("integrations", "Stream").objects.filter(change_log=False).update(scan_every=86_400)


class Migration(migrations.Migration):
    dependencies = [("integrations", "0006_restraint")]

    operations = [
        migrations.RemoveConstraint(
            model_name="run",
            name="run_one_at_a_time",
        ),
        migrations.AddField(
            model_name="connection",
            name="windows",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="historicalconnection",
            name="windows",
            field=models.JSONField(blank=True, default=list),
        ),
        migrations.AddField(
            model_name="historicalstream",
            name="absent_least",
            field=models.PositiveIntegerField(default=20),
        ),
        migrations.AddField(
            model_name="historicalstream",
            name="absent_share",
            field=models.PositiveSmallIntegerField(default=10, help_text="Percent of what we hold"),
        ),
        migrations.AddField(
            model_name="historicalstream",
            name="cron",
            field=models.CharField(
                blank=True, default="", help_text="Five cron fields, UTC, instead of every", max_length=120
            ),
        ),
        migrations.AddField(
            model_name="historicalstream",
            name="overlap",
            field=models.PositiveIntegerField(
                default=300, help_text="Seconds that a resync looks back before the start of the last one"
            ),
        ),
        migrations.AddField(
            model_name="historicalstream",
            name="scan_cron",
            field=models.CharField(blank=True, default="", max_length=120),
        ),
        migrations.AddField(
            model_name="historicalstream",
            name="scan_every",
            field=models.PositiveIntegerField(default=0, help_text="Seconds between two absence scans; 0: none"),
        ),
        migrations.AddField(
            model_name="reference",
            name="scanned_in",
            field=models.BigIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="gone",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="held",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="listed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="missing",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="run",
            name="released_by",
            field=models.CharField(blank=True, default="", max_length=150),
        ),
        migrations.AddField(
            model_name="run",
            name="waits_for",
            field=models.CharField(
                blank=True, default="", help_text="What it waits for, but for a retry", max_length=60
            ),
        ),
        migrations.AddField(
            model_name="stream",
            name="absent_least",
            field=models.PositiveIntegerField(default=20),
        ),
        migrations.AddField(
            model_name="stream",
            name="absent_share",
            field=models.PositiveSmallIntegerField(default=10, help_text="Percent of what we hold"),
        ),
        migrations.AddField(
            model_name="stream",
            name="cron",
            field=models.CharField(
                blank=True, default="", help_text="Five cron fields, UTC, instead of every", max_length=120
            ),
        ),
        migrations.AddField(
            model_name="stream",
            name="last_scan_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stream",
            name="next_scan_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="stream",
            name="overlap",
            field=models.PositiveIntegerField(
                default=300, help_text="Seconds that a resync looks back before the start of the last one"
            ),
        ),
        migrations.AddField(
            model_name="stream",
            name="scan_cron",
            field=models.CharField(blank=True, default="", max_length=120),
        ),
        migrations.AddField(
            model_name="stream",
            name="scan_every",
            field=models.PositiveIntegerField(default=0, help_text="Seconds between two absence scans; 0: none"),
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
                ],
                max_length=10,
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(condition=models.Q(("kind", "scan")), fields=["stream", "-id"], name="run_scans"),
        ),
        migrations.AddConstraint(
            model_name="run",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("state__in", ["ready", "leased", "waiting", "held"]),
                    models.Q(("targets", []), ("kind", "scan"), _connector="OR"),
                ),
                fields=("stream", "kind"),
                name="run_one_at_a_time",
            ),
        ),
        migrations.RunPython(scan_daily, migrations.RunPython.noop),
    ]
