-- name: find_shown
SELECT c.model, c.dimensions, m.revision, m.digest
FROM retrieval.collection AS c JOIN retrieval.model AS m ON m.name = c.model
WHERE c.name = %(name)s;

-- name: plan_parts
SELECT min(id) AS first, max(id) AS last
FROM (
    SELECT v.id, (row_number() OVER (ORDER BY v.id) - 1) / %(size)s AS part
    FROM retrieval.{vectors} AS v JOIN retrieval.image AS i ON i.id = v.id
    WHERE i.deleted IS NULL
) AS numbered
GROUP BY part
ORDER BY part;

-- name: read_part
-- the view's columns but for `words`; the view itself lacks the ids that limit a part
SELECT m.image_id,
       m.image_path,
       m.resampled_image_path,
       halfvec_send(v.embedding) AS image_embedding,
       m.group_id,
       m.intra_id,
       m.caption,
       m.width,
       m.height,
       m.format,
       m.attributes::text AS attributes,
       m.created_at,
       m.updated_at,
       m.captured_at,
       m.sha256,
       m.phash,
       m.aspect,
       m.orientation,
       m.colours,
       m.sharpness,
       m.complexity,
       m.captions::text AS captions
FROM retrieval.{vectors} AS v
JOIN retrieval.{matching} AS m ON m.id = v.id
WHERE v.id BETWEEN %(first)s AND %(last)s
ORDER BY v.id;

-- name: create_offered
CREATE TEMPORARY TABLE IF NOT EXISTS offered (number bigint NOT NULL, uri text NOT NULL) ON COMMIT DROP;
TRUNCATE offered;

-- name: copy_offered
COPY offered (number, uri) FROM STDIN (FORMAT binary);

-- name: find_offered
-- the known facts of an image are valid while its object is the same
SELECT o.number, i.id, l.etag, l.size, l.last_modified, k.sha256, k.width, k.height, k.format, k.mode, k.phash,
       k.captured_at, array_to_string(k.colours, ',') AS colours, k.sharpness, k.complexity, k.resampled_uri
FROM offered AS o
JOIN listed AS l ON l.uri = o.uri
JOIN retrieval.image AS i ON i.collection = %(collection)s AND i.uri = l.uri
LEFT JOIN retrieval.image AS k ON k.id = i.id AND k.etag = l.etag
ORDER BY o.number;

-- name: forget_offered
-- a second offer of the same image has no match
DELETE FROM listed AS l USING offered AS o WHERE l.uri = o.uri;

-- name: index_listed
CREATE INDEX ON listed (uri);
