-- name: lock_duplicates
-- locks the collection's comparisons until the transaction ends
SELECT pg_advisory_xact_lock(hashtextextended('image_retrieval:duplicates:' || %(collection)s, 0));

-- name: forget_outdated
-- removes pairs of images whose vector, or the deciding values, have changed
WITH outdated AS MATERIALIZED (
    DELETE FROM retrieval.compared AS c
    USING retrieval.image AS i LEFT JOIN retrieval.{vectors} AS v ON v.id = i.id
    WHERE i.id = c.id AND i.collection = %(collection)s
      AND (v.id IS NULL
           OR (c.model, c.etag, c.digest, c.similarity)
              IS DISTINCT FROM (%(model)s, v.etag, v.digest, %(scene_similarity)s))
    RETURNING c.id
)
DELETE FROM retrieval.duplicate
WHERE a IN (SELECT id FROM outdated) OR b IN (SELECT id FROM outdated);

-- name: compare
-- A batch of images with their nearest neighbours, which an index finds, so the work does not grow with the square.
-- LIMIT 1 keeps each neighbour a look-up.
WITH batch AS MATERIALIZED (
    SELECT i.id, i.sha256, i.phash, v.etag, v.digest, v.embedding
    FROM retrieval.{vectors} AS v JOIN retrieval.image AS i ON i.id = v.id
    WHERE v.id > %(after)s AND i.collection = %(collection)s AND i.deleted IS NULL
      AND NOT EXISTS (SELECT FROM retrieval.compared AS c WHERE c.id = v.id)
    ORDER BY v.id
    LIMIT %(limit)s
), found AS MATERIALIZED (
    SELECT least(b.id, other.id) AS a, greatest(b.id, other.id) AS b, 1 - (b.embedding <=> other.embedding) AS similarity,
           coalesce(images.phash_distance(b.phash, other.phash) <= %(bits)s, false) AS looks_alike
    FROM batch AS b
    CROSS JOIN LATERAL retrieval.nearest(
        %(collection)s, b.embedding, %(neighbours)s, '{{}}', NULL, false, NULL, %(model)s) AS near
    CROSS JOIN LATERAL (
        SELECT i.id, i.sha256, i.phash, v.embedding
        FROM retrieval.image AS i JOIN retrieval.{vectors} AS v ON v.id = i.id
        WHERE i.collection = %(collection)s AND i.image_id = near.image_id
        LIMIT 1
    ) AS other
    WHERE other.id <> b.id AND other.sha256 IS DISTINCT FROM b.sha256
), kept AS (
    INSERT INTO retrieval.duplicate (a, b, collection, tier, similarity)
    SELECT DISTINCT a, b, %(collection)s,
           CASE WHEN looks_alike AND similarity >= %(picture_similarity)s THEN 'picture' ELSE 'scene' END, similarity
    FROM found
    WHERE similarity >= %(scene_similarity)s OR looks_alike AND similarity >= %(picture_similarity)s
    ON CONFLICT (a, b) DO UPDATE SET tier = excluded.tier, similarity = excluded.similarity
)
INSERT INTO retrieval.compared (id, model, etag, digest, similarity)
SELECT id, %(model)s, etag, digest, %(scene_similarity)s FROM batch
RETURNING id;

-- name: count_pairs
SELECT tier, count(*) AS pairs FROM retrieval.duplicate WHERE collection = %(collection)s GROUP BY tier;

-- name: count_waiting
SELECT count(*) AS waiting
FROM retrieval.{vectors} AS v JOIN retrieval.image AS i ON i.id = v.id
WHERE i.collection = %(collection)s AND i.deleted IS NULL
  AND NOT EXISTS (SELECT FROM retrieval.compared AS c WHERE c.id = v.id AND (c.model, c.etag) = (%(model)s, v.etag));

-- name: list_pairs
SELECT a, b, similarity, bits, verdict, decided_by, decided_at
FROM images.duplicates
WHERE collection = %(collection)s AND tier = %(tier)s AND (%(decided)s::boolean IS NULL OR (verdict IS NOT NULL) = %(decided)s)
ORDER BY similarity DESC, a COLLATE "C", b COLLATE "C"
LIMIT %(limit)s OFFSET %(offset)s;

-- name: set_verdict
SELECT images.set_verdict(%(collection)s, %(a)s, %(b)s, %(verdict)s, %(decided_by)s);
