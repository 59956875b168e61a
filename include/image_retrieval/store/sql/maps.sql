-- name: find
SELECT model, images, made_at FROM retrieval.map WHERE collection = %(collection)s;

-- name: prepare_session
-- as the calibration's counts: people's searches need the cores
SET LOCAL max_parallel_workers_per_gather = 0;

-- name: count_changes
SELECT count(*) AS vectors,
       count(*) FILTER (WHERE p.etag IS DISTINCT FROM v.etag) AS waiting,
       count(*) FILTER (WHERE p.late AND p.etag = v.etag) AS late
FROM retrieval.{vectors} AS v
JOIN retrieval.image AS i ON i.id = v.id
LEFT JOIN retrieval.map_place AS p ON p.image = v.id
WHERE i.deleted IS NULL;

-- name: sample
-- in an order that is random and always the same
SELECT v.id, v.etag, halfvec_send(v.embedding) AS vector, p.x, p.y
FROM retrieval.{vectors} AS v
JOIN retrieval.image AS i ON i.id = v.id
LEFT JOIN retrieval.map_place AS p ON p.image = v.id
WHERE i.deleted IS NULL
ORDER BY hashint8extended(v.id, 0), v.id
LIMIT %(limit)s;

-- name: anchors
SELECT v.id, v.etag, halfvec_send(v.embedding) AS vector, p.x, p.y
FROM retrieval.map_place AS p JOIN retrieval.{vectors} AS v ON v.id = p.image
WHERE p.anchor AND p.etag = v.etag
ORDER BY v.id;

-- name: others
-- the next images in order, or only those that have no place as they are now
SELECT v.id, v.etag, halfvec_send(v.embedding) AS vector, NULL::real AS x, NULL::real AS y
FROM retrieval.{vectors} AS v
JOIN retrieval.image AS i ON i.id = v.id
LEFT JOIN retrieval.map_place AS p ON p.image = v.id
WHERE v.id > %(after)s AND i.deleted IS NULL AND (%(every)s OR p.etag IS DISTINCT FROM v.etag)
ORDER BY v.id
LIMIT %(limit)s;

-- name: lock
-- locks the collection's map until the transaction ends
SELECT pg_advisory_xact_lock(hashtextextended('image_retrieval:map:' || %(collection)s, 0));

-- name: create_placed
CREATE TEMPORARY TABLE placed (image bigint, x real, y real, cluster integer, anchor boolean, etag text) ON COMMIT DROP;

-- name: copy_placed
COPY placed (image, x, y, cluster, anchor, etag) FROM STDIN (FORMAT binary);

-- name: remove
DELETE FROM retrieval.map WHERE collection = %(collection)s;

-- name: remove_places
DELETE FROM retrieval.map_place AS p USING retrieval.image AS i
WHERE i.id = p.image AND i.collection = %(collection)s;

-- name: keep
-- of a space that is being dropped, none: this waits for the end of that
INSERT INTO retrieval.map (collection, model, images)
SELECT s.collection, s.model, %(images)s
FROM retrieval.vector_space AS s WHERE s.collection = %(collection)s AND s.model = %(model)s
FOR KEY SHARE;

-- name: keep_cluster
INSERT INTO retrieval.map_cluster (collection, number, level, parent, x, y, typical)
VALUES (%(collection)s, %(number)s, %(level)s, %(parent)s, %(x)s, %(y)s,
        (SELECT id FROM retrieval.image WHERE id = %(typical)s FOR KEY SHARE));

-- name: smallest
SELECT x, y FROM retrieval.map_cluster
WHERE collection = %(collection)s
  AND level = (SELECT max(level) FROM retrieval.map_cluster WHERE collection = %(collection)s)
ORDER BY number;

-- name: keep_places
-- of images that were removed meanwhile, none
INSERT INTO retrieval.map_place (image, x, y, cluster, anchor, late, etag)
SELECT p.image, p.x, p.y, p.cluster, p.anchor, %(late)s, p.etag
FROM placed AS p JOIN retrieval.image AS i ON i.id = p.image
WHERE i.collection = %(collection)s
FOR KEY SHARE OF i
ON CONFLICT (image) DO UPDATE
SET x = excluded.x, y = excluded.y, cluster = excluded.cluster, anchor = excluded.anchor, late = excluded.late,
    etag = excluded.etag;

-- name: count_images
WITH RECURSIVE held AS (
    SELECT p.cluster, count(*) AS images
    FROM retrieval.map_place AS p JOIN retrieval.image AS i ON i.id = p.image
    WHERE i.collection = %(collection)s AND i.deleted IS NULL
    GROUP BY p.cluster
), within AS (
    SELECT c.number AS part, c.number, c.parent FROM retrieval.map_cluster AS c WHERE c.collection = %(collection)s
    UNION ALL
    SELECT w.part, c.number, c.parent
    FROM within AS w JOIN retrieval.map_cluster AS c ON c.collection = %(collection)s AND c.number = w.parent
), counted AS (
    SELECT w.number, coalesce(sum(h.images), 0) AS images
    FROM within AS w LEFT JOIN held AS h ON h.cluster = w.part
    GROUP BY w.number
)
UPDATE retrieval.map_cluster AS c SET images = n.images
FROM counted AS n
WHERE c.collection = %(collection)s AND c.number = n.number AND c.images <> n.images;

-- name: tell_words
-- A word counts by how many of a cluster's captions have it, times how much more frequent it is there than elsewhere.
-- Where captions have words of letters, those of one script that writes no spaces are left out: their bigrams are no words.
WITH RECURSIVE described AS MATERIALIZED (
    SELECT p.cluster, i.words
    FROM retrieval.map_place AS p JOIN retrieval.image AS i ON i.id = p.image
    WHERE i.collection = %(collection)s AND i.deleted IS NULL AND i.words IS NOT NULL
), said AS MATERIALIZED (
    SELECT d.cluster, w.lexeme, w.lexeme ~ '[[:alpha:]]' AND w.lexeme !~ retrieval.unspaced() AS letters, count(*) AS images
    FROM described AS d CROSS JOIN LATERAL unnest(d.words) AS w
    WHERE length(w.lexeme) > 1 AND w.lexeme !~ '^[0-9]+$'
    GROUP BY d.cluster, w.lexeme
), held AS (
    SELECT cluster, count(*) AS images FROM described GROUP BY cluster
), within AS (
    SELECT c.number AS part, c.number, c.parent FROM retrieval.map_cluster AS c WHERE c.collection = %(collection)s
    UNION ALL
    SELECT w.part, c.number, c.parent
    FROM within AS w JOIN retrieval.map_cluster AS c ON c.collection = %(collection)s AND c.number = w.parent
), totals AS (
    SELECT w.number, sum(h.images) AS images FROM within AS w JOIN held AS h ON h.cluster = w.part GROUP BY w.number
), everywhere AS (
    SELECT lexeme, sum(images) / (SELECT sum(images) FROM held) AS share
    FROM said WHERE letters = (SELECT bool_or(letters) FROM said) GROUP BY lexeme
), scored AS (
    SELECT w.number, s.lexeme, sum(s.images) / t.images AS share, e.share AS usual
    FROM within AS w
    JOIN said AS s ON s.cluster = w.part
    JOIN totals AS t ON t.number = w.number
    JOIN everywhere AS e ON e.lexeme = s.lexeme
    GROUP BY w.number, s.lexeme, t.images, e.share
), ranked AS (
    SELECT number, lexeme, row_number() OVER (PARTITION BY number ORDER BY share * ln(share / usual) DESC, lexeme COLLATE "C") AS place
    FROM scored WHERE share >= 0.1 AND share > 1.2 * usual
), told AS (
    SELECT c.number, coalesce(array_agg(r.lexeme ORDER BY r.place) FILTER (WHERE r.place <= 3), '{{}}') AS words
    FROM retrieval.map_cluster AS c LEFT JOIN ranked AS r ON r.number = c.number
    WHERE c.collection = %(collection)s
    GROUP BY c.number
)
UPDATE retrieval.map_cluster AS c SET words = t.words
FROM told AS t
WHERE c.collection = %(collection)s AND c.number = t.number AND c.words <> t.words;

-- name: clusters
SELECT number, level, parent, x, y, images, image_id, words FROM images.map_clusters(%(collection)s);

-- name: points
SELECT ids, x, y, clusters FROM retrieval.map_points(%(collection)s, %(filter)s);

-- name: images
SELECT i.id, i.image_id, i.group_id, i.width, i.height, left(coalesce(i.caption, i.told), %(letters)s) AS caption
FROM retrieval.image AS i
WHERE i.id = ANY (%(ids)s) AND i.collection = %(collection)s AND i.deleted IS NULL;
