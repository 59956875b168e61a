-- name: create_staging
-- created again for each load, since a transaction may have several
CREATE TEMPORARY TABLE IF NOT EXISTS staging (
    id            bigint NOT NULL,
    etag          text NOT NULL,
    size          bigint NOT NULL,
    last_modified timestamptz NOT NULL,
    sha256        text,
    width         integer,
    height        integer,
    format        text,
    mode          text,
    phash         bigint,
    captured_at   timestamp,
    colours       text,
    sharpness     real,
    complexity    real,
    resampled_uri text,
    digest        bigint NOT NULL
) ON COMMIT DROP;
TRUNCATE staging;

-- name: copy_staging
COPY staging
    (id, etag, size, last_modified, sha256, width, height, format, mode, phash, captured_at, colours, sharpness,
     complexity, resampled_uri, digest)
FROM STDIN (FORMAT binary);

-- name: compare_vectors
-- removed: images that were removed since they were listed. The range of ids, here and below, keeps the planner from
-- reading a whole table for one shard
SELECT coalesce(array_agg(id) FILTER (WHERE removed), '{{}}') AS removed,
       coalesce(array_agg(id) FILTER (WHERE NOT removed AND same), '{{}}') AS unchanged,
       coalesce(array_agg(id) FILTER (WHERE NOT removed AND NOT same), '{{}}') AS changed
FROM (
    SELECT s.id, i.id IS NULL AS removed,
           CASE WHEN v.id IS NOT NULL THEN v.etag = s.etag AND v.digest IS NOT DISTINCT FROM s.digest END AS same
    FROM staging AS s
    LEFT JOIN retrieval.image AS i ON i.id = s.id AND i.id BETWEEN %(min)s AND %(max)s
    LEFT JOIN retrieval.{vectors} AS v ON v.id = s.id AND v.id BETWEEN %(min)s AND %(max)s
) AS known;

-- name: copy_vectors
COPY retrieval.{vectors} (id, etag, digest, embedding) FROM STDIN (FORMAT binary);

-- name: create_incoming
CREATE TEMPORARY TABLE IF NOT EXISTS incoming (
    id        bigint NOT NULL,
    etag      text NOT NULL,
    digest    bigint NOT NULL,
    embedding halfvec({dimensions}) STORAGE PLAIN NOT NULL
) ON COMMIT DROP;
TRUNCATE incoming;

-- name: copy_incoming
COPY incoming (id, etag, digest, embedding) FROM STDIN (FORMAT binary);

-- name: upsert_vectors
INSERT INTO retrieval.{vectors} AS v (id, etag, digest, embedding)
SELECT id, etag, digest, embedding FROM incoming ORDER BY id
ON CONFLICT (id) DO UPDATE
SET etag = excluded.etag, digest = excluded.digest, embedding = excluded.embedding
WHERE (v.etag, v.digest, v.embedding) IS DISTINCT FROM (excluded.etag, excluded.digest, excluded.embedding);

-- name: update_images
UPDATE retrieval.image AS i
SET etag = s.etag, size = s.size, last_modified = s.last_modified, sha256 = s.sha256, width = s.width,
    height = s.height, format = s.format, mode = s.mode, phash = s.phash, captured_at = s.captured_at,
    colours = string_to_array(s.colours, ','), sharpness = s.sharpness, complexity = s.complexity,
    resampled_uri = s.resampled_uri, updated = now()
FROM staging AS s
WHERE i.id = s.id AND i.id BETWEEN %(min)s AND %(max)s
  AND (i.etag, i.size, i.last_modified, i.sha256, i.width, i.height, i.format, i.mode, i.phash, i.captured_at,
       array_to_string(i.colours, ','), i.sharpness, i.complexity, i.resampled_uri)
      IS DISTINCT FROM
      (s.etag, s.size, s.last_modified, s.sha256, s.width, s.height, s.format, s.mode, s.phash, s.captured_at,
       s.colours, s.sharpness, s.complexity, s.resampled_uri);

-- name: clear_rejected
-- a collection mostly has none, and then nothing is joined
DELETE FROM retrieval.rejected AS r
USING staging AS s
JOIN retrieval.image AS i ON i.id = s.id
WHERE r.collection = i.collection AND r.uri = i.uri AND i.id BETWEEN %(min)s AND %(max)s
  AND EXISTS (SELECT FROM retrieval.rejected AS e WHERE e.collection = %(collection)s);

-- name: reject
-- Of an object that is another one whenever it is read, the attempts go on, so that they end.
INSERT INTO retrieval.rejected AS r (collection, uri, etag, stage, model, reason, detail, final, run_id)
VALUES (%(collection)s, %(uri)s, %(etag)s, %(stage)s, %(model)s, %(reason)s, %(detail)s,
        NOT %(transient)s OR %(max_attempts)s <= 1, %(run_id)s)
ON CONFLICT (collection, uri) DO UPDATE
SET stage = excluded.stage, model = excluded.model, reason = excluded.reason, detail = excluded.detail, run_id = excluded.run_id,
    updated_at = now(), etag = excluded.etag,
    (attempts, final) = (
        SELECT tries, NOT %(transient)s OR tries >= %(max_attempts)s
        FROM (SELECT CASE WHEN r.etag = excluded.etag OR r.reason = 'changed_while_reading' AND excluded.reason = r.reason
                          THEN r.attempts + 1 ELSE 1 END AS tries) AS counted);

-- name: remove_outdated
-- The object holds a different picture than the one that made this vector, and it cannot be embedded.
DELETE FROM retrieval.{vectors} AS v
USING retrieval.image AS i
JOIN retrieval.rejected AS r ON r.collection = i.collection AND r.uri = i.uri
WHERE v.id = i.id AND i.collection = %(collection)s AND r.run_id = %(run_id)s AND r.final AND v.etag <> r.etag;

-- name: write_shard
INSERT INTO retrieval.shard AS s
    (collection, run_id, shard, images, resampled, embedded, upserted, rejected,
     resample_seconds, embed_seconds, upsert_seconds)
VALUES
    (%(collection)s, %(run_id)s, %(shard)s, %(images)s, %(resampled)s, %(embedded)s, %(upserted)s, %(rejected)s,
     %(resample_seconds)s, %(embed_seconds)s, %(upsert_seconds)s)
ON CONFLICT (collection, run_id, shard) DO NOTHING;

-- name: lock_shard
-- a concurrent upsert of the same shard waits here, then finds it loaded, so nothing is counted twice
SELECT pg_advisory_xact_lock(
    hashtextextended('image_retrieval:shard:' || %(shard)s::text || ':' || %(collection)s || ':' || %(run_id)s, 0));

-- name: find_shard
SELECT images, upserted, rejected FROM retrieval.shard
WHERE collection = %(collection)s AND run_id = %(run_id)s AND shard = %(shard)s;
