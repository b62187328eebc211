"""A Xero that keeps state and enforces Xero's rules, on 127.0.0.1, for tests and the demo.

`python -m integrations.providers.xero.sandbox --port N [--tenant NAME]... [--parent-pipe]` prints
`ready http://127.0.0.1:N`. Port 0 takes a free one. State is in memory and ends with the process.
Tests use `harness.run_sandbox()`.

What a provider's client sees
-----------------------------
`POST /connect/token`   HTTP Basic `client_id:client_secret`, form `grant_type=refresh_token&refresh_token=…`.
                        200 `{access_token, expires_in: 1800, token_type, refresh_token, scope}`. The refresh token
                        is used up; for 30 minutes it gives the very same new pair again, in case the answer was
                        lost. Afterwards, and for an unknown one (60 days unused): 400 `{"error": "invalid_grant"}`.
                        Wrong client: 400 `{"error": "invalid_client"}`.
`GET /connections`      the tenants that the token opens. `DELETE /connections/{id}` disconnects one: 403 from then on.
`/api.xro/2.0/…`        `Authorization: Bearer …` (else 401 AuthenticationUnsuccessful, after 30 minutes 401
                        TokenExpired), `Xero-Tenant-Id` (else 403).

| Path | Methods |
|---|---|
| `Organisation` | GET |
| `Accounts`, `Accounts/{id or code}` | GET |
| `Contacts`, `Contacts/{id or ContactNumber}` | GET, PUT, POST |
| `Invoices`, `Invoices/{id or InvoiceNumber}` (ACCREC) | GET, PUT, POST |
| `CreditNotes`, `CreditNotes/{id or CreditNoteNumber}` (ACCRECCREDIT) | GET, PUT, POST |
| `CreditNotes/{id}/Allocations` | PUT |
| `Payments`, `Payments/{id}` (of invoices; of credit notes, then they are refunds) | GET, PUT, POST |

PUT creates; POST on the list creates or updates (found by id, else by number, contacts also by name), POST on one
updates it. A body is one element, a list, or `{"Invoices": [...]}`. With `summarizeErrors=false` the answer is 200 and
each element says `StatusAttributeString` OK or ERROR with `ValidationErrors`; without, one wrong element refuses all:
400 `ValidationException` with `Elements`, and nothing is kept.

Reads: `page` (from 1), `pageSize` (100, at most 1000), `If-Modified-Since` (that moment included), `where`, `order`,
`IDs`, `InvoiceNumbers`, `CreditNoteNumbers`, `ContactIDs`, `Statuses`, `searchTerm`, `includeArchived`. Line items and
payments of a list are there only with `page`, as at Xero; one object by id has everything. `where` knows
`== != > >= < <=`, `AND OR && ||`, brackets, `"text"`, numbers, `true`, `null`, `Guid("…")`, `DateTime(2026,11,21)`,
`Field.Contains("x")`, `.StartsWith`, `.EndsWith`, and paths as `Contact.ContactID`. Equality of `Reference`,
`ContactNumber`, `Name`, `InvoiceNumber`, `CreditNoteNumber`, `Invoice.InvoiceID` uses an index.

Rules worth knowing: an invoice or credit note that is AUTHORISED needs a contact, lines with description and account
code, and (invoices) a `DueDate`; a total of 0 is PAID at once. Payments need an AUTHORISED document, an account (bank,
or with payments enabled: `090` bank, `880` clearing; sales are `200`), at most two decimals, and at most what is due.
Deleting a payment (POST `Payments/{id}` `{"Status": "DELETED"}`) brings the document back to AUTHORISED. A document
with payments or allocations cannot be voided; PAID ones take a new number, reference, due date, url only; VOIDED and
DELETED ones take nothing. A payment on a credit note shows it under `Invoice` with type ACCRECCREDIT, as Xero's
contract does. A line without `TaxType` gets its account's (sales: OUTPUT, 10 %), unless `LineAmountTypes` is NoTax; a
`TaxAmount` that is told is taken. Up to the period lock date nothing approved is entered, changed or taken back; drafts
are.
`Idempotency-Key` (at most 128 characters): the first answer (200 or 400) again for 6 minutes; with other content 400.

Limits per tenant: 60 in any 60 s, 5,000 in any 24 h, 5 at once; 10,000 in any 60 s for the app: 429 with `Retry-After`
and `X-Rate-Limit-Problem` (`minute`, `day`, `concurrent`, `appminute`). Every answer of the Accounting API carries
`X-MinLimit-Remaining`, `X-DayLimit-Remaining`, `X-AppMinLimit-Remaining`, `Xero-Correlation-Id`.

The control plane: `/_sandbox/…`, JSON, refuses web pages
---------------------------------------------------------
`GET state`         `{client_id, client_secret, access_token, refresh_token, tenants: [{id, name, objects}], limits,
                    clock}`.
`PUT limits`        any of `{enforced, minute, day, concurrent, app_minute}`; the windows begin anew.
`PUT clock`         any of `{scale, advance, skew}`: limits count `scale` times as fast (tokens and keys do not);
                    `advance` seconds pass at once for limits, tokens and keys; `skew` seconds are added to
                    `UpdatedDateUTC`, `Date` and webhooks' dates.
`PUT organisation`  `{period_lock_date}`: a day, or null: the books are open.
`GET effects`       `{total, created, changed, by_operation: {id: {created, changed}}, by_key: {…}, requests, throttled,
                    refreshes, …}`, all of it in `effects.py`; `?log=1` adds every single one.
`DELETE effects`    counts begin anew.
`GET faults`        `{seed, rules: [{…, matched, struck}]}`; a rule is a `faults.Rule`, as
                    `{"kind": "cut_after", "on": "PUT *", "probability": 0.05}`.
`PUT faults`        other rules `{seed, rules}`; `POST faults`: one rule more; `DELETE faults`: none.
`POST objects/{resource}/{id or number}`
                    `{"fields": {…}, "event": false}`: changes an object, silently unless `event`.
`DELETE objects/{resource}/{id or number}`
                    voids, deletes or archives it, whatever Xero's rules; `?gone=1`: 404 from then on; `?event=1`: not
                    silently.
`POST tokens`       a new pair, as after a person's consent: `{access_token, refresh_token}`.
`POST tokens/expire`
                    access tokens have expired; with `{"refresh": true}` refresh tokens too.
`POST tenants`      `{name}`: one more organisation; `{id, name}`.
`PUT webhooks`      any of `{url, key, muted, first, longest, attempts, in_time}`: where to, signed with what; muted
                    events are lost; repeats after `first` seconds, then twice that, at most `longest`, so many
                    attempts, each answered `in_time` (5 s).
`GET webhooks`      `{url, muted, pending, delivered, refused}`; `?settled=5`: after at most 5 s, as soon as none is
                    pending.
`POST webhooks/intent`
                    the intent-to-receive check: `{passed, answers: [{signed, status, passed}]}`.
`GET log`           the latest requests `{line, status, at, fault, key, sha256}`, the last of their body, `?limit=`.
`DELETE data`       forgets objects, keys, effects, faults, webhooks; tenants, tokens, clock and limits stay.

Objects are those of the first tenant, unless `?tenant=` names another by id or name.

Unlike Xero
-----------
No consent page (`POST /_sandbox/tokens` stands for it), no scopes, tokens are opaque instead of JWT; one base currency
(other currencies at rate 1); no purchases, overpayments, prepayments, batch payments, attachments, history; numbers of
tax types are those of `lines.TAX_RATES`; webhooks are repeated after tenths of seconds rather than minutes. What Xero
does not publish is decided here: a `pageSize` over 1000 counts as 1000, a replayed answer has no mark of its own,
the number of a voided or deleted document is free again.
"""
