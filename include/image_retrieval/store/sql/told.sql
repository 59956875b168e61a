-- name: create_told
-- what each kind of description says of each listed image: caption and attributes, and at which version it was read
CREATE TEMPORARY TABLE told (
    uri   text NOT NULL,
    kind  text NOT NULL,
    about jsonb NOT NULL,
    PRIMARY KEY (uri, kind)
) ON COMMIT DROP;

-- name: keep_told
INSERT INTO told (uri, kind, about)
SELECT l.uri, %(kind)s, i.about #> ARRAY['of', %(kind)s]
FROM listed AS l JOIN retrieval.image AS i ON i.collection = %(collection)s AND i.uri = l.uri
WHERE i.about #> ARRAY['of', %(kind)s] IS NOT NULL;

-- name: write_told
INSERT INTO told (uri, kind, about)
SELECT uri, %(kind)s, about::jsonb FROM unnest(%(uris)s::text[], %(abouts)s::text[]) AS given (uri, about)
ON CONFLICT (uri, kind) DO UPDATE SET about = excluded.about;

-- name: read_listed
SELECT uri FROM listed;

-- name: read_rewritten
-- objects whose headers were not read at this version; a copy onto itself with other headers may have the same etag
SELECT l.uri FROM listed AS l LEFT JOIN told AS t ON t.uri = l.uri AND t.kind = 'headers'
WHERE t.about ->> 'version' IS DISTINCT FROM l.etag || ' ' || extract(epoch FROM date_trunc('second', l.last_modified))::bigint;

-- name: merge_told
-- of each caption and attribute, the first kind in %(order)s that says it; `source` is what the listing itself said, and
-- is kept beside what others say
WITH part AS (
    SELECT uri, kind, about, array_position(%(order)s::text[], kind) AS rank FROM told
    UNION ALL
    SELECT uri, 'source', about, array_position(%(order)s::text[], 'source') FROM listed WHERE about IS NOT NULL
), merged AS (
    SELECT uri, (array_agg(about -> 'caption' ORDER BY rank) FILTER (WHERE about ? 'caption'))[1] AS caption,
           jsonb_object_agg(kind, about) AS kinds, bool_or(kind <> 'source') AS several
    FROM part GROUP BY uri
), combined AS (
    SELECT p.uri, jsonb_object_agg(a.key, a.value ORDER BY p.rank DESC) AS attributes
    FROM part AS p CROSS JOIN LATERAL jsonb_each(p.about -> 'attributes') AS a GROUP BY p.uri
)
UPDATE listed AS l
SET about = jsonb_build_object('of', m.kinds)
         || CASE WHEN m.caption IS NULL THEN '{{}}' ELSE jsonb_build_object('caption', m.caption) END
         || CASE WHEN c.attributes IS NULL THEN '{{}}' ELSE jsonb_build_object('attributes', c.attributes) END
FROM merged AS m LEFT JOIN combined AS c ON c.uri = m.uri
WHERE m.uri = l.uri AND m.several;

-- name: keep_all
UPDATE listed AS l SET about = i.about FROM retrieval.image AS i WHERE i.collection = %(collection)s AND i.uri = l.uri;

-- name: analyse_told
ANALYZE told;

-- name: drop_told
DROP TABLE told;
