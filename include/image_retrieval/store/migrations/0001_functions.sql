-- Schema version 1: the search functions of schema images.


-- The view's name, or an error that tells what there is.
CREATE FUNCTION retrieval.view_of(collection text) RETURNS regclass
LANGUAGE plpgsql STABLE AS $$
DECLARE
    view regclass;
BEGIN
    SELECT to_regclass(format('images.%I', c.name)) INTO view FROM retrieval.collection AS c WHERE c.name = view_of.collection;
    IF view IS NULL THEN
        RAISE EXCEPTION 'unknown collection %', quote_literal(view_of.collection)
            USING HINT = 'A collection''s first run makes its view. There are: ' || coalesce((SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM retrieval.collection AS c), 'none');
    END IF;
    RETURN view;
END
$$;
COMMENT ON FUNCTION retrieval.view_of IS 'The view of a collection; an error that lists the collections where it is none.';


CREATE TYPE retrieval.result AS (
    image_id             text,
    similarity           double precision,
    image_path           text,
    resampled_image_path text,
    group_id             text,
    intra_id             text,
    caption              text,
    width                integer,
    height               integer,
    attributes           jsonb
);
COMMENT ON TYPE retrieval.result IS 'One found image; similarity = 1 - cosine distance.';


CREATE FUNCTION images.search(
    collection     text,
    query          halfvec,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL
) RETURNS SETOF retrieval.result
LANGUAGE plpgsql STABLE
SET hnsw.iterative_scan = 'strict_order'
SET hnsw.max_scan_tuples = 1000000
AS $$
DECLARE
    known    constant text[] := ARRAY['group_id', 'intra_id', 'caption', 'width', 'height', 'format', 'attributes'];
    view     constant regclass := retrieval.view_of(search.collection);
    expected constant integer := (SELECT c.dimensions FROM retrieval.collection AS c WHERE c.name = search.collection);
    wanted   constant jsonb := coalesce(search.filter, '{}');
    former   constant text := current_setting('hnsw.ef_search', true);
BEGIN
    IF vector_dims(search.query) <> expected THEN
        RAISE EXCEPTION 'a query for collection % needs % dimensions, not %',
            quote_literal(search.collection), expected, vector_dims(search.query)
            USING HINT = 'Embed the query with the collection''s own model.';
    END IF;
    IF search.k IS NULL OR search.k < 1 THEN
        RAISE EXCEPTION 'k is a number from 1 on, not %', search.k;
    END IF;
    IF jsonb_typeof(wanted) <> 'object' THEN
        RAISE EXCEPTION 'filter is a JSON object such as {"group_id": "shoes"}, not %', wanted;
    END IF;
    IF EXISTS (SELECT FROM jsonb_object_keys(wanted) AS key WHERE key <> ALL (known)) THEN
        RAISE EXCEPTION 'filter % has a key that is not one of %', wanted, array_to_string(known, ', ');
    END IF;
    PERFORM set_config('hnsw.ef_search', least(1000, greatest(100, 2 * search.k))::text, true);
    RETURN QUERY EXECUTE format(
        $query$
        SELECT image_id, 1 - (embedding <=> $1) AS similarity, image_path, resampled_image_path,
               group_id, intra_id, caption, width, height, attributes
        FROM %s
        WHERE ($3 = '{}' OR jsonb_build_object(
                  'group_id', group_id, 'intra_id', intra_id, 'caption', caption, 'width', width,
                  'height', height, 'format', format, 'attributes', attributes) @> $3)
          AND ($4 IS NULL OR embedding <=> $1 <= 1 - $4)
        ORDER BY embedding <=> $1
        LIMIT $2
        $query$, view)
    USING search.query, search.k, wanted, search.min_similarity;
    PERFORM set_config('hnsw.ef_search', coalesce(former, '40'), true);
END
$$;
COMMENT ON FUNCTION images.search IS
    'The k images of a collection that are most similar to a vector (similarity = 1 - cosine distance), best first. '
    'filter holds values that must be equal: {"group_id": "shoes", "attributes": {"colour": "red"}}.';


CREATE FUNCTION retrieval.embedding_of(collection text, image_id text) RETURNS halfvec
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found halfvec;
BEGIN
    EXECUTE format('SELECT embedding FROM %s WHERE image_id = $1', retrieval.view_of($1)) INTO found USING $2;
    IF found IS NULL THEN
        RAISE EXCEPTION 'collection % has no image %', quote_literal($1), quote_literal($2)
            USING HINT = 'image_id is the object''s key under the collection''s source, without its extension.';
    END IF;
    RETURN found;
END
$$;
COMMENT ON FUNCTION retrieval.embedding_of IS 'The vector of an image; an error where the collection does not hold it.';


CREATE FUNCTION images.similar_to(
    collection     text,
    image_id       text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL
) RETURNS SETOF retrieval.result
LANGUAGE sql STABLE AS $$
    SELECT *
    FROM images.search(collection, retrieval.embedding_of(collection, similar_to.image_id), k + 1, filter, min_similarity) AS found
    WHERE found.image_id <> similar_to.image_id
    LIMIT k
$$;
COMMENT ON FUNCTION images.similar_to IS
    'The k images that are most similar to one that the collection holds, best first, itself left out.';


CREATE FUNCTION images.match(collection text, a text, b text) RETURNS double precision
LANGUAGE sql STABLE
RETURN 1 - (retrieval.embedding_of(collection, a) <=> retrieval.embedding_of(collection, b));
COMMENT ON FUNCTION images.match IS 'Similarity (1 - cosine distance) of two images of a collection.';
