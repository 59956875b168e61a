-- name: read_hard_negatives
-- of each image, those that its vector finds at these ranks; not those of its group, with its bytes, or that somebody
-- called its duplicates
WITH asked AS MATERIALIZED (
    SELECT i.image_id, i.group_id, i.sha256, v.embedding
    FROM retrieval.image AS i JOIN retrieval.{vectors} AS v ON v.id = i.id
    WHERE i.collection = %(collection)s AND i.image_id = ANY (%(image_ids)s) AND i.deleted IS NULL
), found AS MATERIALIZED (
    SELECT a.image_id, a.group_id, a.sha256, near.image_id AS other,
           row_number() OVER (PARTITION BY a.image_id ORDER BY near.similarity DESC, near.image_id COLLATE "C") AS rank
    FROM asked AS a
    CROSS JOIN LATERAL retrieval.nearest(
        %(collection)s, a.embedding, %(last)s + 1, '{{}}', NULL, false, NULL, %(model)s) AS near
    WHERE near.image_id <> a.image_id
)
SELECT f.image_id, array_agg(f.other ORDER BY f.rank) AS others
FROM found AS f JOIN retrieval.image AS o ON o.collection = %(collection)s AND o.image_id = f.other
WHERE f.rank BETWEEN %(first)s AND %(last)s
  AND (f.group_id IS NULL OR o.group_id IS DISTINCT FROM f.group_id)
  AND (f.sha256 IS NULL OR o.sha256 IS DISTINCT FROM f.sha256)
  AND NOT EXISTS (
      SELECT FROM retrieval.verdict AS v
      WHERE v.collection = %(collection)s AND v.verdict = 'duplicate'
        AND (v.a, v.b) IN ((f.image_id, f.other), (f.other, f.image_id)))
GROUP BY f.image_id;
