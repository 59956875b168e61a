-- name: read_trainable
-- images of a collection that can be decoded, as far as is known
SELECT i.image_id, i.uri, i.etag, i.size, i.group_id, i.caption
FROM retrieval.image AS i
WHERE i.collection = %(collection)s AND i.deleted IS NULL AND i.etag IS NOT NULL
  AND NOT EXISTS (SELECT FROM retrieval.rejected AS r WHERE r.collection = i.collection AND r.uri = i.uri)
ORDER BY i.image_id COLLATE "C";

-- name: read_alike
-- pairs of images that show the same file, picture or scene, unless somebody said that they do not
SELECT a, b FROM images.duplicates
WHERE collection = %(collection)s AND verdict IS DISTINCT FROM 'different'
ORDER BY a COLLATE "C", b COLLATE "C";
