-- name: prepare_session
-- the joins below hold all objects in memory if possible; each row takes some 200 bytes
SELECT set_config('work_mem', '256MB', true);

-- name: known_cuts
-- read from the index alone, in its own order, which need not be that of a store
SELECT uri
FROM (SELECT uri, row_number() OVER (ORDER BY uri) AS number
      FROM retrieval.image WHERE collection = %(collection)s) AS known
WHERE mod(number, %(rows)s) = 0;

-- name: create_listed
CREATE TEMPORARY TABLE listed (
    uri           text NOT NULL,
    key           text NOT NULL,
    short_id      text NOT NULL,
    etag          text NOT NULL,
    size          bigint NOT NULL,
    last_modified timestamptz NOT NULL,
    group_id      text,
    intra_id      text,
    about         jsonb
) ON COMMIT DROP;

-- name: copy_listed
COPY listed (uri, key, short_id, etag, size, last_modified, group_id, intra_id) FROM STDIN (FORMAT binary);

-- name: empty_listed
TRUNCATE listed;

-- name: forget_repeated
-- if a store listed an object more than once, the newest entry stays
DELETE FROM listed
WHERE ctid IN (SELECT ctid
               FROM (SELECT ctid, row_number() OVER (PARTITION BY uri ORDER BY last_modified DESC, ctid DESC) AS number
                     FROM listed
                     WHERE uri IN (SELECT uri FROM listed GROUP BY uri HAVING count(*) > 1)) AS told
               WHERE number > 1);

-- name: analyse_listed
ANALYZE listed;

-- name: find_differences
-- One pass over objects, images and vectors finds the differences. All later statements look only at these.
CREATE TEMPORARY TABLE difference ON COMMIT DROP AS
SELECT i.id, i.deleted IS NOT NULL AS was_deleted, l.*
FROM listed AS l
FULL JOIN (SELECT * FROM {images}
           WHERE collection = %(collection)s
             AND (NOT %(hinted)s OR uri IN (SELECT uri FROM hinted WHERE shown))) AS i ON i.uri = l.uri
LEFT JOIN retrieval.{vectors} AS v ON v.id = i.id
LEFT JOIN retrieval.rejected AS r
       ON r.collection = %(collection)s AND r.uri = l.uri AND r.etag = l.etag
      AND (r.model IS NULL OR r.model = %(model)s)
WHERE CASE
    WHEN l.uri IS NULL THEN i.deleted IS NULL
    WHEN i.id IS NULL OR i.deleted IS NOT NULL THEN true
    WHEN (coalesce(l.group_id, i.group_id), coalesce(l.intra_id, i.intra_id)) IS DISTINCT FROM (i.group_id, i.intra_id) THEN true
    WHEN l.about IS DISTINCT FROM i.about THEN true
    WHEN r.uri IS NULL THEN v.etag IS DISTINCT FROM l.etag
    ELSE NOT r.final
END;

-- name: count_differences
SELECT count(*) FILTER (WHERE uri IS NULL) AS gone, count(*) FILTER (WHERE id IS NULL OR was_deleted) AS added
FROM difference;

-- name: mark_gone
UPDATE retrieval.image AS i
SET deleted = now(), updated = now()
FROM difference AS d
WHERE i.id = d.id AND d.uri IS NULL;

-- name: narrow_listed
TRUNCATE listed;
INSERT INTO listed
SELECT uri, key, short_id, etag, size, last_modified, group_id, intra_id, about FROM difference WHERE uri IS NOT NULL;
ANALYZE listed;

-- name: forget_rejected
-- rejections of versions that no longer exist; a URL that is another version whenever it is asked keeps its attempts
DELETE FROM retrieval.rejected AS r
WHERE r.collection = %(collection)s AND (NOT %(hinted)s OR r.uri IN (SELECT uri FROM hinted WHERE shown))
  AND NOT EXISTS (SELECT FROM listed AS l
                  WHERE l.uri = r.uri
                    AND (l.etag = r.etag OR (r.reason = 'changed_while_reading' AND r.uri ~ '^https?://')))
  AND r.uri <> ALL (%(kept)s::text[]);

-- name: reject_listed
-- What is wrong stays so at every run, so the rejection of this version stays until it is queued again. Of an unknown
-- version, the attempts go on.
INSERT INTO retrieval.rejected AS r (collection, uri, etag, stage, reason, detail, final, run_id)
VALUES (%(collection)s, %(uri)s, %(etag)s, 'list', %(reason)s, %(detail)s,
        NOT %(transient)s OR %(max_attempts)s <= 1, %(run_id)s)
ON CONFLICT (collection, uri) DO UPDATE
SET stage = excluded.stage, model = NULL, reason = excluded.reason, detail = excluded.detail, run_id = excluded.run_id,
    updated_at = now(), etag = excluded.etag,
    attempts = CASE WHEN excluded.etag IN (r.etag, '') THEN r.attempts + 1 ELSE 1 END,
    final = NOT %(transient)s
         OR CASE WHEN excluded.etag IN (r.etag, '') THEN r.attempts + 1 ELSE 1 END >= %(max_attempts)s
WHERE NOT r.final OR (r.stage, r.etag, r.detail) IS DISTINCT FROM (excluded.stage, excluded.etag, excluded.detail);

-- name: restore
UPDATE retrieval.image AS i
SET deleted = NULL, updated = now()
FROM listed AS l
WHERE i.collection = %(collection)s AND i.uri = l.uri AND i.deleted IS NOT NULL;

-- name: register
-- Run once per kind of id: the key without its extension; if that is taken, the whole key; if that is taken, too
-- (a.jpg, a.png and a.png.jpg in one folder), the key and a part of the URI's hash. The first in order of URI wins.
INSERT INTO retrieval.image (collection, image_id, uri, size, last_modified, group_id, intra_id, caption, attributes, about)
SELECT %(collection)s,
       CASE %(kind)s WHEN 1 THEN l.short_id WHEN 2 THEN l.key ELSE l.key || '~' || left(md5(l.uri), 8) END,
       l.uri, l.size, l.last_modified, l.group_id, l.intra_id, l.about ->> 'caption',
       coalesce(l.about -> 'attributes', '{{}}'), l.about
FROM listed AS l
WHERE NOT EXISTS (SELECT FROM retrieval.image AS i WHERE i.collection = %(collection)s AND i.uri = l.uri)
ORDER BY l.uri COLLATE "C"
ON CONFLICT DO NOTHING;

-- name: describe
-- What a source changes is written over what people set; what it leaves as it was is not. A changed id_pattern applies
-- to existing rows; groups that people set stay where neither it nor the source names any.
UPDATE retrieval.image AS i
SET caption = CASE WHEN l.about -> 'caption' IS DISTINCT FROM i.about -> 'caption' THEN l.about ->> 'caption' ELSE i.caption END,
    attributes = i.attributes
        - ARRAY (SELECT key FROM jsonb_object_keys(coalesce(i.about -> 'attributes', '{{}}')) AS key
                 WHERE NOT coalesce(l.about -> 'attributes', '{{}}') ? key)
        || coalesce((SELECT jsonb_object_agg(key, value)
                     FROM jsonb_each(coalesce(l.about -> 'attributes', '{{}}'))
                     WHERE value IS DISTINCT FROM i.about -> 'attributes' -> key), '{{}}'),
    group_id = coalesce(l.group_id, i.group_id), intra_id = coalesce(l.intra_id, i.intra_id),
    about = l.about, updated = now()
FROM listed AS l
WHERE i.collection = %(collection)s AND i.uri = l.uri
  AND (l.about, coalesce(l.group_id, i.group_id), coalesce(l.intra_id, i.intra_id))
      IS DISTINCT FROM (i.about, i.group_id, i.intra_id);

-- name: find_due
-- The images to embed: a rejection of this version decides by whether it is final, else a missing vector does.
CREATE TEMPORARY TABLE due ON COMMIT DROP AS
SELECT i.id, i.image_id, l.uri, l.etag, l.size, l.last_modified, v.id IS NULL AS is_new
FROM listed AS l
JOIN retrieval.image AS i ON i.collection = %(collection)s AND i.uri = l.uri
LEFT JOIN retrieval.{vectors} AS v ON v.id = i.id
LEFT JOIN retrieval.rejected AS r
       ON r.collection = %(collection)s AND r.uri = l.uri AND r.etag = l.etag
      AND (r.model IS NULL OR r.model = %(model)s)
WHERE %(full)s OR CASE WHEN r.uri IS NULL THEN v.etag IS DISTINCT FROM l.etag ELSE NOT r.final END;

-- name: count_due
SELECT count(*) FILTER (WHERE is_new) AS new, count(*) FILTER (WHERE NOT is_new) AS changed FROM due;

-- name: read_due
SELECT id, image_id, uri, etag, size, last_modified FROM due ORDER BY uri COLLATE "C" LIMIT %(limit)s;
