-- name: announce
INSERT INTO retrieval.pending (collection, uri, kind, sha256, former_uri, etag, last_modified)
VALUES (%(collection)s, %(uri)s, %(kind)s, %(sha256)s, %(former_uri)s, %(etag)s, %(last_modified)s)
ON CONFLICT (collection, uri) DO UPDATE
SET kind = excluded.kind, sha256 = excluded.sha256, former_uri = excluded.former_uri, etag = excluded.etag,
    last_modified = excluded.last_modified, since = now();

-- name: read_pending
SELECT collection, uri, kind, sha256, former_uri, etag, last_modified
FROM retrieval.pending WHERE collection = %(collection)s ORDER BY since, uri;

-- name: collections_with_pending
SELECT DISTINCT collection FROM retrieval.pending ORDER BY collection;

-- name: forget_pending
DELETE FROM retrieval.pending WHERE collection = %(collection)s AND uri = %(uri)s;
