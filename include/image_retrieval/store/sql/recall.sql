-- name: prepare_session
-- otherwise exact searches over the whole table would take every core from people's searches
SET LOCAL max_parallel_workers_per_gather = 0;

-- name: has_index
-- a valid index of a kind that searches use
SELECT EXISTS (
    SELECT FROM pg_index AS i JOIN pg_opclass AS o ON o.oid = i.indclass[0]
    WHERE i.indrelid = to_regclass('retrieval.' || quote_ident(%(vectors)s)) AND i.indisvalid
      AND o.opcname IN ('bit_hamming_ops', 'halfvec_cosine_ops', 'halfvec_ip_ops', 'halfvec_l2_ops')
) AS found;

-- name: count_vectors
SELECT count(*) AS rows FROM retrieval.{vectors};

-- name: sample
SELECT image_id, embedding FROM retrieval.{view} ORDER BY random() LIMIT %(queries)s;

-- name: read_ef_search
SELECT ef_search FROM retrieval.collection WHERE name = %(collection)s;

-- name: nearest
-- ef 0: without the index
SELECT image_id, similarity
FROM retrieval.nearest(%(collection)s, %(query)s, %(k)s, '{{}}', NULL, false, %(ef)s, %(model)s);

-- name: write_recall
INSERT INTO retrieval.recall (collection, model, ef_search, rows, queries, recall, target)
VALUES (%(collection)s, %(model)s, %(ef_search)s, %(rows)s, %(queries)s, %(recall)s, %(target)s);

-- name: set_ef_search
UPDATE retrieval.collection SET ef_search = %(ef_search)s
WHERE name = %(collection)s AND ef_search <> %(ef_search)s;
