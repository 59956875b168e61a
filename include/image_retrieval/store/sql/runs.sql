-- name: find_running
-- as in running_runs: a killed run stays `running`, and counts as ended after two days
SELECT run_id, started_at FROM retrieval.run
WHERE collection = %(collection)s AND state = 'running' AND started_at > now() - interval '2 days'
ORDER BY started_at DESC
LIMIT 1;

-- name: find_plan
SELECT listed, new, changed, restored, gone, shards, left_over, rejected
FROM retrieval.run WHERE collection = %(collection)s AND run_id = %(run_id)s AND state = 'running';

-- name: write_run
INSERT INTO retrieval.run
    (collection, run_id, model, also, switch, listed, new, changed, restored, gone, shards, left_over, rejected,
     list_seconds)
VALUES
    (%(collection)s, %(run_id)s, %(model)s, %(also)s, %(switch)s, %(listed)s, %(new)s, %(changed)s, %(restored)s,
     %(gone)s, %(shards)s, %(left_over)s, %(rejected)s, %(seconds)s);

-- name: forget_run
DELETE FROM retrieval.run WHERE collection = %(collection)s AND run_id = %(run_id)s;

-- name: read_run
-- what is left is estimated at the pace of this run, which listed and indexed, too
WITH run AS (
    SELECT r.*, r.new + r.changed AS due,
           coalesce((r.new + r.changed - r.left_over) * count(s.shard)::double precision / nullif(r.shards, 0), 0)
               AS done,
           count(s.shard)::integer AS shards_done,
           coalesce(sum(s.resampled), 0)::bigint AS resampled,
           coalesce(sum(s.embedded), 0)::bigint AS embedded,
           coalesce(sum(s.upserted), 0)::bigint AS upserted,
           coalesce(sum(s.rejected), 0)::bigint AS rejected_in_shards,
           coalesce(sum(s.resample_seconds), 0) AS resample_seconds,
           coalesce(sum(s.embed_seconds), 0) AS embed_seconds,
           coalesce(sum(s.upsert_seconds), 0) AS upsert_seconds
    FROM retrieval.run AS r
    LEFT JOIN retrieval.shard AS s USING (collection, run_id)
    WHERE r.collection = %(collection)s AND r.run_id = %(run_id)s
    GROUP BY r.collection, r.run_id
)
SELECT collection, run_id, state, model, listed, new, changed, restored, gone, shards, left_over, shards_done,
       resampled, embedded, upserted, rejected + rejected_in_shards AS rejected,
       captions, captions_due,
       list_seconds, resample_seconds, embed_seconds, upsert_seconds, index_seconds, started_at, finished_at,
       CASE WHEN done >= due THEN 0
            WHEN done > 0
            THEN extract(epoch FROM coalesce(finished_at, now()) - started_at)::double precision * (due - done) / done
       END AS seconds_left,
       CASE WHEN done >= due THEN 0 WHEN done > 0 THEN embed_seconds * (due - done) / done END AS embed_seconds_left
FROM run;

-- name: count_recent
-- runs that left images over, started within a day
SELECT count(*) FROM retrieval.run
WHERE collection = %(collection)s AND left_over > 0 AND started_at > now() - interval '24 hours';

-- name: missing_shards
SELECT number
FROM retrieval.run AS r, generate_series(0, r.shards - 1) AS number
WHERE r.collection = %(collection)s AND r.run_id = %(run_id)s
  AND NOT EXISTS (SELECT FROM retrieval.shard AS s
                  WHERE s.collection = r.collection AND s.run_id = r.run_id AND s.shard = number)
ORDER BY number;

-- name: set_index_seconds
UPDATE retrieval.run SET index_seconds = %(seconds)s WHERE collection = %(collection)s AND run_id = %(run_id)s;

-- name: record_captions
-- those that the captioner wrote since the run began
UPDATE retrieval.run AS r SET captions_due = %(due)s, captions = (
    SELECT count(*) FROM retrieval.caption AS c JOIN retrieval.image AS i ON i.id = c.image
    WHERE i.collection = r.collection AND c.model = %(model)s
      AND c.created_at BETWEEN r.started_at AND coalesce(r.finished_at, now()))
WHERE r.collection = %(collection)s AND r.run_id = %(run_id)s;

-- name: finish_run
UPDATE retrieval.run SET state = %(state)s, finished_at = now()
WHERE collection = %(collection)s AND run_id = %(run_id)s;

-- name: fail_run
UPDATE retrieval.run SET state = 'failed', finished_at = now()
WHERE collection = %(collection)s AND run_id = %(run_id)s AND state = 'running';

-- name: running_runs
-- a killed run stays `running`, and counts as ended after two days
SELECT run_id FROM retrieval.run
WHERE collection = %(collection)s AND state = 'running' AND started_at > now() - interval '2 days';

-- name: latest_runs
SELECT run_id FROM retrieval.run WHERE collection = %(collection)s ORDER BY started_at DESC LIMIT %(limit)s;

-- name: find_run
-- the models of a run's shards
SELECT model, also, switch, shards FROM retrieval.run WHERE collection = %(collection)s AND run_id = %(run_id)s;
