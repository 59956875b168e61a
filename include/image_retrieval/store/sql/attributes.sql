-- name: prepare_query
-- what people wrote reads as their role would, changes nothing, and waits for no lock that the run may hold
SET TRANSACTION READ ONLY;
SET LOCAL search_path TO DEFAULT;
SET LOCAL statement_timeout = {milliseconds};
SET LOCAL lock_timeout = '10s';

-- name: become
SET LOCAL ROLE {role};

-- name: read_rows
SELECT to_jsonb(asked)::text AS told FROM (
{query}
) AS asked;

-- name: create_asked
CREATE TEMPORARY TABLE asked (
    key   text PRIMARY KEY,
    about jsonb
) ON COMMIT DROP;

-- name: write_asked
-- of several rows with one key, the first counts
INSERT INTO asked (key, about)
SELECT key, about::jsonb FROM unnest(%(keys)s::text[], %(abouts)s::text[]) WITH ORDINALITY AS given (key, about, number)
ORDER BY number
ON CONFLICT DO NOTHING;

-- name: analyse_asked
ANALYZE asked;

-- name: tell_images
-- a new image has the id that it will get, if nothing else has it
WITH known AS (
    SELECT l.uri, i.image_id, i.about FROM listed AS l
    JOIN retrieval.image AS i ON i.collection = %(collection)s AND i.uri = l.uri
), fresh AS (
    SELECT DISTINCT ON (l.short_id) l.uri, l.short_id, NULL::jsonb AS about FROM listed AS l
    WHERE NOT EXISTS (SELECT FROM retrieval.image AS i WHERE i.collection = %(collection)s AND i.uri = l.uri)
      AND NOT EXISTS (SELECT FROM retrieval.image AS i WHERE i.collection = %(collection)s AND i.image_id = l.short_id)
    ORDER BY l.short_id, l.uri COLLATE "C"
)
INSERT INTO told (uri, kind, about)
SELECT l.uri, 'query', coalesce(a.about, l.about #> '{{of,query}}')
FROM (TABLE known UNION ALL TABLE fresh) AS l JOIN asked AS a ON a.key = l.image_id
WHERE coalesce(a.about, l.about #> '{{of,query}}') IS NOT NULL;

-- name: tell_groups
INSERT INTO told (uri, kind, about)
SELECT l.uri, 'query', coalesce(a.about, i.about #> '{{of,query}}')
FROM listed AS l LEFT JOIN retrieval.image AS i ON i.collection = %(collection)s AND i.uri = l.uri
JOIN asked AS a ON a.key = coalesce(l.group_id, i.group_id)
WHERE coalesce(a.about, i.about #> '{{of,query}}') IS NOT NULL;

-- name: drop_asked
DROP TABLE asked;
