-- name: read_dead
SELECT pg_stat_get_live_tuples(t.oid) AS live, pg_stat_get_dead_tuples(t.oid) AS dead
FROM to_regclass('retrieval.' || quote_ident(%(table)s)) AS t (oid)
WHERE t.oid IS NOT NULL;

-- name: vacuum
-- if another session is vacuuming it, there is nothing to do
VACUUM (ANALYZE, SKIP_LOCKED) retrieval.{table};
