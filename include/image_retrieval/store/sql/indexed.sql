-- name: create_indexed
CREATE TEMPORARY TABLE indexed (
    line       bigint NOT NULL,
    uri        text NOT NULL,
    key        text NOT NULL,
    short_id   text NOT NULL,
    etag       text,
    group_id   text,
    intra_id   text,
    caption    text,
    attributes text
) ON COMMIT DROP;
CREATE TEMPORARY TABLE version (
    uri           text NOT NULL,
    etag          text NOT NULL,
    size          bigint NOT NULL,
    last_modified timestamptz NOT NULL
) ON COMMIT DROP;

-- name: copy_indexed
COPY indexed (line, uri, key, short_id, etag, group_id, intra_id, caption, attributes) FROM STDIN (FORMAT binary);

-- name: copy_version
COPY version (uri, etag, size, last_modified) FROM STDIN (FORMAT binary);

-- name: forget_repeated_lines
-- of lines with the same URI, the first one counts
DELETE FROM indexed
WHERE ctid IN (SELECT ctid
               FROM (SELECT ctid, row_number() OVER (PARTITION BY uri ORDER BY line) AS number
                     FROM indexed
                     WHERE uri IN (SELECT uri FROM indexed GROUP BY uri HAVING count(*) > 1)) AS told
               WHERE number > 1);

-- name: find_places
-- What the first and the last URI in order of bytes begin with, all between them begin with, too.
SELECT split_part(uri, '/', 3) AS bucket, count(*) AS members, min(uri COLLATE "C") AS first, max(uri COLLATE "C") AS last
FROM indexed WHERE etag IS NULL AND uri !~ '^https?://' AND uri !~* '\.tar#' GROUP BY split_part(uri, '/', 1), split_part(uri, '/', 3);

-- name: analyse_indexed
-- nobody else does that for temporary tables, and the joins below would loop
ANALYZE indexed, version;

-- name: read_unknown
SELECT i.uri FROM indexed AS i
WHERE i.etag IS NULL AND starts_with(i.uri, %(prefix)s) AND i.uri !~* '\.tar#' AND NOT EXISTS (SELECT FROM version AS v WHERE v.uri = i.uri);

-- name: read_urls
-- in an order that mixes the hosts, so that one that is slow keeps few waiting
SELECT i.uri, r.uri IS NOT NULL AS given_up
FROM indexed AS i
LEFT JOIN retrieval.rejected AS r
       ON r.collection = %(collection)s AND r.uri = i.uri AND r.final
      AND (r.etag = '' OR r.reason = 'changed_while_reading')
WHERE i.etag IS NULL AND i.uri ~ '^https?://'
ORDER BY md5(i.uri);

-- name: keep_known
-- Images whose store does not answer for them stay as they are, at the version that was rejected last, or is embedded.
INSERT INTO version (uri, etag, size, last_modified)
SELECT i.uri, coalesce(nullif(r.etag, ''), i.etag, ''), coalesce(i.size, 0), coalesce(i.last_modified, 'epoch')
FROM retrieval.image AS i
LEFT JOIN retrieval.rejected AS r ON r.collection = i.collection AND r.uri = i.uri
WHERE i.collection = %(collection)s AND i.uri = ANY (%(uris)s::text[]) AND i.deleted IS NULL
RETURNING uri;

-- name: fill_listed
INSERT INTO listed (uri, key, short_id, etag, size, last_modified, group_id, intra_id, about)
SELECT i.uri, i.key, i.short_id, coalesce(i.etag, v.etag), coalesce(v.size, 0),
       coalesce(v.last_modified, 'epoch'), i.group_id, i.intra_id,
       CASE WHEN i.caption IS NOT NULL OR i.attributes IS NOT NULL
            THEN jsonb_strip_nulls(jsonb_build_object('caption', i.caption)) || CASE
                WHEN i.attributes IS NULL THEN '{{}}' ELSE jsonb_build_object('attributes', i.attributes::jsonb) END
       END
FROM indexed AS i
LEFT JOIN (SELECT DISTINCT ON (uri) * FROM version ORDER BY uri, last_modified DESC) AS v ON v.uri = i.uri
WHERE i.etag IS NOT NULL OR v.uri IS NOT NULL;

-- name: drop_indexed
DROP TABLE indexed, version;
