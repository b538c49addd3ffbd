-- Who made each write that has a key, noted in the transaction that makes it: under which epoch, at which
-- site, and where the log was then. With the key and the fingerprint of the request it is what a cell's history
-- can be checked by afterwards. Null where a program of an earlier version wrote.

ALTER TABLE idempotency_keys
    ADD COLUMN epoch  bigint,
    ADD COLUMN writer text,
    ADD COLUMN lsn    pg_lsn;
