-- name: find_collation
-- whether the database orders text by its code points, as stores order keys; then an index gives that order
SELECT coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', datcollate)
       IN ('C', 'POSIX', 'C.UTF-8', 'C.utf8', 'C.UTF8') AS by_code_points
FROM pg_database AS d WHERE datname = current_database();

-- name: read_known
-- The images that a listing may find unchanged, with the version that has a vector; without it, if more decides: a
-- rejection, or a description.
SELECT i.uri, CASE WHEN r.uri IS NULL AND i.about IS NULL THEN v.etag END AS etag, i.group_id, i.intra_id
FROM retrieval.image AS i
LEFT JOIN retrieval.{vectors} AS v ON v.id = i.id
LEFT JOIN retrieval.rejected AS r ON r.collection = %(collection)s AND r.uri = i.uri
WHERE i.collection = %(collection)s AND i.deleted IS NULL AND (%(behind)s::text IS NULL OR i.uri {order} > %(behind)s)
ORDER BY i.uri {order};

-- name: create_unlisted
CREATE TEMPORARY TABLE unlisted (uri text NOT NULL) ON COMMIT DROP;

-- name: copy_unlisted
COPY unlisted (uri) FROM STDIN (FORMAT binary);

-- name: find_compared
-- the images that may differ: those that are not listed, and those of objects that are
CREATE TEMPORARY TABLE compared ON COMMIT DROP AS
SELECT i.*
FROM (SELECT uri FROM unlisted UNION SELECT uri FROM listed) AS named
JOIN retrieval.image AS i ON i.collection = %(collection)s AND i.uri = named.uri;

-- name: analyse_compared
ANALYZE compared;

-- name: drop_compared
DROP TABLE listed, unlisted;
