-- name: save
INSERT INTO retrieval.listed_part (collection, run_id, number, declared, up_to, listed, rows, missing, refused, began)
VALUES (%(collection)s, %(run_id)s, %(number)s, %(declared)s, %(up_to)s, %(listed)s, %(rows)s, %(missing)s, %(refused)s,
        %(began)s);

-- name: find_start
SELECT now() AS began;

-- name: find
-- the parts of a run, and whether each still counts
SELECT number, up_to, listed, refused,
       declared = %(declared)s AND saved > clock_timestamp() - make_interval(hours => %(hours)s) AS counts
FROM retrieval.listed_part
WHERE collection = %(collection)s AND run_id = %(run_id)s
ORDER BY number;

-- name: take_rows
-- what was written of an image since then is newer
INSERT INTO listed (uri, key, short_id, etag, size, last_modified, group_id, intra_id)
SELECT r.*
FROM retrieval.listed_part AS p
CROSS JOIN jsonb_to_recordset(p.rows) AS r (uri text, key text, short_id text, etag text, size bigint,
                                            last_modified timestamptz, group_id text, intra_id text)
LEFT JOIN retrieval.image AS i ON i.collection = p.collection AND i.uri = r.uri
WHERE p.collection = %(collection)s AND p.run_id = %(run_id)s AND (i.id IS NULL OR i.updated < p.began);

-- name: take_missing
-- an image that was written since then may have an object again
INSERT INTO unlisted (uri)
SELECT i.uri
FROM retrieval.listed_part AS p
CROSS JOIN jsonb_array_elements_text(p.missing) AS m (uri)
JOIN retrieval.image AS i ON i.collection = p.collection AND i.uri = m.uri AND i.updated < p.began
WHERE p.collection = %(collection)s AND p.run_id = %(run_id)s;

-- name: forget
DELETE FROM retrieval.listed_part WHERE collection = %(collection)s;
