-- name: try_lock
-- one process writes a collection's caption vectors at a time, until the transaction ends
SELECT pg_try_advisory_xact_lock(hashtextextended('image_retrieval:caption_vectors:' || %(collection)s, 0)) AS locked;

-- name: find_text_model
SELECT text_model FROM retrieval.collection WHERE name = %(collection)s FOR UPDATE;

-- name: describe_vectors
COMMENT ON TABLE retrieval.{vectors} IS 'Vectors of the captions of one collection under one model, each of length 1.';
COMMENT ON COLUMN retrieval.{vectors}.etag IS 'MD5 of the caption that the vector was made of.';

-- name: remove_outdated
-- of captions that have changed or are gone, and of images that are not searchable
DELETE FROM retrieval.{vectors} AS v
WHERE NOT EXISTS (
    SELECT FROM retrieval.{matching} AS m JOIN retrieval.{shown} AS s ON s.id = m.id
    WHERE m.id = v.id AND md5(m.caption) = v.etag AND NOT retrieval.is_blank(m.caption)
);

-- name: count_due
-- captions of searchable images without a vector; as below
SELECT count(*) AS due
FROM retrieval.{matching} AS m JOIN retrieval.{shown} AS s ON s.id = m.id
LEFT JOIN retrieval.{vectors} AS v ON v.id = m.id
WHERE NOT retrieval.is_blank(m.caption) AND v.etag IS DISTINCT FROM md5(m.caption);

-- name: read_due
SELECT m.id, left(m.caption, 20000) AS text, md5(m.caption) AS digest
FROM retrieval.{matching} AS m JOIN retrieval.{shown} AS s ON s.id = m.id
LEFT JOIN retrieval.{vectors} AS v ON v.id = m.id
WHERE NOT retrieval.is_blank(m.caption) AND v.etag IS DISTINCT FROM md5(m.caption) AND m.id > %(after)s
ORDER BY m.id
LIMIT %(count)s;

-- name: lock_images
-- so that none gets another caption between the comparison below and the end of the transaction
SELECT id FROM retrieval.image WHERE id = ANY (%(ids)s) ORDER BY id FOR SHARE;

-- name: write_vectors
-- a vector of a caption that was changed meanwhile is left out
INSERT INTO retrieval.{vectors} AS v (id, etag, embedding)
SELECT m.id, g.digest, g.embedding::halfvec
FROM unnest(%(ids)s::bigint[], %(digests)s::text[], %(vectors)s::text[]) AS g (id, digest, embedding)
JOIN retrieval.{matching} AS m ON m.id = g.id AND md5(m.caption) = g.digest
ON CONFLICT (id) DO UPDATE SET etag = excluded.etag, embedding = excluded.embedding
WHERE (v.etag, v.embedding) IS DISTINCT FROM (excluded.etag, excluded.embedding);

-- name: show
UPDATE retrieval.collection SET text_model = %(model)s
WHERE name = %(collection)s AND text_model IS DISTINCT FROM %(model)s;

-- name: record_switch
-- the former vectors are kept for a while from now on, as those of images are
INSERT INTO retrieval.switch (collection, from_model, to_model, state, ended_at)
VALUES (%(collection)s, %(from_model)s, %(to_model)s, 'switched', now());
