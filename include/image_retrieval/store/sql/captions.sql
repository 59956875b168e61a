-- name: try_lock
-- one process writes a collection's captions at a time, until the transaction ends
SELECT pg_try_advisory_xact_lock(hashtextextended('image_retrieval:captions:' || %(collection)s, 0)) AS locked;

-- name: count_due
-- images that lack a caption in one of the languages, of their present version and by the present captioner; as below
SELECT count(*) AS due
FROM retrieval.image AS i
WHERE i.collection = %(collection)s AND i.deleted IS NULL AND i.etag IS NOT NULL AND EXISTS (
    SELECT FROM unnest(%(languages)s::text[]) AS l (language)
    WHERE NOT EXISTS (
        SELECT FROM retrieval.caption AS c
        WHERE (c.image, c.model, c.language, c.etag, c.digest) = (i.id, %(model)s, l.language, i.etag, %(digest)s)
    ) AND NOT EXISTS (
        SELECT FROM retrieval.uncaptioned AS u
        WHERE u.final AND (u.image, u.model, u.language, u.etag, u.digest) = (i.id, %(model)s, l.language, i.etag, %(digest)s)
    )
);

-- name: read_due
SELECT i.id, i.image_id, i.uri, i.etag, coalesce(i.size, 0) AS size, coalesce(i.last_modified, 'epoch') AS last_modified,
       i.resampled_uri
FROM retrieval.image AS i
WHERE i.collection = %(collection)s AND i.deleted IS NULL AND i.etag IS NOT NULL AND i.id > %(after)s AND EXISTS (
    SELECT FROM unnest(%(languages)s::text[]) AS l (language)
    WHERE NOT EXISTS (
        SELECT FROM retrieval.caption AS c
        WHERE (c.image, c.model, c.language, c.etag, c.digest) = (i.id, %(model)s, l.language, i.etag, %(digest)s)
    ) AND NOT EXISTS (
        SELECT FROM retrieval.uncaptioned AS u
        WHERE u.final AND (u.image, u.model, u.language, u.etag, u.digest) = (i.id, %(model)s, l.language, i.etag, %(digest)s)
    )
)
ORDER BY i.id
LIMIT %(count)s;

-- name: write_captions
-- a caption of a version that was replaced meanwhile is left out
INSERT INTO retrieval.caption AS c (image, model, language, etag, digest, text)
SELECT i.id, %(model)s, g.language, i.etag, %(digest)s, g.text
FROM unnest(%(images)s::bigint[], %(etags)s::text[], %(languages)s::text[], %(texts)s::text[]) AS g (image, etag, language, text)
JOIN retrieval.image AS i ON i.id = g.image AND i.etag = g.etag
ON CONFLICT (image, model, language) DO UPDATE
SET etag = excluded.etag, digest = excluded.digest, text = excluded.text, created_at = now()
WHERE (c.etag, c.digest, c.text) IS DISTINCT FROM (excluded.etag, excluded.digest, excluded.text);

-- name: forget_faults
DELETE FROM retrieval.uncaptioned AS u
USING unnest(%(images)s::bigint[], %(languages)s::text[]) AS g (image, language)
WHERE u.image = g.image AND u.model = %(model)s AND u.language = g.language;

-- name: write_faults
INSERT INTO retrieval.uncaptioned AS u (image, model, language, etag, digest, reason, detail, final)
SELECT i.id, %(model)s, g.language, i.etag, %(digest)s, g.reason, g.detail, NOT g.transient OR %(most)s <= 1
FROM unnest(%(images)s::bigint[], %(etags)s::text[], %(languages)s::text[], %(reasons)s::text[], %(details)s::text[],
            %(transients)s::boolean[]) AS g (image, etag, language, reason, detail, transient)
JOIN retrieval.image AS i ON i.id = g.image AND i.etag = g.etag
ON CONFLICT (image, model, language) DO UPDATE
SET etag = excluded.etag, digest = excluded.digest, reason = excluded.reason, detail = excluded.detail, updated_at = now(),
    (attempts, final) = (
        SELECT tries, excluded.final OR tries >= %(most)s
        FROM (SELECT CASE WHEN (u.etag, u.digest) = (excluded.etag, excluded.digest) THEN u.attempts + 1 ELSE 1 END AS tries) AS counted);

-- name: remove_outdated
-- captions under a former digest, where the present captioner has finally none
DELETE FROM retrieval.caption AS c
USING retrieval.uncaptioned AS u
WHERE u.image = ANY (%(images)s) AND u.model = %(model)s AND u.digest = %(digest)s AND u.final
  AND (c.image, c.model, c.language) = (u.image, u.model, u.language);

-- name: find_shown
SELECT model, languages FROM retrieval.shown_captions WHERE collection = %(collection)s;

-- name: show
INSERT INTO retrieval.shown_captions AS s (collection, model, languages)
VALUES (%(collection)s, %(model)s, %(languages)s)
ON CONFLICT (collection) DO UPDATE
SET model = excluded.model, languages = excluded.languages, updated_at = now()
WHERE (s.model, s.languages) IS DISTINCT FROM (excluded.model, excluded.languages);

-- name: count_words
SELECT retrieval.count_caption_words(%(collection)s, %(sampled)s);
