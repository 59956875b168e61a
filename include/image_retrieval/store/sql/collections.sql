-- name: known_collections
SELECT name, source, model, dimensions, text_model FROM retrieval.collection ORDER BY name;

-- name: count_images
SELECT count(*) FILTER (WHERE i.deleted IS NULL AND v.id IS NOT NULL) AS images,
       count(*) FILTER (WHERE i.deleted IS NOT NULL) AS deleted,
       count(v.id) AS vectors,
       (SELECT count(*) FROM retrieval.rejected AS r WHERE r.collection = %(collection)s) AS rejected
FROM retrieval.image AS i
LEFT JOIN retrieval.{vectors} AS v ON v.id = i.id
WHERE i.collection = %(collection)s;

-- name: find_shown
-- model: null for the shown one, or another one under which the collection has vectors
SELECT c.name, c.source, m.dimensions, m.name AS model, m.source AS model_source, m.revision, m.dtype, m.use_cls_token,
       m.digest, m.family, m.calibration, c.text_model,
       (SELECT jsonb_object_agg(f.direction, to_jsonb(f)) FROM retrieval.calibration AS f
        WHERE f.collection = c.name AND f.model = m.name AND f.slope IS NOT NULL AND c.distance <> 'l2') AS fitted
FROM retrieval.collection AS c
JOIN retrieval.model AS m ON m.name = coalesce(%(model)s::text, c.model)
WHERE c.name = %(name)s;

-- name: models_with_vectors
SELECT m.name
FROM retrieval.collection AS c JOIN retrieval.model AS m ON m.name = c.model OR EXISTS (
    SELECT FROM retrieval.vector_space AS s
    WHERE s.collection = c.name AND s.model = m.name
      AND to_regclass('retrieval.' || quote_ident('images_' || c.name || '_' || m.name)) IS NOT NULL
)
WHERE c.name = %(name)s AND m.family <> 'text_encoder'
ORDER BY m.name <> c.model, m.name;

-- name: find_stored
SELECT c.name, c.source, c.definition, c.model, m.source AS model_source, m.revision, m.dtype, m.use_cls_token
FROM retrieval.collection AS c
JOIN retrieval.model AS m ON m.name = c.model
ORDER BY c.name;

-- name: made_collections
SELECT name, definition FROM retrieval.made_collection ORDER BY name;

-- name: find_made
SELECT name, definition FROM retrieval.made_collection WHERE name = %(name)s;

-- name: has_remains
-- images and vectors of an entry that was removed from the file
SELECT EXISTS (SELECT FROM retrieval.collection WHERE name = %(name)s)
    OR EXISTS (SELECT FROM retrieval.image WHERE collection = %(name)s) AS found;

-- name: make_collection
INSERT INTO retrieval.made_collection (name, definition) VALUES (%(name)s, %(definition)s)
ON CONFLICT (name) DO NOTHING;

-- name: has_captions
SELECT retrieval.has_captions(%(collection)s, %(looked_at)s) AS found;
