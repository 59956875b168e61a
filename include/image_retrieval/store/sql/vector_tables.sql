-- name: drop_vectors
SELECT retrieval.drop_vectors(%(collection)s, %(model)s);

-- name: find_space
SELECT 1 AS found FROM retrieval.vector_space
WHERE collection = %(collection)s AND model = %(model)s AND to_regclass('retrieval.' || quote_ident(vectors)) IS NOT NULL;

-- name: release_space
-- removes a space whose table somebody dropped by hand
DELETE FROM retrieval.vector_space
WHERE stem = %(stem)s AND (collection, model) <> (%(collection)s, %(model)s)
  AND to_regclass('retrieval.' || quote_ident(vectors)) IS NULL
RETURNING collection, model;

-- name: drop_matching
-- the view of such a space that does not go with its table
DROP VIEW IF EXISTS retrieval.{matching};

-- name: claim_space
-- a concurrent claim of the same names waits here until this transaction ends
INSERT INTO retrieval.vector_space (collection, model) VALUES (%(collection)s, %(model)s) ON CONFLICT DO NOTHING;

-- name: find_owner
SELECT collection, model FROM retrieval.vector_space WHERE stem = %(stem)s;

-- name: find_strays
-- an object that has a name that a new space needs, and belongs to no space
SELECT relname AS name FROM pg_class WHERE relnamespace = 'retrieval'::regnamespace AND relname = ANY (%(relations)s)
UNION
SELECT proname FROM pg_proc WHERE pronamespace = 'retrieval'::regnamespace AND proname = ANY (%(functions)s)
ORDER BY name;

-- name: vector_table
CREATE TABLE retrieval.{vectors} (
    id        bigint PRIMARY KEY REFERENCES retrieval.image,
    etag      text NOT NULL,
    embedding halfvec({dimensions}) NOT NULL,
    digest    bigint
);

-- name: vector_storage
-- 1,024 halves are just over the TOAST threshold: kept in line, a scan reads them without a detour
ALTER TABLE retrieval.{vectors} ALTER COLUMN embedding SET STORAGE PLAIN;

-- name: vector_trigger
CREATE TRIGGER forget_digest BEFORE UPDATE OF embedding ON retrieval.{vectors} FOR EACH ROW
    WHEN (OLD.digest = NEW.digest AND OLD.embedding <> NEW.embedding)
    EXECUTE FUNCTION retrieval.forget_digest();

-- name: vector_comments
COMMENT ON TABLE retrieval.{vectors} IS 'Vectors of one collection under one model, each of length 1.';
COMMENT ON COLUMN retrieval.{vectors}.id IS 'Image, retrieval.image.id.';
COMMENT ON COLUMN retrieval.{vectors}.etag IS 'Version of the object that the vector was made of.';
COMMENT ON COLUMN retrieval.{vectors}.embedding IS 'The vector, of length 1, in half precision.';
COMMENT ON COLUMN retrieval.{vectors}.digest IS 'XXH3 of the vector as it was loaded, in single precision; null where it is not known.';

-- name: face_vectors
SELECT retrieval.face_vectors(%(collection)s, %(model)s, %(distance)s);

-- name: drop_view
-- only if the vectors' length changes, since a replaced view keeps its grants and dependent objects
DROP VIEW IF EXISTS images.{view};

-- name: replace_view
SELECT retrieval.show_vectors(%(view)s, %(vectors)s);

-- name: find_collection
SELECT model, dimensions FROM retrieval.collection WHERE name = %(name)s FOR UPDATE;

-- name: register_collection
INSERT INTO retrieval.collection (name, source, model, dimensions, distance, definition)
VALUES (%(name)s, %(source)s, %(model)s, %(dimensions)s, %(distance)s, %(definition)s)
ON CONFLICT (name) DO UPDATE
SET source = excluded.source, model = excluded.model, dimensions = excluded.dimensions, distance = excluded.distance,
    overrules = CASE WHEN collection.model = excluded.model THEN collection.overrules END,
    definition = excluded.definition,
    updated_at = CASE WHEN (collection.source, collection.model, collection.distance)
                           IS DISTINCT FROM (excluded.source, excluded.model, excluded.distance)
                      THEN now() ELSE collection.updated_at END
WHERE (collection.source, collection.model, collection.distance, collection.definition)
      IS DISTINCT FROM (excluded.source, excluded.model, excluded.distance, excluded.definition);

-- name: renew_views
SELECT retrieval.renew_views();
