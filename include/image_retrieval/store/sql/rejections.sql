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
-- The row stays until a run has tried its object, so that queued objects can be seen. A tar that could not be read is
-- read again, also where a member of it is queued.
WITH tars AS (
    UPDATE retrieval.tar
    SET seen = ''
    WHERE collection = %(collection)s AND reason IS NOT NULL
      AND uri IN (SELECT coalesce(substring(uri FROM '(?i)^(.*?\.tar)#'), uri) FROM retrieval.rejected
                  WHERE collection = %(collection)s
                    AND (%(reason)s::text IS NULL OR reason = %(reason)s)
                    AND (%(uri)s::text IS NULL OR uri = %(uri)s)
                    AND (%(final)s::boolean IS NULL OR final = %(final)s))
)
UPDATE retrieval.rejected
SET final = false, attempts = 0
WHERE collection = %(collection)s
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(uri)s::text IS NULL OR uri = %(uri)s)
  AND (%(final)s::boolean IS NULL OR final = %(final)s);
