-- name: keep_newer_versions
-- An object that the inventory shows in an earlier version than the one that is known was written after it.
UPDATE listed AS l
SET etag = coalesce(nullif(r.etag, ''), i.etag), size = coalesce(i.size, 0), last_modified = i.last_modified
FROM retrieval.image AS i
LEFT JOIN retrieval.rejected AS r ON r.collection = i.collection AND r.uri = i.uri
WHERE i.collection = %(collection)s AND i.uri = l.uri AND i.deleted IS NULL
  AND i.last_modified >= %(created)s AND i.last_modified > l.last_modified
  AND coalesce(nullif(r.etag, ''), i.etag) IS NOT NULL;

-- name: forget_deleted
-- An image that was deleted after the inventory was made stays so, unless the inventory shows a later version of it.
DELETE FROM listed AS l
USING retrieval.image AS i
WHERE i.collection = %(collection)s AND i.uri = l.uri AND i.deleted >= %(created)s
  AND (i.last_modified IS NULL OR l.last_modified <= i.last_modified);

-- name: keep_newer
-- Images that the inventory cannot know are listed at the version that was rejected last, or is embedded; what other
-- kinds say of them is merged anew (told.sql).
INSERT INTO listed (uri, key, short_id, etag, size, last_modified, group_id, intra_id, about)
SELECT i.uri, i.image_id, i.image_id, coalesce(nullif(r.etag, ''), i.etag, ''), coalesce(i.size, 0),
       coalesce(i.last_modified, 'epoch'), i.group_id, i.intra_id,
       CASE WHEN i.about ? 'of' THEN i.about #> ARRAY['of', 'source'] ELSE i.about END
FROM retrieval.image AS i
LEFT JOIN retrieval.rejected AS r ON r.collection = i.collection AND r.uri = i.uri
WHERE i.collection = %(collection)s AND i.deleted IS NULL
  AND greatest(i.last_modified, i.first_seen) >= %(created)s
  AND NOT EXISTS (SELECT FROM listed AS l WHERE l.uri = i.uri);
