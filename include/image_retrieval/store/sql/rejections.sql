-- name: list_rejected
SELECT uri, stage, reason, detail, attempts, final, run_id, updated_at
FROM retrieval.rejected
WHERE collection = %(collection)s
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(uri)s::text IS NULL OR uri = %(uri)s)
  AND (%(final)s::boolean IS NULL OR final = %(final)s)
ORDER BY uri COLLATE "C"
LIMIT %(limit)s::bigint;

-- name: count_by_reason
SELECT reason, count(*) FILTER (WHERE final) AS final, count(*) FILTER (WHERE NOT final) AS not_final
FROM retrieval.rejected
WHERE collection = %(collection)s
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(uri)s::text IS NULL OR uri = %(uri)s)
  AND (%(final)s::boolean IS NULL OR final = %(final)s)
GROUP BY reason
ORDER BY count(*) DESC, reason;

-- name: requeue
-- the row stays until a run has tried its object, so that queued objects can be seen
UPDATE retrieval.rejected
SET final = false, attempts = 0
WHERE collection = %(collection)s
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(uri)s::text IS NULL OR uri = %(uri)s)
  AND (%(final)s::boolean IS NULL OR final = %(final)s);
