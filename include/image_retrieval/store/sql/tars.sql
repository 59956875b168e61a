-- name: read_seen
SELECT uri, seen FROM retrieval.tar WHERE collection = %(collection)s;

-- name: forget_others
DELETE FROM retrieval.tar WHERE collection = %(collection)s AND uri <> ALL (%(uris)s::text[]);

-- name: write_tar
INSERT INTO retrieval.tar (collection, uri, etag, seen, last_modified, names, offsets, sizes, abouts, faults)
VALUES (%(collection)s, %(uri)s, %(etag)s, %(etag)s, %(last_modified)s, %(names)s, %(offsets)s, %(sizes)s, %(abouts)s,
        %(faults)s)
ON CONFLICT (collection, uri) DO UPDATE
SET etag = excluded.etag, seen = excluded.seen, last_modified = excluded.last_modified, names = excluded.names,
    offsets = excluded.offsets, sizes = excluded.sizes, abouts = excluded.abouts, faults = excluded.faults,
    reason = NULL, detail = NULL;

-- name: write_unread
-- what is known of the version before stays
INSERT INTO retrieval.tar (collection, uri, seen, reason, detail)
VALUES (%(collection)s, %(uri)s, %(seen)s, %(reason)s, %(detail)s)
ON CONFLICT (collection, uri) DO UPDATE SET seen = excluded.seen, reason = excluded.reason, detail = excluded.detail;

-- name: read_tars
SELECT uri, etag, seen, last_modified, names, offsets, sizes, abouts, faults, reason, detail
FROM retrieval.tar WHERE collection = %(collection)s ORDER BY uri COLLATE "C";

-- name: copy_listed
COPY listed (uri, key, short_id, etag, size, last_modified, group_id, intra_id, about) FROM STDIN (FORMAT binary);

-- name: keep_descriptions
-- of pictures whose description cannot be read: what the tar said; what other kinds say is merged anew (told.sql)
UPDATE listed AS l
SET about = CASE WHEN i.about ? 'of' THEN i.about #> ARRAY['of', 'source'] ELSE i.about END
FROM retrieval.image AS i
WHERE l.uri = ANY (%(uris)s::text[]) AND i.collection = %(collection)s AND i.uri = l.uri;

-- name: find_member
SELECT etag, offsets[number] AS "offset", sizes[number] AS size
FROM (SELECT etag, offsets, sizes, array_position(names, %(name)s) AS number
      FROM retrieval.tar WHERE uri = %(tar)s ORDER BY last_modified DESC) AS found
WHERE number IS NOT NULL LIMIT 1;

-- name: find_tars
-- those whose members an index file lists
SELECT DISTINCT substring(uri FROM '(?i)^(.*?\.tar)#') AS tar FROM indexed WHERE uri ~* '\.tar#';

-- name: write_versions
-- a version is written as tar_uris.version_of has it
INSERT INTO version (uri, etag, size, last_modified)
SELECT t.uri || '#' || m.name, t.etag || ':' || m.offset || '+' || m.size, m.size, t.last_modified
FROM retrieval.tar AS t CROSS JOIN unnest(t.names, t.offsets, t.sizes) AS m (name, "offset", size)
JOIN indexed AS i ON i.uri = t.uri || '#' || m.name
WHERE t.collection = %(collection)s;

-- name: read_unknown
SELECT i.uri FROM indexed AS i
WHERE i.uri ~* '\.tar#' AND NOT EXISTS (SELECT FROM version AS v WHERE v.uri = i.uri);
