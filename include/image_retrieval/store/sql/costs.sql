-- name: prepare_session
-- measures what a search costs, on one core
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL random_page_cost = 1.1;
SET LOCAL jit = off;

-- name: sample
-- some images and a vector, by where they lie: reading all of a large table would take long
SELECT array_agg(id) AS ids, (array_agg(embedding))[1] AS query
FROM (SELECT id, embedding FROM retrieval.{vectors} TABLESAMPLE SYSTEM (%(percent)s) ORDER BY random() LIMIT %(rows)s) AS sampled;

-- name: compare
SELECT min(embedding {operator} %(query)s) AS nearest FROM retrieval.{vectors} WHERE id = ANY (%(ids)s);

-- name: ask_index
-- a filter that lets every image through, so that each candidate is looked at
SELECT count(*) AS found
FROM retrieval.nearest(%(collection)s, %(query)s, %(k)s, '{{"not": {{"image_id": ""}}}}', NULL, false, %(ef)s, %(model)s);

-- name: scan
-- some pages of the table, the same ones each time: reading all of a large one would take long
SELECT count(*) AS found
FROM retrieval.image TABLESAMPLE SYSTEM (%(percent)s) REPEATABLE (0)
WHERE collection = %(collection)s AND deleted IS NULL AND attributes = '{{"": 0}}';

-- name: explain_scan
EXPLAIN (FORMAT JSON) {scan};

-- name: write
UPDATE retrieval.collection SET costs = %(costs)s WHERE name = %(collection)s;
