-- name: note_uses
-- `searches`: [{{"collection": …, "filter": {{…}}, "seconds": …}}, …]; while another process notes its own, these are
-- left out, so that no search waits; so are names that are too long for the table's index
WITH may AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(hashtextextended('image_retrieval:filter_use', 0)) AS note)
INSERT INTO retrieval.filter_use AS u (collection, kind, subject, uses, slow, seconds)
SELECT s.collection, p.kind, p.subject, count(*), count(*) FILTER (WHERE s.seconds > %(slow)s), sum(s.seconds)
FROM jsonb_to_recordset(%(searches)s) AS s (collection text, filter jsonb, seconds double precision)
JOIN retrieval.collection AS c ON c.name = s.collection
CROSS JOIN LATERAL retrieval.filter_parts(s.filter) AS p
WHERE (SELECT note FROM may) AND octet_length(p.subject) <= 500
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
ON CONFLICT (collection, kind, subject) DO UPDATE
SET uses = u.uses + excluded.uses, slow = u.slow + excluded.slow, seconds = u.seconds + excluded.seconds, used_at = now();

-- name: find_wanted
-- indexes that slow filters of late would have been served by, and that do not exist; the definition: what follows
-- CREATE INDEX; attributes that no image has are left out, and the images are read only if an index may be wanted
WITH slow AS MATERIALIZED (
    SELECT u.kind, u.subject, u.uses, u.slow, i.name, i.definition, i.expression, sum(u.slow) OVER (PARTITION BY i.name) AS of_name
    FROM retrieval.filter_use AS u
    CROSS JOIN LATERAL retrieval.filter_index(u.collection, u.kind, u.subject) AS i
    WHERE u.collection = %(collection)s AND i.name IS NOT NULL AND u.used_at > now() - make_interval(days => %(days)s)
      AND u.uses > 0 AND retrieval.serving_index(u.collection, u.kind, u.subject) IS NULL
), attribute AS MATERIALIZED (
    SELECT DISTINCT key AS name
    FROM retrieval.image AS i
    CROSS JOIN LATERAL jsonb_object_keys(CASE jsonb_typeof(i.attributes) WHEN 'object' THEN i.attributes END) AS key
    WHERE i.collection = %(collection)s AND i.deleted IS NULL
      AND EXISTS (SELECT FROM slow AS s WHERE s.kind <> 'column' AND s.of_name >= %(least)s)
)
SELECT s.name, s.definition, s.expression, sum(s.uses)::bigint AS uses, sum(s.slow)::bigint AS slow,
       string_agg(s.subject, ', ' ORDER BY s.uses DESC) AS subjects
FROM slow AS s
WHERE s.kind = 'column' OR s.subject IN (SELECT name FROM attribute)
GROUP BY s.name, s.definition, s.expression
HAVING sum(s.slow) >= %(least)s
ORDER BY slow DESC, s.name
LIMIT %(most)s;

-- name: try_to_change_uses
-- until the transaction ends, or until the statement does where each is one; searches leave their notes out meanwhile
SELECT pg_try_advisory_xact_lock(hashtextextended('image_retrieval:filter_use', 0)) AS locked;

-- name: forget_uses
-- those of long ago, and beyond so many the least slow ones
DELETE FROM retrieval.filter_use AS u
USING (
    SELECT kind, subject, used_at, row_number() OVER (ORDER BY slow DESC, uses DESC, used_at DESC) AS rank
    FROM retrieval.filter_use
    WHERE collection = %(collection)s
) AS r
WHERE u.collection = %(collection)s AND (u.kind, u.subject) = (r.kind, r.subject)
  AND (r.used_at < now() - make_interval(days => %(days)s) OR r.rank > %(most)s);

-- name: halve_uses
-- once a day; an upkeep may begin a little early
UPDATE retrieval.filter_use
SET uses = uses / 2, slow = slow / 2, seconds = seconds / 2, halved_at = now()
WHERE collection = %(collection)s AND halved_at < now() - interval '23 hours';

-- name: count_made
SELECT count(*) AS made
FROM retrieval.filter_index AS f
JOIN pg_index AS i ON i.indexrelid = to_regclass('retrieval.' || quote_ident(f.name))
WHERE substring(pg_get_expr(i.indpred, i.indrelid) FROM 'collection = ''([a-z0-9_]+)''') = %(collection)s;

-- name: find_unused
-- made by the upkeep, but long used by no search, not even in plain SQL; or not finished; or its collection was dropped
WITH made AS (
    SELECT f.name, f.made_at, i.indexrelid, i.indisvalid,
           substring(pg_get_expr(i.indpred, i.indrelid) FROM 'collection = ''([a-z0-9_]+)''') AS collection
    FROM retrieval.filter_index AS f
    LEFT JOIN pg_index AS i ON i.indexrelid = to_regclass('retrieval.' || quote_ident(f.name))
)
SELECT m.name,
       CASE WHEN m.indisvalid IS NOT TRUE THEN 'its build was broken off'
            WHEN c.name IS NULL THEN 'its collection is gone'
            ELSE 'no search has used it for ' || %(days)s::integer || ' days' END AS why
FROM made AS m
LEFT JOIN retrieval.collection AS c ON c.name = m.collection
LEFT JOIN pg_stat_all_indexes AS s ON s.indexrelid = m.indexrelid
WHERE m.indisvalid IS NOT TRUE
   OR c.name IS NULL
   OR c.name = %(collection)s
      AND greatest(m.made_at, s.last_idx_scan,
                   (SELECT max(u.used_at)
                    FROM retrieval.filter_use AS u
                    CROSS JOIN LATERAL retrieval.filter_index(u.collection, u.kind, u.subject) AS i
                    WHERE u.collection = c.name AND i.name = m.name)) < now() - make_interval(days => %(days)s)
ORDER BY m.name;

-- name: note_index
INSERT INTO retrieval.filter_index (name) VALUES (%(name)s) ON CONFLICT DO NOTHING;

-- name: forget_index
DELETE FROM retrieval.filter_index WHERE name = %(name)s;

-- name: make_index
-- `definition`: of retrieval.filter_index, which quotes names and values
CREATE INDEX {concurrently} {definition};

-- name: make_statistics
CREATE STATISTICS IF NOT EXISTS retrieval.{statistics} ON {expression} FROM retrieval.image;

-- name: drop_statistics
DROP STATISTICS IF EXISTS retrieval.{statistics};

-- name: drop_index
DROP INDEX {concurrently} IF EXISTS retrieval.{index};

-- name: count_images
SELECT greatest(reltuples, 0)::bigint AS images FROM pg_class WHERE oid = to_regclass('retrieval.' || quote_ident(%(vectors)s));
