-- name: find_vector
SELECT retrieval.find_embedding(%(collection)s, %(image_id)s, %(model)s) AS embedding;

-- name: find_image
SELECT image_id, image_path, resampled_image_path, group_id, intra_id, left(caption, 100001) AS caption, width, height,
       format, left(attributes::text, 1048577) AS attributes, created_at, updated_at, captured_at, sha256,
       aspect, orientation, colours, sharpness, complexity, captions
FROM images.{view} WHERE image_id = %(image_id)s;

-- name: list_images
SELECT image_id, image_path, resampled_image_path, group_id, intra_id, left(caption, 100001) AS caption, width, height,
       format, left(attributes::text, 1048577) AS attributes, created_at, updated_at, captured_at, sha256,
       aspect, orientation, colours, sharpness, complexity, captions
FROM images.{view}
WHERE (%(after)s::text IS NULL OR image_id COLLATE "C" > %(after)s)
  AND (%(group_id)s::text IS NULL OR group_id = %(group_id)s)
ORDER BY image_id COLLATE "C"
LIMIT %(limit)s;

-- name: find_images
SELECT image_id, image_path, resampled_image_path, group_id, intra_id, left(caption, 100001) AS caption, width, height,
       format, left(attributes::text, 1048577) AS attributes, created_at, updated_at, captured_at, sha256,
       aspect, orientation, colours, sharpness, complexity, captions
FROM images.{view} WHERE image_id = ANY (%(image_ids)s)
ORDER BY image_id COLLATE "C";

-- name: find_captions
SELECT image_id, captions FROM images.{view} WHERE image_id = ANY (%(image_ids)s) AND captions IS NOT NULL;

-- name: list_members
SELECT image_id, image_path, group_id, intra_id
FROM images.{view}
WHERE (%(after)s::text IS NULL OR image_id COLLATE "C" > %(after)s)
  AND (%(group_id)s::text IS NULL OR group_id = %(group_id)s)
  AND (%(intra_id)s::text IS NULL OR intra_id = %(intra_id)s)
ORDER BY image_id COLLATE "C"
LIMIT %(limit)s;

-- name: next_intra_id
SELECT (coalesce(max(intra_id::bigint), -1) + 1)::text AS intra_id
FROM retrieval.image
WHERE collection = %(collection)s AND group_id = %(group_id)s AND intra_id ~ '^[0-9]{{1,15}}$';

-- name: find_object
SELECT uri, deleted IS NOT NULL AS deleted FROM retrieval.image
WHERE collection = %(collection)s AND image_id = %(image_id)s;

-- name: find_listed
SELECT uri, etag, size, resampled_uri FROM retrieval.image
WHERE collection = %(collection)s AND image_id = %(image_id)s AND deleted IS NULL;

-- name: find_chosen
SELECT image_id, image_path, resampled_image_path,
       CASE WHEN %(vectors)s THEN embedding::vector::real[] END AS image_embedding, group_id, intra_id, caption, width, height,
       format, attributes::text AS attributes, created_at, updated_at, captured_at, sha256, phash, aspect, orientation,
       colours, sharpness, complexity, captions::text AS captions
FROM images.{view} JOIN unnest(%(image_ids)s::text[]) WITH ORDINALITY AS asked (id, place) ON image_id = id
ORDER BY place;

-- name: find_registered
SELECT id, image_id FROM retrieval.image WHERE collection = %(collection)s AND uri = %(uri)s;

-- name: mark_deleted
UPDATE retrieval.image SET deleted = now(), updated = now()
WHERE collection = %(collection)s AND image_id = %(image_id)s AND deleted IS NULL
RETURNING uri;

-- name: forget_rejection
DELETE FROM retrieval.rejected WHERE collection = %(collection)s AND uri = %(uri)s;

-- name: describe_image
UPDATE retrieval.image
SET group_id   = CASE WHEN 'group_id' = ANY (%(given)s) THEN %(group_id)s ELSE group_id END,
    intra_id   = CASE WHEN 'intra_id' = ANY (%(given)s) THEN %(intra_id)s ELSE intra_id END,
    caption    = CASE WHEN 'caption' = ANY (%(given)s) THEN %(caption)s ELSE caption END,
    attributes = CASE WHEN 'attributes' = ANY (%(given)s) THEN %(attributes)s ELSE attributes END,
    updated = now()
WHERE collection = %(collection)s AND image_id = %(image_id)s AND deleted IS NULL;

-- name: same_bytes
SELECT sha256, array_agg(image_id ORDER BY image_id) AS image_ids
FROM images.{view}
GROUP BY sha256
HAVING count(*) > 1
ORDER BY count(*) DESC, sha256
LIMIT %(limit)s OFFSET %(offset)s;
