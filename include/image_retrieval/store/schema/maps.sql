-- Maps of collections: what people and the service read of them.


CREATE OR REPLACE FUNCTION retrieval.places(collection text, filter jsonb)
RETURNS TABLE (image bigint, image_id text, x real, y real, cluster integer)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    condition text := 'true';
    given     text[] := '{}';
BEGIN
    PERFORM retrieval.view_of(places.collection, NULL);
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    RETURN QUERY EXECUTE format(
        $query$
        SELECT m.id, m.image_id, p.x, p.y, p.cluster
        FROM (SELECT id, image_id FROM retrieval.%I WHERE %s) AS m JOIN retrieval.map_place AS p ON p.image = m.id
        $query$,
        (SELECT 'matching_' || c.name || '_' || c.model FROM retrieval.collection AS c WHERE c.name = places.collection), condition)
    USING given;
END
$$;
COMMENT ON FUNCTION retrieval.places IS 'The places of a collection''s images, or of those that match a filter, on its map.';


CREATE OR REPLACE FUNCTION retrieval.map_points(
    collection text, filter jsonb, OUT ids bytea, OUT x bytea, OUT y bytea, OUT clusters bytea
)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT coalesce(string_agg(int8send(p.image), '' ORDER BY p.image), ''), coalesce(string_agg(float4send(p.x), '' ORDER BY p.image), ''),
           coalesce(string_agg(float4send(p.y), '' ORDER BY p.image), ''), coalesce(string_agg(int4send(p.cluster), '' ORDER BY p.image), '')
    FROM retrieval.places(map_points.collection, map_points.filter) AS p
$$;
COMMENT ON FUNCTION retrieval.map_points IS 'The places that retrieval.places returns, ordered by image, as arrays of numbers in network byte order.';


CREATE OR REPLACE FUNCTION images.map(collection text, filter jsonb DEFAULT '{}')
RETURNS TABLE (image_id text, x real, y real, cluster integer)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT p.image_id, p.x, p.y, p.cluster FROM retrieval.places(map.collection, map.filter) AS p ORDER BY p.image
$$;
COMMENT ON FUNCTION images.map IS
    'Where the images of a collection, or those that match a filter, lie on its map, from 0 to 1, and the number of the smallest '
    'cluster of each; no row before the upkeep has made the map.';


CREATE OR REPLACE FUNCTION images.map_clusters(collection text)
RETURNS TABLE (number integer, level integer, parent integer, x real, y real, images bigint, image_id text, words text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    PERFORM retrieval.view_of(map_clusters.collection, NULL);
    RETURN QUERY
        SELECT c.number, c.level, c.parent, c.x, c.y, c.images, i.image_id, c.words
        FROM retrieval.map_cluster AS c LEFT JOIN retrieval.image AS i ON i.id = c.typical AND i.deleted IS NULL
        WHERE c.collection = map_clusters.collection
        ORDER BY c.level, c.images DESC, c.number;
END
$$;
COMMENT ON FUNCTION images.map_clusters IS
    'The clusters of a collection''s map: level 1 has the largest; parent is the cluster that one is a part of; image_id is the '
    'typical image, and words are those that are more frequent in its captions than elsewhere.';
