-- name: count_vectors
SELECT count(*) AS vectors FROM retrieval.{view};

-- name: sample
SELECT embedding, resampled_image_path FROM retrieval.{view} ORDER BY random() LIMIT %(sample)s;

-- name: find
SELECT direction, vectors, phrases FROM retrieval.calibration
WHERE collection = %(collection)s AND model = %(model)s;

-- name: keep
-- not if the vectors were dropped meanwhile
INSERT INTO retrieval.calibration
    (collection, model, direction, slope, middle, reason, rate, vectors, sampled, probes, phrases)
SELECT s.collection, s.model, %(direction)s, %(slope)s, %(middle)s, %(reason)s, %(rate)s, %(vectors)s, %(sampled)s,
       %(probes)s, %(phrases)s
FROM retrieval.vector_space AS s WHERE s.collection = %(collection)s AND s.model = %(model)s
ON CONFLICT (collection, model, direction) DO UPDATE
SET slope = excluded.slope, middle = excluded.middle, reason = excluded.reason, rate = excluded.rate,
    vectors = excluded.vectors, sampled = excluded.sampled, probes = excluded.probes, phrases = excluded.phrases,
    fitted_at = excluded.fitted_at;

-- name: remove
DELETE FROM retrieval.calibration WHERE collection = %(collection)s AND model = %(model)s;

-- name: find_own
SELECT calibration FROM retrieval.model WHERE name = %(model)s;
