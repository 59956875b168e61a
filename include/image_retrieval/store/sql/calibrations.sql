-- name: prepare_session
-- otherwise counting a large collection would take every core from people's searches
SET LOCAL max_parallel_workers_per_gather = 0;

-- name: count_vectors
-- and those whose image has changed since
SELECT count(*) AS vectors, count(*) FILTER (WHERE i.updated > %(since)s) AS changed
FROM retrieval.{vectors} AS v JOIN retrieval.image AS i ON i.id = v.id
WHERE i.deleted IS NULL;

-- name: count_embedded
-- what runs have embedded anew since; the second half of a run's shards is for the model of an open switch
SELECT coalesce(sum(s.upserted), 0) AS embedded
FROM retrieval.run AS r JOIN retrieval.shard AS s USING (collection, run_id)
WHERE r.collection = %(collection)s AND s.finished_at > %(since)s
  AND %(model)s = CASE WHEN r.also IS NULL OR s.shard < r.shards / 2 THEN r.model ELSE r.also END;

-- name: count_told
SELECT count(*) AS told
FROM retrieval.shown_captions AS s
JOIN retrieval.caption AS c ON c.model = s.model AND c.language = s.languages[1]
JOIN retrieval.image AS i ON i.id = c.image AND i.collection = s.collection
WHERE s.collection = %(collection)s AND greatest(c.created_at, s.updated_at) > %(since)s;

-- name: sample
-- blocks all over the table, with more rows than wanted, since neighbours may be of one kind; the same rows each time
SELECT v.embedding, i.resampled_uri
FROM retrieval.{vectors} AS v TABLESAMPLE SYSTEM (%(percent)s) REPEATABLE (0)
JOIN retrieval.image AS i ON i.id = v.id
WHERE i.deleted IS NULL
ORDER BY hashint8extended(v.id, 0), v.id
LIMIT %(sample)s;

-- name: find
SELECT direction, vectors, probes, phrases, fitted_at FROM retrieval.calibration
WHERE collection = %(collection)s AND model = %(model)s;

-- name: keep
-- of a space that is being dropped, none: this waits for the end of that
INSERT INTO retrieval.calibration
    (collection, model, direction, slope, middle, reason, rate, vectors, sampled, probes, phrases)
SELECT s.collection, s.model, %(direction)s, %(slope)s, %(middle)s, %(reason)s, %(rate)s, %(vectors)s, %(sampled)s,
       %(probes)s, %(phrases)s
FROM retrieval.vector_space AS s WHERE s.collection = %(collection)s AND s.model = %(model)s
FOR KEY SHARE
ON CONFLICT (collection, model, direction) DO UPDATE
SET slope = excluded.slope, middle = excluded.middle, reason = excluded.reason, rate = excluded.rate,
    vectors = excluded.vectors, sampled = excluded.sampled, probes = excluded.probes, phrases = excluded.phrases,
    fitted_at = excluded.fitted_at;

-- name: remove
DELETE FROM retrieval.calibration WHERE collection = %(collection)s AND model = %(model)s;

-- name: find_own
SELECT calibration FROM retrieval.model WHERE name = %(model)s;
