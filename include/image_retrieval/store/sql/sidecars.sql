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
WHERE EXISTS (SELECT FROM listed AS l LEFT JOIN told AS t ON t.uri = l.uri AND t.kind = 'sidecar'
              WHERE l.short_id = s.short_id
                AND (t.about ->> 'json', t.about ->> 'txt') IS DISTINCT FROM (s.json_etag, s.txt_etag));

-- name: forget_removed
-- what images without a sidecar were described by
DELETE FROM told AS t
USING listed AS l
WHERE t.kind = 'sidecar' AND l.uri = t.uri AND NOT EXISTS (SELECT FROM sidecar AS s WHERE s.short_id = l.short_id);

-- name: tell_sidecar
INSERT INTO told (uri, kind, about)
SELECT uri, 'sidecar', %(about)s FROM listed WHERE short_id = %(short_id)s
ON CONFLICT (uri, kind) DO UPDATE SET about = excluded.about;

-- name: drop_sidecars
DROP TABLE sidecar;
