-- name: find_table
SELECT 1 AS found WHERE to_regclass(%(table)s) IS NOT NULL;

-- name: vector_table
CREATE TABLE retrieval.{vectors} (
    id        bigint PRIMARY KEY REFERENCES retrieval.image,
    etag      text NOT NULL,
    embedding halfvec({dimensions}) NOT NULL
);

-- name: vector_storage
-- 1,024 halves are just over the TOAST threshold: kept in line, a scan reads them without a detour
ALTER TABLE retrieval.{vectors} ALTER COLUMN embedding SET STORAGE PLAIN;

-- name: vector_comments
COMMENT ON TABLE retrieval.{vectors} IS 'Vectors of one collection under one model, each of length 1.';
COMMENT ON COLUMN retrieval.{vectors}.id IS 'Image, retrieval.image.id.';
COMMENT ON COLUMN retrieval.{vectors}.etag IS 'Version of the object that the vector was made of.';
COMMENT ON COLUMN retrieval.{vectors}.embedding IS 'The vector, of length 1, in half precision.';

-- name: drop_view
-- only where the vectors' length changes: a replaced view keeps its grants and what depends on it
DROP VIEW IF EXISTS images.{view};

-- name: replace_view
CREATE OR REPLACE VIEW images.{view} AS
SELECT i.image_id,
       i.uri AS image_path,
       i.resampled_uri AS resampled_image_path,
       v.embedding,
       i.group_id,
       i.intra_id,
       i.caption,
       i.width,
       i.height,
       i.format,
       i.attributes,
       i.first_seen AS created_at,
       i.updated AS updated_at
FROM retrieval.{vectors} AS v
JOIN retrieval.image AS i ON i.id = v.id
WHERE i.deleted IS NULL;
COMMENT ON VIEW images.{view} IS 'The searchable images of this collection.';
COMMENT ON COLUMN images.{view}.image_id IS 'Key under the collection''s source, without its extension.';
COMMENT ON COLUMN images.{view}.image_path IS 'Where the original lies.';
COMMENT ON COLUMN images.{view}.resampled_image_path IS 'Where the resampled picture lies; null where none is kept.';
COMMENT ON COLUMN images.{view}.embedding IS 'Vector of length 1; compare with <=> (cosine distance).';
COMMENT ON COLUMN images.{view}.group_id IS 'What several images show, such as a product.';
COMMENT ON COLUMN images.{view}.intra_id IS 'Which image of its group it is.';
COMMENT ON COLUMN images.{view}.caption IS 'What it shows, in words.';
COMMENT ON COLUMN images.{view}.width IS 'Pixels of the upright original.';
COMMENT ON COLUMN images.{view}.height IS 'Pixels of the upright original.';
COMMENT ON COLUMN images.{view}.format IS 'File format by content.';
COMMENT ON COLUMN images.{view}.attributes IS 'Anything else to filter by.';
COMMENT ON COLUMN images.{view}.created_at IS 'When a listing first found it.';
COMMENT ON COLUMN images.{view}.updated_at IS 'When its row last changed.';

-- name: register_model
INSERT INTO retrieval.model (name, source, revision, family, dimensions, use_cls_token)
VALUES (%(name)s, %(source)s, %(revision)s, %(family)s, %(dimensions)s, %(use_cls_token)s)
ON CONFLICT (name) DO NOTHING;

-- name: find_model
SELECT source, revision, family, dimensions, use_cls_token FROM retrieval.model WHERE name = %(name)s;

-- name: find_collection
SELECT model, dimensions FROM retrieval.collection WHERE name = %(name)s FOR UPDATE;

-- name: register_collection
INSERT INTO retrieval.collection (name, source, model, dimensions)
VALUES (%(name)s, %(source)s, %(model)s, %(dimensions)s)
ON CONFLICT (name) DO UPDATE
SET source = excluded.source, model = excluded.model, dimensions = excluded.dimensions, updated_at = now()
WHERE (collection.source, collection.model) IS DISTINCT FROM (excluded.source, excluded.model);

-- name: count_vectors
SELECT count(*) FROM retrieval.{vectors};

-- name: has_index
SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(%(index)s) AND indisvalid);

-- name: drop_index
DROP INDEX IF EXISTS retrieval.{index};

-- name: build_index
CREATE INDEX {index} ON retrieval.{vectors} USING hnsw (embedding halfvec_cosine_ops) WITH (m = 16, ef_construction = 64);

-- name: analyse_vectors
ANALYZE retrieval.{vectors};

-- name: analyse_images
ANALYZE retrieval.image;
