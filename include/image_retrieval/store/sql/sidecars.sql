-- name: take_sidecars
-- what lies beside the images is listed with them, and leaves the listing here
CREATE TEMPORARY TABLE sidecar ON COMMIT DROP AS
WITH taken AS (DELETE FROM listed WHERE key ~* '\.(json|txt)$' RETURNING uri, short_id, etag)
SELECT short_id,
       max(uri) FILTER (WHERE uri ~* '\.json$') AS json_uri, max(etag) FILTER (WHERE uri ~* '\.json$') AS json_etag,
       max(uri) FILTER (WHERE uri ~* '\.txt$') AS txt_uri, max(etag) FILTER (WHERE uri ~* '\.txt$') AS txt_etag
FROM taken GROUP BY short_id;
CREATE INDEX ON listed (short_id);
ANALYZE sidecar, listed;

-- name: read_changed
SELECT s.short_id, s.json_uri, s.json_etag, s.txt_uri, s.txt_etag
FROM sidecar AS s
WHERE EXISTS (SELECT FROM listed AS l
              LEFT JOIN retrieval.image AS i ON i.collection = %(collection)s AND i.uri = l.uri
              WHERE l.short_id = s.short_id
                AND (i.about #>> '{{sidecar,json}}', i.about #>> '{{sidecar,txt}}') IS DISTINCT FROM (s.json_etag, s.txt_etag));

-- name: keep_unchanged
UPDATE listed AS l
SET about = i.about
FROM sidecar AS s, retrieval.image AS i
WHERE s.short_id = l.short_id AND i.collection = %(collection)s AND i.uri = l.uri AND i.about IS NOT NULL;

-- name: describe_listed
UPDATE listed SET about = %(about)s WHERE short_id = %(short_id)s;

-- name: drop_sidecars
DROP TABLE sidecar;
