-- name: find_unprinted
-- images from before the schema had these fingerprints, if their resampled picture is kept
SELECT id, etag, resampled_uri, width, height FROM retrieval.image
WHERE collection = %(collection)s AND deleted IS NULL AND id > %(after)s
  AND (colours IS NULL OR phash IS NULL AND %(whole)s) AND etag IS NOT NULL AND resampled_uri IS NOT NULL
ORDER BY id
LIMIT %(limit)s;

-- name: set_prints
-- One that gets its hash is compared again, since only its vector was compared.
WITH hashed AS (SELECT id FROM retrieval.image WHERE id = %(id)s AND phash IS NULL AND %(phash)s::bigint IS NOT NULL),
printed AS (
    UPDATE retrieval.image
    SET phash = coalesce(phash, %(phash)s), colours = coalesce(colours, string_to_array(%(colours)s, ',')),
        sharpness = coalesce(sharpness, %(sharpness)s), complexity = coalesce(complexity, %(complexity)s)
    WHERE id = %(id)s AND etag = %(etag)s
    RETURNING id
)
DELETE FROM retrieval.compared WHERE id IN (SELECT id FROM hashed NATURAL JOIN printed);
