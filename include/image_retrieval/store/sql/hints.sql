-- name: write
-- A later hint of the same object counts the earlier one up: a run that has looked at the object meanwhile keeps it. The
-- order keeps two writers from waiting for each other.
INSERT INTO retrieval.hint AS h (collection, uri)
SELECT DISTINCT collection, uri
FROM unnest(%(collections)s::text[], %(uris)s::text[]) AS given (collection, uri)
ORDER BY collection, uri
ON CONFLICT (collection, uri) DO UPDATE SET times = h.times + 1;

-- name: count_waiting
SELECT count(*) AS images, coalesce(extract(epoch FROM clock_timestamp() - min(received)), 0)::float8 AS seconds
FROM retrieval.hint WHERE collection = %(collection)s;

-- name: create_hinted
-- empty where a run looks at the whole source
CREATE TEMPORARY TABLE hinted (
    uri   text PRIMARY KEY,
    times bigint NOT NULL,
    shown boolean NOT NULL DEFAULT true
) ON COMMIT DROP;

-- name: take
-- the hints that a run looks at; those that come meanwhile stay
INSERT INTO hinted (uri, times)
SELECT uri, times FROM retrieval.hint WHERE collection = %(collection)s ORDER BY received LIMIT %(limit)s
RETURNING uri;

-- name: analyse_hinted
ANALYZE hinted;

-- name: leave_refused
UPDATE hinted SET shown = false WHERE uri = ANY (%(uris)s::text[]);

-- name: forget
-- locked in the order of `write`; what was hinted again waits anew
WITH taken AS (SELECT h.uri, h.times = t.times AS done
               FROM retrieval.hint AS h JOIN hinted AS t USING (uri)
               WHERE h.collection = %(collection)s
               ORDER BY h.uri
               FOR UPDATE OF h),
     repeated AS (UPDATE retrieval.hint AS h SET received = clock_timestamp()
                  FROM taken AS t WHERE h.collection = %(collection)s AND h.uri = t.uri AND NOT t.done)
DELETE FROM retrieval.hint AS h USING taken AS t
WHERE h.collection = %(collection)s AND h.uri = t.uri AND t.done;

-- name: leave_unlisted
-- removals wait for the listing if they are too many
DELETE FROM difference WHERE uri IS NULL;

-- name: count_known
-- images of the collection, and those that were marked as deleted within a day
SELECT count(*) FILTER (WHERE deleted IS NULL) AS known,
       count(*) FILTER (WHERE deleted > now() - interval '1 day') AS gone
FROM retrieval.image WHERE collection = %(collection)s;

-- name: find_unknown
-- the objects whose version has no vector of the collection's model, and no rejection
SELECT given.uri
FROM unnest(%(uris)s::text[], %(etags)s::text[]) AS given (uri, etag)
WHERE NOT EXISTS (SELECT FROM retrieval.image AS i JOIN retrieval.{vectors} AS v USING (id)
                  WHERE i.collection = %(collection)s AND i.uri = given.uri AND i.deleted IS NULL
                    AND v.etag = given.etag)
  AND NOT EXISTS (SELECT FROM retrieval.rejected AS r
                  WHERE r.collection = %(collection)s AND r.uri = given.uri AND r.etag = given.etag);

-- name: find_last_run
-- when the collection's last run began, and whether one is under way; a killed one counts for an hour
SELECT max(started_at) AS began,
       coalesce(bool_or(state = 'running' AND started_at > now() - interval '1 hour'), false) AS under_way
FROM retrieval.run WHERE collection = %(collection)s;
