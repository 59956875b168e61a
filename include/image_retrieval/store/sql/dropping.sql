-- name: find_claimed_tables
-- Vector tables that the collection has under any model, and whether another one has a table of that very name:
-- `shop` under `eu_v2` beside `shop_eu` under `v2`.
WITH claims AS (
    SELECT name AS collection, model FROM retrieval.collection
    UNION SELECT collection, model FROM retrieval.run
    UNION SELECT collection, also FROM retrieval.run WHERE also IS NOT NULL
    UNION SELECT collection, from_model FROM retrieval.switch
    UNION SELECT collection, to_model FROM retrieval.switch
    UNION SELECT name, definition -> 'model' ->> 'name' FROM retrieval.made_collection
)
SELECT 'vector_' || %(collection)s || '_' || m.name AS vectors, m.name AS model,
       EXISTS (SELECT FROM claims AS c
               WHERE c.collection <> %(collection)s
                 AND c.collection || '_' || c.model = %(collection)s || '_' || m.name) AS shared
FROM retrieval.model AS m
WHERE to_regclass('retrieval.' || quote_ident('vector_' || %(collection)s || '_' || m.name)) IS NOT NULL
ORDER BY m.name;

-- name: count_rows
SELECT (SELECT count(*) FROM retrieval.image WHERE collection = %(collection)s) AS images,
       (SELECT count(*) FROM retrieval.rejected WHERE collection = %(collection)s) AS rejected,
       (SELECT count(*) FROM retrieval.run WHERE collection = %(collection)s) AS runs,
       (SELECT count(*) FROM retrieval.switch WHERE collection = %(collection)s) AS switches,
       (SELECT count(*) FROM retrieval.verdict WHERE collection = %(collection)s) AS verdicts;

-- name: is_known
-- whether any row is of the collection, or something of it is pending
SELECT EXISTS (SELECT FROM retrieval.collection WHERE name = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.made_collection WHERE name = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.image WHERE collection = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.run WHERE collection = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.rejected WHERE collection = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.pending WHERE collection = %(collection)s) AS known;

-- name: find_running
-- as running_runs: a run that was killed stays `running`, and nobody comes back to it after two days
SELECT run_id, started_at FROM retrieval.run
WHERE collection = %(collection)s AND state = 'running' AND started_at > now() - interval '2 days'
ORDER BY started_at DESC
LIMIT 1;

-- name: wait_shortly
-- whoever waits for a lock makes all wait who come after
SET LOCAL lock_timeout = '200ms';

-- name: wait_for_rows
SET LOCAL lock_timeout = 0;

-- name: empty_vectors
TRUNCATE retrieval.{vectors};

-- name: remove_shared_vectors
DELETE FROM retrieval.{vectors} AS v USING retrieval.image AS i WHERE i.id = v.id AND i.collection = %(collection)s;

-- name: forget_face
DROP FUNCTION IF EXISTS retrieval.{nearest};
DROP VIEW IF EXISTS retrieval.{face};

-- name: face_others
SELECT retrieval.face_vectors(name, model, distance)
FROM retrieval.collection WHERE 'vector_' || name || '_' || model = %(vectors)s;

-- name: forget_collection
-- every table with a column `collection`, and those that know it by its name; shards go with their runs, duplicates and
-- compared with their images
WITH images AS (DELETE FROM retrieval.image WHERE collection = %(collection)s),
     rejected AS (DELETE FROM retrieval.rejected WHERE collection = %(collection)s),
     runs AS (DELETE FROM retrieval.run WHERE collection = %(collection)s),
     switches AS (DELETE FROM retrieval.switch WHERE collection = %(collection)s),
     verdicts AS (DELETE FROM retrieval.verdict WHERE collection = %(collection)s),
     recalls AS (DELETE FROM retrieval.recall WHERE collection = %(collection)s),
     shown AS (DELETE FROM retrieval.collection WHERE name = %(collection)s)
DELETE FROM retrieval.made_collection WHERE name = %(collection)s;
