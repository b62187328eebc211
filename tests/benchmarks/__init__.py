"""`make bench`: how fast the product is on this machine, beside what the machine itself allows.

Each part runs on a fresh database of a durable PostgreSQL, against the processes of the Procfile. A line is
`{"name", "value", "unit", "limit", "ratio"}`; the limit is measured in the same run, and says what the bare
database (or the bare process) does where we do all that we promise.
"""
