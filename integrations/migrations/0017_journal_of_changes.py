from django.db import migrations

# What the overview leaves out, so that it finds the day's changes without reading the day's evidence.
CHANGES = """
DROP INDEX IF EXISTS journal_of_changes;
CREATE INDEX journal_of_changes ON integrations_journal (tenant_id, environment, id DESC) WHERE action NOT IN (
    'event.decided', 'event.parked', 'event.waits', 'event.redelivered', 'record.changed', 'record.checked',
    'run.finished', 'run.parked', 'run.waits', 'webhook.refused', 'command.submitted', 'command.answered',
    'command.waits', 'command.looked_for', 'command.confirmed', 'delivery.delivered');
"""
BEFORE = """
DROP INDEX IF EXISTS journal_of_changes;
CREATE INDEX journal_of_changes ON integrations_journal (tenant_id, environment, id DESC) WHERE action NOT IN (
    'event.decided', 'event.parked', 'event.waits', 'event.redelivered', 'record.changed', 'record.checked',
    'run.finished', 'run.parked', 'run.waits', 'webhook.refused');
"""


class Migration(migrations.Migration):
    dependencies = [
        ("integrations", "0016_name_the_account_of_a_connection"),
    ]

    operations = [
        migrations.RunSQL(CHANGES, reverse_sql=BEFORE),
    ]
