-- name: wait_shortly
-- a session that waits for a lock makes all later ones wait
SET LOCAL lock_timeout = '200ms';

-- name: wait_for_rows
SET LOCAL lock_timeout = 0;

-- name: lock_collection
-- one listing of a collection at a time, until the transaction ends
SELECT pg_advisory_xact_lock(hashtextextended('image_retrieval:' || %(collection)s, 0));

-- name: try_lock_collection
SELECT pg_try_advisory_xact_lock(hashtextextended('image_retrieval:' || %(collection)s, 0)) AS locked;

-- name: keep_removals_out
-- until the transaction ends; see keep_loads_out
SELECT pg_advisory_xact_lock_shared(hashtextextended('image_retrieval:removal:' || %(collection)s, 0));

-- name: keep_loads_out
-- until the transaction ends; see keep_removals_out
SELECT pg_advisory_xact_lock(hashtextextended('image_retrieval:removal:' || %(collection)s, 0));

-- name: wait_for_others
-- registering single images happens within a request
SET LOCAL lock_timeout = '5s';
