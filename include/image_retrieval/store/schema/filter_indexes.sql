-- Indexes on retrieval.image that serve filters: what a filter asks of, which index that takes, and whether it exists.


CREATE OR REPLACE FUNCTION retrieval.filter_parts(filter jsonb) RETURNS TABLE (kind text, subject text)
LANGUAGE sql IMMUTABLE
AS $$
    WITH RECURSIVE each_filter AS (
        SELECT filter_parts.filter AS part
        UNION ALL
        SELECT item
        FROM each_filter, jsonb_each(part) AS pair, jsonb_array_elements(CASE jsonb_typeof(pair.value) WHEN 'array' THEN pair.value END) AS item
        WHERE pair.key IN ('and', 'or') AND jsonb_typeof(item) = 'object'
    ), tests AS (
        SELECT 'attribute' AS kind, one.key AS subject, one.value
        FROM each_filter, jsonb_each(CASE jsonb_typeof(part -> 'attributes') WHEN 'object' THEN part -> 'attributes' END) AS one
        UNION ALL
        SELECT 'column', pair.key, pair.value
        FROM each_filter, jsonb_each(part) AS pair
        WHERE pair.key IN ('group_id', 'intra_id', 'image_id', 'width', 'height', 'format', 'created_at', 'updated_at',
                           'captured_at', 'colour', 'sharpness', 'complexity')
    )
    SELECT DISTINCT CASE WHEN t.is_range AND t.kind = 'attribute' THEN 'attribute_range' ELSE t.kind END, t.subject
    FROM (SELECT *, jsonb_typeof(value) = 'object' AND value ?| '{gt,gte,lt,lte}' AS is_range FROM tests) AS t
    WHERE t.value <> 'null'
      AND NOT (jsonb_typeof(t.value) = 'object' AND t.value ? 'match')
      AND NOT (t.kind = 'attribute' AND t.is_range AND t.value @? 'strict $.* ? (@.type() == "string")')
$$;
COMMENT ON FUNCTION retrieval.filter_parts IS
    'The columns and attributes that an index could serve a filter by, and their kinds as in retrieval.filter_use; none that stand under "not".';


-- A partial index: the images of other collections are neither in it nor looked at. The id is in it, so that a search
-- need not read the rows of all images that match. The planner does not estimate by what is in a partial index, so a
-- range of an attribute also takes statistics on its expression.
CREATE OR REPLACE FUNCTION retrieval.filter_index(
    collection text, kind text, subject text, OUT name text, OUT definition text, OUT expression text
)
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT i.name,
           format('%I ON retrieval.image %s WHERE collection = %L AND deleted IS NULL', i.name, i.keys, filter_index.collection),
           CASE kind WHEN 'attribute_range' THEN i.keys END
    FROM (
        SELECT 'image_filter_'
                   || CASE kind WHEN 'column' THEN subject WHEN 'attribute' THEN 'attributes' ELSE left(md5(subject), 10) END
                   || '_' || filter_index.collection AS name,
               CASE
                   WHEN kind = 'column' AND subject = 'colour' THEN 'USING gin (colours)'
                   WHEN kind = 'column' THEN
                       format('(%I) INCLUDE (id)', CASE subject WHEN 'created_at' THEN 'first_seen' WHEN 'updated_at' THEN 'updated' ELSE subject END)
                   WHEN kind = 'attribute' THEN 'USING gin (attributes jsonb_path_ops)'
                   ELSE format('((CASE jsonb_typeof(attributes -> %1$L) WHEN ''number'' THEN (attributes ->> %1$L)::numeric END))', subject)
               END AS keys
        WHERE NOT (kind = 'column' AND subject IN ('group_id', 'image_id'))
    ) AS i;
END;
COMMENT ON FUNCTION retrieval.filter_index IS
    'The index that serves a part of a filter: its name, what follows CREATE INDEX, and an expression that needs statistics. Null where every collection has one: group_id, image_id.';


CREATE OR REPLACE FUNCTION retrieval.serving_index(collection text, kind text, subject text) RETURNS text
LANGUAGE sql STABLE
AS $$
    SELECT c.relname
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = to_regclass('retrieval.image') AND i.indisvalid
      AND c.relname = coalesce((retrieval.filter_index(serving_index.collection, kind, subject)).name,
                               CASE subject WHEN 'group_id' THEN 'image_group' ELSE 'image_collection_image_id_key' END)
$$;
COMMENT ON FUNCTION retrieval.serving_index IS 'The index that serves a part of a filter, or null if there is none.';
