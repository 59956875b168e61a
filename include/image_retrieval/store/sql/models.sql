-- name: find_shown
SELECT model, overrules, text_model FROM retrieval.collection WHERE name = %(collection)s;

-- name: has_vectors
SELECT EXISTS (SELECT FROM retrieval.{vectors}) AS found;

-- name: find_tables_of
SELECT vectors FROM retrieval.vector_space
WHERE model = %(model)s AND to_regclass('retrieval.' || quote_ident(vectors)) IS NOT NULL;

-- name: register_model
-- a model from before dtypes were recorded gets the one that it runs with
INSERT INTO retrieval.model AS m (name, source, revision, family, dimensions, use_cls_token, dtype, calibration)
VALUES (%(name)s, %(source)s, %(revision)s, %(family)s, %(dimensions)s, %(use_cls_token)s, %(dtype)s, %(calibration)s)
ON CONFLICT (name) DO UPDATE SET dtype = coalesce(m.dtype, excluded.dtype), calibration = excluded.calibration
WHERE m.dtype IS NULL OR m.calibration IS DISTINCT FROM excluded.calibration;

-- name: find_model
SELECT name, source, revision, family, dimensions, use_cls_token, dtype, digest
FROM retrieval.model WHERE name = %(name)s;

-- name: record_source
UPDATE retrieval.model SET source = %(source)s, revision = %(revision)s
WHERE name = %(name)s AND (source, revision) IS DISTINCT FROM (%(source)s, %(revision)s::text);

-- name: record_family
UPDATE retrieval.model SET family = %(family)s WHERE name = %(name)s;

-- name: record_digest
-- by the first shard; a concurrent upsert of another shard waits here until that one is loaded
UPDATE retrieval.model SET digest = %(digest)s WHERE name = %(name)s AND digest IS NULL;
