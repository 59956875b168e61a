-- Pairs of duplicate images, and people's verdicts on them.


-- Copies of the same bytes are paired with the first of them only, so that their number does not grow with the square.
CREATE OR REPLACE VIEW images.duplicates AS
WITH pairs AS (
    SELECT 'bytes' AS tier, i.collection, i.first AS a, i.id AS b, 1::double precision AS similarity
    FROM (
        SELECT id, collection, first_value(id) OVER (PARTITION BY collection, sha256 ORDER BY id) AS first
        FROM retrieval.image
        WHERE deleted IS NULL AND sha256 IS NOT NULL
    ) AS i
    WHERE i.first <> i.id
    UNION ALL
    SELECT tier, collection, a, b, similarity FROM retrieval.duplicate
)
SELECT p.collection,
       p.tier,
       a.image_id AS a,
       b.image_id AS b,
       a.uri AS a_path,
       b.uri AS b_path,
       p.similarity,
       images.phash_distance(a.phash, b.phash) AS bits,
       v.verdict,
       v.decided_by,
       v.decided_at
FROM pairs AS p
JOIN retrieval.image AS a ON a.id = p.a AND a.deleted IS NULL
JOIN retrieval.image AS b ON b.id = p.b AND b.deleted IS NULL
LEFT JOIN retrieval.verdict AS v
       ON v.collection = p.collection
      AND v.a = least(a.image_id COLLATE "C", b.image_id COLLATE "C")
      AND v.b = greatest(a.image_id COLLATE "C", b.image_id COLLATE "C")
      AND (v.a_sha256, v.b_sha256) IS NOT DISTINCT FROM
          CASE WHEN a.image_id < b.image_id COLLATE "C" THEN (a.sha256, b.sha256) ELSE (b.sha256, a.sha256) END;
COMMENT ON VIEW images.duplicates IS 'Pairs of images of a collection that are duplicates, in tiers, with people''s verdicts.';
COMMENT ON COLUMN images.duplicates.collection IS 'The collection of both images.';
COMMENT ON COLUMN images.duplicates.tier IS
    'bytes: the same file; picture: the same picture in another size, quality or format; scene: the same thing, by the vectors alone.';
COMMENT ON COLUMN images.duplicates.a IS 'image_id of the older image.';
COMMENT ON COLUMN images.duplicates.b IS 'image_id of the other image.';
COMMENT ON COLUMN images.duplicates.a_path IS 'URI of the original of a.';
COMMENT ON COLUMN images.duplicates.b_path IS 'URI of the original of b.';
COMMENT ON COLUMN images.duplicates.similarity IS '1 - cosine distance of their vectors.';
COMMENT ON COLUMN images.duplicates.bits IS 'The number of bits, of 64, in which their perceptual hashes differ; null if one has none.';
COMMENT ON COLUMN images.duplicates.verdict IS 'duplicate or different, as set by images.set_verdict; else null.';
COMMENT ON COLUMN images.duplicates.decided_by IS 'Who set the verdict.';
COMMENT ON COLUMN images.duplicates.decided_at IS 'When the verdict was set.';


CREATE OR REPLACE FUNCTION images.set_verdict(collection text, a text, b text, verdict text, decided_by text DEFAULT session_user) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    first  retrieval.image;
    second retrieval.image;
BEGIN
    PERFORM retrieval.view_of(set_verdict.collection);
    SELECT * INTO first FROM retrieval.image AS i
    WHERE i.collection = set_verdict.collection AND i.image_id = least(set_verdict.a COLLATE "C", set_verdict.b COLLATE "C") AND i.deleted IS NULL;
    SELECT * INTO second FROM retrieval.image AS i
    WHERE i.collection = set_verdict.collection AND i.image_id = greatest(set_verdict.a COLLATE "C", set_verdict.b COLLATE "C") AND i.deleted IS NULL;
    IF first.id IS NULL OR second.id IS NULL OR first.id = second.id THEN
        RAISE EXCEPTION 'collection % has no two images % and %', quote_literal(set_verdict.collection), quote_nullable(set_verdict.a), quote_nullable(set_verdict.b)
            USING HINT = 'image_id is the object''s key under the collection''s source, without its extension.';
    END IF;
    IF set_verdict.verdict NOT IN ('duplicate', 'different') THEN
        RAISE EXCEPTION 'a verdict must be duplicate, different or null, not %', quote_literal(set_verdict.verdict);
    END IF;
    DELETE FROM retrieval.verdict AS v
    WHERE v.collection = set_verdict.collection AND v.a = first.image_id AND v.b = second.image_id;
    IF set_verdict.verdict IS NOT NULL THEN
        INSERT INTO retrieval.verdict (collection, a, b, verdict, a_sha256, b_sha256, decided_by)
        VALUES (set_verdict.collection, first.image_id, second.image_id, set_verdict.verdict, first.sha256, second.sha256, set_verdict.decided_by)
        ON CONFLICT ON CONSTRAINT verdict_pkey DO UPDATE
        SET verdict = excluded.verdict, a_sha256 = excluded.a_sha256, b_sha256 = excluded.b_sha256,
            decided_by = excluded.decided_by, decided_at = now();
    END IF;
END
$$;
COMMENT ON FUNCTION images.set_verdict IS
    'Says of two images of a collection that they are duplicate or different, or, with null, takes that back. It holds '
    'as long as both have the bytes that they have now.';
