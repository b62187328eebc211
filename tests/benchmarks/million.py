"""A million records, and one with a timeline of a thousand entries, by the database itself."""

from datetime import UTC, datetime
from typing import Any

from django.db import connection as database

from integrations.boundary.payloads import Kept, keep
from integrations.models import Connection, Mapping, Record
from tests.benchmarks.shapes import compact, invoice_template

RECORDS = 1_000_000
CUSTOMERS = 100_000
EVENTS = 500
#: The record with the long timeline: an invoice in the middle of the list.
CHOSEN = 500_000

RECORD_ROWS = """
INSERT INTO integrations_record (
    id, tenant_id, environment, connection_id, kind, state, data, version, label, amount, currency, customer_id,
    occurred_at, mapping_id, stuck_since, stuck_category, waits_for, open_drift, created_at, updated_at, search_text)
SELECT n, %(tenant)s, 'test', %(connection)s, kind, state,
    CASE kind WHEN 'customer' THEN jsonb_build_object(
        'name', name, 'email', email, 'currency', 'EUR', 'created_at', '2026-01-01T00:00:00Z')
    ELSE jsonb_build_object(
        'number', 'NW-' || n, 'customer', payer, 'currency', 'EUR', 'subtotal', amount, 'tax', 0, 'total', amount,
        'amount_due', amount, 'amount_paid', 0, 'issued_at', NULL, 'due_at', NULL, 'paid_at', NULL,
        'created_at', '2026-01-01T00:00:00Z') END,
    1, CASE kind WHEN 'customer' THEN name ELSE 'NW-' || n END,
    CASE kind WHEN 'customer' THEN NULL ELSE amount END, CASE kind WHEN 'customer' THEN '' ELSE 'EUR' END,
    CASE kind WHEN 'customer' THEN NULL ELSE 1 + n %% %(customers)s END,
    at, %(mapping)s, CASE WHEN n %% 5000 = 1 THEN at END, CASE WHEN n %% 5000 = 1 THEN 'mapping failure' ELSE '' END,
    CASE WHEN n %% 5000 = 1 THEN 'the mapping of state to be repaired' ELSE '' END,
    CASE WHEN n %% 20000 = 2 THEN 1 ELSE 0 END, at, at,
    CASE kind WHEN 'customer' THEN lower(name) || ' ' || email
    ELSE 'nw-' || n || ' ' || payer || ' ' || round(amount / 100.0, 2) || ' eur' END
FROM (
    SELECT n, CASE WHEN n <= %(customers)s THEN 'customer' WHEN n %% 3 = 0 THEN 'payment' ELSE 'invoice' END AS kind,
        CASE WHEN n <= %(customers)s THEN 'active' WHEN n %% 3 = 0 THEN 'succeeded' WHEN n %% 7 = 0 THEN 'open'
        ELSE 'paid' END AS state,
        (ARRAY['Halvorsen', 'Lindgren', 'Okafor', 'Bakker', 'Moreau'])[1 + n %% 5] || ' ' ||
        (ARRAY['Marine', 'Foods', 'Optics', 'Timber'])[1 + n %% 4] || ' ' || n AS name,
        'ap' || n || '@customer.example' AS email, 'cus_' || lpad((1 + n %% %(customers)s)::text, 14, '0') AS payer,
        1000 + n * 7919 %% 900000 AS amount, now() - n * interval '20 seconds' AS at
    FROM generate_series(1::bigint, %(records)s) AS n
) made
"""
REFERENCE_ROWS = """
INSERT INTO integrations_reference (
    record_id, connection_id, resource, external_id, seen_at, seen_exact, seen_hash, checked_at)
SELECT id, connection_id, CASE kind WHEN 'payment' THEN 'payment_intent' ELSE kind END,
    CASE kind WHEN 'customer' THEN 'cus_' || lpad(id::text, 14, '0')
    WHEN 'payment' THEN 'pi_' || lpad(id::text, 24, '0') ELSE 'in_' || lpad(id::text, 24, '0') END,
    updated_at, true, '', updated_at
FROM integrations_record
"""
EVENT_ROWS = """
INSERT INTO integrations_event (
    tenant_id, environment, connection_id, source, provider_event_id, event_type, resource, external_id, occurred_at,
    exact, deleted, received_at, redelivered, payload_id, payload_at, path, decision, decision_reason, decided_at,
    waits_for, record_id, mapping_id, replays, state, due_at, tries, category, finished_at)
SELECT r.tenant_id, r.environment, r.connection_id, 'webhook', 'evt_' || n, 'invoice.updated', 'invoice',
    'in_' || lpad(r.id::text, 24, '0'), at, false, false, at, 0, %(payload)s, %(payload_at)s, '/data/object', 'changed',
    'Changes amount paid', at, '', r.id, r.mapping_id, 0, 'done', at, 0, '', at
FROM integrations_record r, generate_series(1, %(events)s) AS n, LATERAL (SELECT now() - n * interval '1 hour' AS at) t
WHERE r.id = %(chosen)s
"""
TRANSITION_ROWS = """
INSERT INTO integrations_transition (
    record_id, version, from_state, to_state, changes, cause, cause_id, mapping_id, occurred_at, at)
SELECT record_id, row_number() OVER (ORDER BY id DESC), 'open', 'open', '[["amount_paid", 0, 1]]', 'event', id,
    mapping_id, occurred_at, received_at
FROM integrations_event WHERE record_id = %(chosen)s
"""
JOURNAL_ROWS = """
INSERT INTO integrations_journal (
    at, tenant_id, environment, connection_id, record_id, lane, action, summary, outcome, subject_type, subject_id,
    data, actor, role, reason, address, request_id)
SELECT e.received_at, e.tenant_id, e.environment, e.connection_id, e.record_id, lane, action, summary, outcome, 'event',
    e.id, '{"changes": [["amount_paid", 0, 1]], "cause": "event"}', '', '', '', '', ''
FROM integrations_event e, (VALUES
    ('events', 'event.decided', 'invoice.updated arrived: Changes amount paid', 'changed'),
    ('state', 'record.changed', 'Changed: amount paid. Caused by invoice.updated', 'open')
) AS line(lane, action, summary, outcome)
WHERE e.record_id = %(chosen)s ORDER BY e.received_at
"""
LINK_ROWS = """
INSERT INTO integrations_link (record_id, field, target_id)
SELECT id, 'customer', customer_id FROM integrations_record
WHERE customer_id = (SELECT customer_id FROM integrations_record WHERE id = %(chosen)s)
"""
FILLED = ("integrations_record", "integrations_reference")


def fill(connection: Connection) -> Record:
    """Fill the database; return the record with the long timeline."""
    kept = keep_one(connection)
    values: dict[str, Any] = {
        "tenant": connection.tenant_id,
        "connection": connection.pk,
        "mapping": Mapping.objects.get(connection=connection, resource="invoice").pk,
        "records": RECORDS,
        "customers": CUSTOMERS,
        "events": EVENTS,
        "chosen": CHOSEN,
        "payload": kept.id,
        "payload_at": kept.at,
    }
    with database.cursor() as cursor:
        indexes = put_aside_indexes(cursor)
        cursor.execute(RECORD_ROWS, values)
        cursor.execute(REFERENCE_ROWS, values)
        for index in indexes:
            cursor.execute(index)
        for rows in (EVENT_ROWS, TRANSITION_ROWS, JOURNAL_ROWS, LINK_ROWS):
            cursor.execute(rows, values)
        cursor.execute("SELECT setval(pg_get_serial_sequence('integrations_record', 'id'), %s)", [RECORDS])
        cursor.execute("VACUUM ANALYZE")
    return Record.objects.get(pk=CHOSEN)


def keep_one(connection: Connection) -> Kept:
    """Keep the payload that all events of the long timeline point to."""
    body = compact(invoice_template())
    return keep(connection_id=connection.pk, source="webhook", body=body, headers={}, at=datetime.now(UTC))


def put_aside_indexes(cursor: Any) -> list[str]:
    """Drop the indexes of the large tables; return the statements that make them again, which is faster after."""
    cursor.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname NOT IN"
        " (SELECT conname FROM pg_constraint)",
        [list(FILLED)],
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f'DROP INDEX "{name}"')
    return [definition for _, definition in found]
