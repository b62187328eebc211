import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What people and the engine do to the setup, apart from the flood that evidence writes.
CHANGES = """
CREATE INDEX journal_of_changes ON integrations_journal (tenant_id, environment, id DESC) WHERE action NOT IN (
    'event.decided', 'event.parked', 'event.waits', 'event.redelivered', 'record.changed', 'record.checked',
    'run.finished', 'run.parked', 'run.waits', 'webhook.refused')
"""


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0001_engine"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Tally",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(help_text="When the ten minutes began")),
                ("done", models.PositiveIntegerField(default=0, help_text="Work that went through")),
                ("applied", models.PositiveIntegerField(default=0, help_text="Of it, what changed belief")),
                ("failed", models.PositiveIntegerField(default=0, help_text="Tries that failed")),
            ],
        ),
        migrations.AlterField(
            model_name="event",
            name="connection",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="events",
                to="integrations.connection",
            ),
        ),
        migrations.AddIndex(
            model_name="drift",
            index=models.Index(fields=["connection", "resource", "external_id", "-id"], name="drift_of_object"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(fields=["connection", "-id"], name="event_of_connection"),
        ),
        migrations.AddIndex(
            model_name="event",
            index=models.Index(
                condition=models.Q(("state__in", ["ready", "leased", "waiting", "parked", "held"])),
                fields=["connection", "state", "id"],
                name="event_backlog",
            ),
        ),
        migrations.AddIndex(
            model_name="problem",
            index=models.Index(
                condition=models.Q(("open_count__gt", 0)),
                fields=["tenant", "environment", "-last_seen_at", "-id"],
                name="problem_open",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("kind", "reconcile")), fields=["tenant", "environment", "-id"], name="run_checks"
            ),
        ),
        migrations.AddField(
            model_name="tally",
            name="connection",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="integrations.connection",
            ),
        ),
        migrations.AddConstraint(
            model_name="tally",
            constraint=models.UniqueConstraint(fields=("connection", "at"), name="tally_once"),
        ),
        migrations.RunSQL(CHANGES, reverse_sql="DROP INDEX IF EXISTS journal_of_changes"),
    ]
