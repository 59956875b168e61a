-- name: try_lock
-- tried again and again: CREATE INDEX CONCURRENTLY would wait for a session that waits inside a statement
-- `local`: until the transaction ends, else until the session does
SELECT CASE WHEN %(local)s THEN pg_try_advisory_xact_lock(key) ELSE pg_try_advisory_lock(key) END AS locked
FROM hashtextextended('image_retrieval:index:' || %(vectors)s, 0) AS key;

-- name: prepare_session
-- a build whose client has gone also ends; `local`: until the transaction ends
SELECT pg_backend_pid() AS pid, set_config('client_connection_check_interval', '10s', %(local)s) AS checked,
       set_config('maintenance_work_mem', %(memory_mb)s::text || 'MB', %(local)s) AS memory,
       set_config('max_parallel_maintenance_workers', %(workers)s::text, %(local)s) AS workers;

-- name: read_state
-- index: the valid one that searches use; is_replacement: searches still use another model's vectors
SELECT (SELECT count(*) FROM retrieval.{vectors}) AS rows,
       pg_stat_get_dead_tuples(t.oid) AS dead,
       (SELECT a.atttypmod FROM pg_attribute AS a WHERE a.attrelid = t.oid AND a.attname = 'embedding') AS dimensions,
       (SELECT o.opcname
        FROM pg_index AS i JOIN pg_opclass AS o ON o.oid = i.indclass[0]
        WHERE i.indexrelid = to_regclass('retrieval.' || quote_ident(%(index)s)) AND i.indisvalid) AS index_class,
       (SELECT o.option_value::integer
        FROM pg_class AS c, pg_options_to_table(c.reloptions) AS o
        WHERE c.oid = to_regclass('retrieval.' || quote_ident(%(index)s)) AND o.option_name = 'm') AS index_m,
       EXISTS (SELECT FROM retrieval.collection AS c WHERE c.name = %(collection)s AND c.model <> %(model)s)
           AS is_replacement,
       (SELECT b.rows FROM retrieval.vector_index AS b WHERE b.vectors = %(vectors)s) AS built_rows,
       (SELECT setting::bigint / 1024 FROM pg_settings WHERE name = 'maintenance_work_mem') AS server_memory_mb,
       (SELECT setting::integer FROM pg_settings WHERE name = 'max_parallel_maintenance_workers') AS server_workers
FROM pg_class AS t
WHERE t.oid = to_regclass('retrieval.' || quote_ident(%(vectors)s));

-- name: find_leftovers
-- remains of a killed build or swap
SELECT c.relname AS index
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = to_regclass('retrieval.' || quote_ident(%(vectors)s))
  AND (NOT i.indisvalid OR c.relname = ANY (%(names)s));

-- name: drop_index
DROP INDEX {concurrently} IF EXISTS retrieval.{index};

-- name: build_index
CREATE INDEX {concurrently} {index} ON retrieval.{vectors} USING hnsw (embedding {operator_class})
WITH (m = {m}, ef_construction = {candidates});

-- name: build_bit_index
CREATE INDEX {concurrently} {index} ON retrieval.{vectors}
USING hnsw ((binary_quantize(embedding)::bit({dimensions})) bit_hamming_ops)
WITH (m = {m}, ef_construction = {candidates});

-- name: read_progress
SELECT phase, tuples_done FROM pg_stat_progress_create_index WHERE pid = %(pid)s;

-- name: rename_index
ALTER INDEX IF EXISTS retrieval.{index} RENAME TO {becomes};

-- name: note_built
INSERT INTO retrieval.vector_index (vectors, rows, seconds)
VALUES (%(vectors)s, %(rows)s, %(seconds)s)
ON CONFLICT (vectors) DO UPDATE SET rows = excluded.rows, seconds = excluded.seconds, built_at = now();

-- name: analyse_vectors
ANALYZE retrieval.{vectors};

-- name: analyse_images
ANALYZE retrieval.image;
