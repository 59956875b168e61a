-- name: release
-- collections.yaml names a model other than the replaced one, so it decides again
UPDATE retrieval.collection SET overrules = NULL WHERE name = %(collection)s AND overrules <> %(declared)s;

-- name: overrule
UPDATE retrieval.collection SET overrules = nullif(%(declared)s, model) WHERE name = %(collection)s;

-- name: find_open
SELECT id, from_model, to_model FROM retrieval.switch WHERE collection = %(collection)s AND state = 'open';

-- name: open_switch
INSERT INTO retrieval.switch (collection, from_model, to_model, state)
VALUES (%(collection)s, %(from_model)s, %(to_model)s, 'open');

-- name: give_up
UPDATE retrieval.switch SET state = 'given_up', ended_at = now() WHERE collection = %(collection)s AND state = 'open';

-- name: record
-- the view shows another model: recorded in the open switch, or else as a switch of its own
WITH ended AS (
    UPDATE retrieval.switch
    SET ended_at = now(),
        state = CASE WHEN (from_model, to_model) = (%(from_model)s, %(to_model)s) THEN 'switched' ELSE 'given_up' END
    WHERE collection = %(collection)s AND state = 'open'
    RETURNING state
)
INSERT INTO retrieval.switch (collection, from_model, to_model, state, ended_at)
SELECT %(collection)s, %(from_model)s, %(to_model)s, 'switched', now()
WHERE NOT EXISTS (SELECT FROM ended WHERE state = 'switched');

-- name: find_undone
-- the switch to the model that the view shows
SELECT s.id, s.from_model, s.to_model,
       EXISTS (SELECT FROM retrieval.vector_space AS v
               WHERE v.collection = s.collection AND v.model = s.from_model
                 AND to_regclass('retrieval.' || quote_ident(v.vectors)) IS NOT NULL) AS kept
FROM retrieval.switch AS s JOIN retrieval.collection AS c ON c.name = s.collection AND c.model = s.to_model
WHERE s.collection = %(collection)s AND s.state = 'switched'
ORDER BY s.id DESC
LIMIT 1;

-- name: roll_back
UPDATE retrieval.switch SET state = 'rolled_back', ended_at = now() WHERE id = %(id)s;

-- name: write_checks
UPDATE retrieval.switch SET checks = %(checks)s WHERE id = %(id)s;

-- name: find_switched
-- the figures of a finished switch to this model
SELECT from_model, to_model, checks FROM retrieval.switch
WHERE collection = %(collection)s AND to_model = %(to_model)s AND state = 'switched'
ORDER BY id DESC
LIMIT 1;

-- name: create_due
-- searchable images whose present version has neither a vector nor a final rejection under the other model
CREATE TEMPORARY TABLE due ON COMMIT DROP AS
SELECT i.id, i.image_id, i.uri, i.etag, i.size, i.last_modified, i.resampled_uri
FROM retrieval.{vectors} AS v
JOIN retrieval.image AS i ON i.id = v.id
LEFT JOIN retrieval.{target} AS t ON t.id = i.id AND t.etag = i.etag
LEFT JOIN retrieval.rejected AS r
       ON r.collection = i.collection AND r.uri = i.uri AND r.etag = i.etag AND r.model = %(to_model)s AND r.final
WHERE i.deleted IS NULL AND t.id IS NULL AND r.uri IS NULL;

-- name: count_due
SELECT count(*) AS due, count(*) FILTER (WHERE resampled_uri IS NULL) AS anew FROM due;

-- name: read_due
SELECT id, image_id, uri, etag, size, last_modified, resampled_uri FROM due ORDER BY uri COLLATE "C";

-- name: lock_present
-- the versions that are still present, locked until the transaction ends; rows that others have locked are left to a
-- later round
SELECT i.id
FROM retrieval.image AS i
JOIN unnest(%(ids)s::bigint[], %(etags)s::text[]) AS given (id, etag) ON given.id = i.id AND given.etag = i.etag
WHERE i.id BETWEEN %(min)s AND %(max)s
FOR SHARE OF i SKIP LOCKED;

-- name: count_covered
SELECT count(*) AS images, count(t.id) AS covered, count(r.uri) FILTER (WHERE t.id IS NULL) AS rejected
FROM retrieval.{vectors} AS v
JOIN retrieval.image AS i ON i.id = v.id
LEFT JOIN retrieval.{target} AS t ON t.id = i.id AND t.etag = i.etag
LEFT JOIN retrieval.rejected AS r
       ON r.collection = i.collection AND r.uri = i.uri AND r.etag = i.etag AND r.model = %(to_model)s AND r.final
WHERE i.deleted IS NULL;

-- name: sample_both
SELECT v.image_id, v.embedding AS before, t.embedding AS after, v.group_id
FROM retrieval.{view} AS v JOIN retrieval.{target} AS t USING (image_id)
ORDER BY random() LIMIT %(images)s;

-- name: list_models
-- the vector tables of each collection, and their state
SELECT c.name AS collection, m.name AS model, m.dimensions, m.family, m.source, m.name = c.model OR m.name IS NOT DISTINCT FROM c.text_model AS shown,
       c.overrules,
       EXISTS (SELECT FROM retrieval.switch AS s
               WHERE s.collection = c.name AND s.to_model = m.name AND s.state = 'open')
           OR m.family = 'text_encoder' AND m.name IS DISTINCT FROM c.text_model
              AND NOT EXISTS (SELECT FROM retrieval.switch AS s WHERE s.collection = c.name AND s.from_model = m.name)
           AS incoming,
       (SELECT max(s.ended_at) FROM retrieval.switch AS s
        WHERE s.collection = c.name AND m.name IN (s.from_model, s.to_model)) AS left_at,
       m.calibration,
       (SELECT max(f.fitted_at) FROM retrieval.calibration AS f
        WHERE f.collection = c.name AND f.model = m.name AND f.slope IS NOT NULL AND c.distance <> 'l2') AS fitted_at
FROM retrieval.collection AS c
JOIN retrieval.vector_space AS v ON v.collection = c.name
JOIN retrieval.model AS m ON m.name = v.model
WHERE to_regclass('retrieval.' || quote_ident(v.vectors)) IS NOT NULL
ORDER BY c.name, m.name = c.model DESC, m.name;

-- name: find_expired
-- vectors that no view shows, no open switch targets, and no run has written lately; a space that was never switched to
-- or from is as old as its table
SELECT c.name AS collection, m.name AS model
FROM retrieval.collection AS c
JOIN retrieval.vector_space AS v ON v.collection = c.name
JOIN retrieval.model AS m ON m.name = v.model
WHERE m.name <> c.model AND m.name IS DISTINCT FROM c.text_model
  AND to_regclass('retrieval.' || quote_ident(v.vectors)) IS NOT NULL
  AND coalesce((SELECT max(s.ended_at) FROM retrieval.switch AS s
                WHERE s.collection = c.name AND m.name IN (s.from_model, s.to_model)), v.created_at) < now() - make_interval(secs => %(days)s * 86400)
  AND NOT EXISTS (SELECT FROM retrieval.switch AS s
                  WHERE s.collection = c.name AND s.to_model = m.name AND s.state = 'open')
  AND NOT EXISTS (SELECT FROM retrieval.run AS r
                  WHERE r.collection = c.name AND m.name IN (r.model, r.also)
                    AND r.started_at > now() - CASE r.state WHEN 'running' THEN interval '2 days'
                                               ELSE make_interval(secs => %(days)s * 86400) END);
