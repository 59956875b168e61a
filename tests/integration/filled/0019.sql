-- What schema version 19 is after a run, as pg_dump writes it: what version 18 had.

SET check_function_bodies = false;

CREATE SCHEMA images;

COMMENT ON SCHEMA images IS 'The face of image search: one view per collection, and the search functions.';

CREATE SCHEMA retrieval;

COMMENT ON SCHEMA retrieval IS 'The tables behind image search. Query the views and functions of schema images instead.';

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

COMMENT ON EXTENSION vector IS 'vector data type and ivfflat and hnsw access methods';

CREATE TYPE retrieval.result AS (
	image_id text,
	similarity double precision,
	image_path text,
	resampled_image_path text,
	group_id text,
	intra_id text,
	caption text,
	width integer,
	height integer,
	attributes jsonb
);

COMMENT ON TYPE retrieval.result IS 'One found image; similarity is 1 - cosine distance, the inner product, or 1 / (1 + L2 distance).';

CREATE PROCEDURE images.embed_text(IN collection text, IN text text, IN seconds double precision DEFAULT 10)
    LANGUAGE plpgsql
    AS $$
DECLARE
    until timestamptz;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    until := clock_timestamp() + make_interval(secs => embed_text.seconds);
    PERFORM retrieval.query_vector(embed_text.collection, embed_text.text);  -- an error if it is no query
    IF retrieval.is_embedded(embed_text.collection, embed_text.text) THEN
        RETURN;
    END IF;
    IF octet_length(embed_text.text) NOT BETWEEN 1 AND 4000 THEN
        RAISE EXCEPTION 'a text to embed must have 1 to 4000 bytes, not %', octet_length(embed_text.text);
    END IF;
    PERFORM pg_notify('image_retrieval_embed_text', jsonb_build_object('collection', embed_text.collection, 'text', embed_text.text)::text);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    WHILE NOT retrieval.is_embedded(embed_text.collection, embed_text.text) LOOP
        IF clock_timestamp() > until THEN
            RAISE EXCEPTION 'the text % was not embedded within % seconds', quote_literal(embed_text.text), embed_text.seconds
                USING HINT = format(
                    'Does the service run (image-retrieval serve), and does the model read texts? In a shell: image-retrieval embed-text %s %L',
                    embed_text.collection, embed_text.text);
        END IF;
        PERFORM pg_sleep(0.02);
    END LOOP;
END
$$;

COMMENT ON PROCEDURE images.embed_text(IN collection text, IN text text, IN seconds double precision) IS 'Lets the running service embed a text, so that images.search_text can use it. Call it outside a transaction block.';

CREATE FUNCTION images.explain_search(collection text, query public.halfvec, k integer DEFAULT 10, filter jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(what text, told text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    view     regclass;
    costs    jsonb;
    way      jsonb;
    results  bigint;
    matching bigint;
    started  timestamptz;
    times    double precision[] := '{}';
    given    text[] := '{}';
    condition text;
BEGIN
    view := retrieval.view_of(explain_search.collection, NULL);
    SELECT c.costs INTO costs FROM retrieval.collection AS c WHERE c.name = explain_search.collection;
    FOR turn IN 1..2 LOOP
        PERFORM set_config('image_retrieval.way', '', true);
        started := clock_timestamp();
        SELECT count(*) INTO results FROM images.search(explain_search.collection, query, k, filter);
        times := times || extract(epoch FROM clock_timestamp() - started) * 1000::double precision;
    END LOOP;
    way := nullif(current_setting('image_retrieval.way', true), '')::jsonb;
    SELECT c.given, c.condition INTO given, condition FROM retrieval.condition_of(filter, given) AS c;
    EXECUTE format('SELECT count(*) FROM %s WHERE %s', view, condition) INTO matching USING given;
    RETURN QUERY VALUES
        ('way', retrieval.way_in_words(way)),
        ('why', retrieval.reason_in_words(way, costs, k)),
        ('matching rows', matching || coalesce('; the planner expected ' || (way ->> 'expected'), '')),
        ('results', results::text),
        ('candidates', coalesce(CASE WHEN (way ->> 'exact')::boolean THEN 'none: the index of the vectors is not used' ELSE way ->> 'asked' END, 'k, or ef_search of the collection')),
        ('time', format('%s ms, then %s ms', round(times[1]::numeric, 1), round(times[2]::numeric, 1)));
    RETURN QUERY
        SELECT 'index for ' || p.kind || ' ' || p.subject, coalesce(retrieval.serving_index(explain_search.collection, p.kind, p.subject), 'none')
        FROM retrieval.filter_parts(filter) AS p
        ORDER BY 1;
    RETURN QUERY VALUES ('advice', retrieval.advice_for(explain_search.collection, filter, way, matching, times[2]));
END
$$;

COMMENT ON FUNCTION images.explain_search(collection text, query public.halfvec, k integer, filter jsonb) IS 'Runs images.search twice, and tells which way it takes and why, how many rows match, how long it takes, and what would make it faster.';

CREATE FUNCTION images.facets(collection text, filter jsonb DEFAULT '{}'::jsonb, most integer DEFAULT 20) RETURNS TABLE(facet text, value text, images bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    condition text := 'true';
    given     text[] := '{}';
BEGIN
    IF most IS NULL OR most < 1 THEN
        RAISE EXCEPTION 'most must be 1 or more, not %', coalesce(most::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    RETURN QUERY EXECUTE format(
        $query$
        WITH found AS MATERIALIZED (
            SELECT format, orientation, colours, group_id, captured_at FROM %s WHERE %s
        ), told AS (
            SELECT facet, value, count(*) AS images
            FROM found, LATERAL (
                VALUES ('format', format), ('orientation', orientation), ('group_id', group_id),
                       ('year', to_char(captured_at, 'YYYY'))
                UNION ALL SELECT 'colour', unnest(colours)
            ) AS facets (facet, value)
            WHERE value IS NOT NULL
            GROUP BY facet, value
        ), numbered AS (
            SELECT told.*, row_number() OVER (PARTITION BY facet ORDER BY told.images DESC, value COLLATE "C") AS place FROM told
        )
        SELECT facet, value, images FROM numbered WHERE place <= $2 ORDER BY facet, place
        $query$, retrieval.view_of(collection, NULL), condition)
    USING given, most;
END
$_$;

COMMENT ON FUNCTION images.facets(collection text, filter jsonb, most integer) IS 'How many images of a collection, or of those that match a filter, have each format, orientation, colour, group_id and year of capture; the most frequent values of each, at most `most`.';

CREATE FUNCTION images.map(collection text, filter jsonb DEFAULT '{}'::jsonb) RETURNS TABLE(image_id text, x real, y real, cluster integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT p.image_id, p.x, p.y, p.cluster FROM retrieval.places(map.collection, map.filter) AS p ORDER BY p.image
$$;

COMMENT ON FUNCTION images.map(collection text, filter jsonb) IS 'Where the images of a collection, or those that match a filter, lie on its map, from 0 to 1, and the number of the smallest cluster of each; no row before the upkeep has made the map.';

CREATE FUNCTION images.map_clusters(collection text) RETURNS TABLE(number integer, level integer, parent integer, x real, y real, images bigint, image_id text, words text[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM retrieval.view_of(map_clusters.collection, NULL);
    RETURN QUERY
        SELECT c.number, c.level, c.parent, c.x, c.y, c.images, i.image_id, c.words
        FROM retrieval.map_cluster AS c LEFT JOIN retrieval.image AS i ON i.id = c.typical AND i.deleted IS NULL
        WHERE c.collection = map_clusters.collection
        ORDER BY c.level, c.images DESC, c.number;
END
$$;

COMMENT ON FUNCTION images.map_clusters(collection text) IS 'The clusters of a collection''s map: level 1 has the largest, of which those with that parent are parts; image_id is the most typical image, words are those of captions that are more frequent there than elsewhere.';

CREATE FUNCTION images.match(collection text, a text, b text) RETURNS double precision
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT retrieval.similarity(
        (SELECT c.distance FROM retrieval.collection AS c WHERE c.name = match.collection),
        retrieval.embedding_of(collection, a), retrieval.embedding_of(collection, b))
$$;

COMMENT ON FUNCTION images.match(collection text, a text, b text) IS 'The similarity of two images of a collection, by its distance.';

CREATE FUNCTION images.phash_distance(a bigint, b bigint) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN bit_count(((a # b))::bit(64));

COMMENT ON FUNCTION images.phash_distance(a bigint, b bigint) IS 'The number of bits, of 64, in which two perceptual hashes differ: 0 for pictures that look the same, about 32 for unrelated ones.';

CREATE FUNCTION images.rejected(collection text) RETURNS TABLE(image_id text, image_path text, reason text, detail text, stage text, model text, attempts integer, final boolean, created_at timestamp with time zone, updated_at timestamp with time zone)
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT i.image_id, r.uri, r.reason, r.detail, r.stage, r.model, r.attempts, r.final, r.created_at, r.updated_at
    FROM retrieval.rejected AS r
    LEFT JOIN retrieval.image AS i ON i.collection = r.collection AND i.uri = r.uri
    WHERE retrieval.view_of(rejected.collection) IS NOT NULL AND r.collection = rejected.collection
$$;

COMMENT ON FUNCTION images.rejected(collection text) IS 'The images of a collection that could not be used: why (docs/rejected.md explains each reason), how many runs have tried, and whether they are left alone (final) or tried again by the next run.';

CREATE FUNCTION retrieval.checked_number(name text, value double precision, least_value double precision, most double precision) RETURNS double precision
    LANGUAGE plpgsql IMMUTABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF value IS NULL OR value BETWEEN least_value AND most THEN  -- NaN is larger than any number
        RETURN value;
    END IF;
    RAISE EXCEPTION '% must be a number from % to %, not %', name, least_value, most, value;
END
$$;

COMMENT ON FUNCTION retrieval.checked_number(name text, value double precision, least_value double precision, most double precision) IS 'The number if it is within bounds, or null; an error that names it if it is not, or NaN.';

CREATE FUNCTION retrieval.nearest(collection text, query public.halfvec, k integer, filter jsonb, min_similarity double precision, grouped boolean, ef integer, model text DEFAULT NULL::text) RETURNS SETOF retrieval.result
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET "hnsw.iterative_scan" TO 'relaxed_order'
    SET "hnsw.max_scan_tuples" TO '20000'
    SET "hnsw.scan_mem_multiplier" TO '8'
    SET "hnsw.ef_search" TO '100'
    SET enable_sort TO 'on'
    SET random_page_cost TO '1.1'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    view      regclass;
    space     text;                       -- the names of the collection and the model, joined
    settings  retrieval.collection;
    index     record;
    condition text := 'true';
    given     text[] := '{}';
    expected  double precision;           -- rows that match, by the planner's estimate, then by what the index found
    finding   double precision;           -- what finding them costs, by the planner
    forced    constant boolean := ef IS NOT NULL;
    few       boolean := false;           -- matching rows are found first, and compared by id
    asked     double precision;           -- candidates of the index
    most      constant integer := 20000;  -- candidates, of which all are in order
    wanted    integer := k;               -- rows to find: more than k if only the best of each group is wanted
    sure      bigint;                     -- rows to find so that none is missed: the last candidates of an index are uncertain
    exact     boolean;
    class     text;                       -- of the index in use
    operator  text;
    answer    text;
    results   retrieval.result[];
    enough    boolean;
    hits      bigint;                     -- rows that the index returned
BEGIN
    IF filter = '{}' AND NOT grouped AND ef IS NULL AND nearest.model IS NULL AND k BETWEEN 1 AND 1000 THEN  -- asked most often
        SELECT format('SELECT retrieval.%I($1, $2)', 'nearest_' || c.name || '_' || c.model), least(1000, greatest(c.ef_search, 2 * k))
        INTO answer, ef
        FROM retrieval.collection AS c
        JOIN pg_index AS i ON i.indrelid = to_regclass(format('retrieval.%I', 'vector_' || c.name || '_' || c.model)) AND i.indisvalid
        JOIN pg_opclass AS o ON o.oid = i.indclass[0]
        WHERE c.name = nearest.collection
          AND c.dimensions = vector_dims(query)
          AND o.opcname = retrieval.operator_class(c.distance)
          AND has_table_privilege(retrieval.caller(), to_regclass(format('images.%I', c.name)), 'SELECT');
        IF FOUND THEN
            PERFORM set_config('hnsw.ef_search', ef::text, true);
            EXECUTE answer INTO results USING query, k;
            ef := NULL;
        END IF;
        IF cardinality(results) >= k THEN
            RETURN QUERY SELECT * FROM unnest(results) AS r WHERE min_similarity IS NULL OR r.similarity >= min_similarity;
            RETURN;
        END IF;
    END IF;
    view := retrieval.view_of(nearest.collection, nearest.model);
    SELECT * INTO settings FROM retrieval.collection AS c WHERE c.name = nearest.collection;
    IF nearest.model <> settings.model THEN
        SELECT m.name, m.dimensions INTO settings.model, settings.dimensions
        FROM retrieval.model AS m WHERE m.name = nearest.model;
    END IF;
    IF query IS NULL OR vector_dims(query) <> settings.dimensions THEN
        RAISE EXCEPTION 'a query for collection % needs % dimensions, not %',
            quote_literal(nearest.collection), settings.dimensions, coalesce(vector_dims(query)::text, 'null')
            USING HINT = 'Embed the query with the collection''s own model.';
    END IF;
    IF k IS NULL OR k < 1 THEN
        RAISE EXCEPTION 'k must be 1 or more, not %', coalesce(k::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    operator := retrieval.operator(settings.distance);
    SELECT o.opcname AS class, t.reltuples AS rows INTO index  -- valid, and built for the distance
    FROM pg_class AS t
    JOIN pg_index AS i ON i.indrelid = t.oid AND i.indisvalid
    JOIN pg_opclass AS o ON o.oid = i.indclass[0]
    WHERE t.oid = to_regclass(format('retrieval.%I', 'vector_' || settings.name || '_' || settings.model))
      AND o.opcname IN ('bit_hamming_ops', retrieval.operator_class(settings.distance))
    ORDER BY o.opcname DESC
    LIMIT 1;
    exact := index.class IS NULL OR coalesce(ef, 1) = 0 OR k > 1000;
    IF grouped THEN
        wanted := 5 * least(k, 1000);
    END IF;
    space := settings.name || '_' || settings.model;
    IF condition <> 'true' AND index.rows > 0 THEN
        SELECT e.rows, e.cost INTO expected, finding
        FROM retrieval.expectation(format('retrieval.%I', 'matching_' || space)::regclass, condition, given, index.rows) AS e;
    END IF;
    LOOP
        sure := CASE condition WHEN 'true' THEN wanted ELSE 2 * wanted END;
        asked := greatest(coalesce(nullif(ef, 0), settings.ef_search), 2.0 * wanted, 3.0 * wanted * index.rows / expected);
        IF condition <> 'true' AND asked > 1000 THEN  -- what an iterative scan finds late is in no good order
            asked := 2 * asked;
            sure := 2 * sure;
        END IF;
        IF condition <> 'true' THEN
            exact := exact OR asked > most OR NOT forced AND coalesce(retrieval.is_exact_cheaper(settings.costs, asked, expected, finding), false);
            few := exact AND NOT coalesce(grouped, false) AND expected < 0.1 * index.rows;
        END IF;
        ef := least(asked, 1000);
        class := CASE WHEN NOT exact THEN index.class END;
        -- with a filter all rows must be among the first candidates, so that none is missed
        PERFORM set_config('hnsw.ef_search', ef::text, true),
                set_config('hnsw.iterative_scan', CASE WHEN condition = 'true' OR asked > 1000 THEN 'relaxed_order' ELSE 'off' END, true),
                set_config('hnsw.max_scan_tuples', CASE condition WHEN 'true' THEN most ELSE least(asked, most)::integer END::text, true),
                set_config('enable_sort', CASE WHEN class IS NULL OR condition = 'true' THEN 'on' ELSE 'off' END, true);
        IF class LIKE 'halfvec%' AND condition = 'true' AND NOT coalesce(grouped, false) THEN
            EXECUTE format('SELECT retrieval.%I($1, $2)', 'nearest_' || settings.name || '_' || settings.model) INTO results USING query, k;
            EXIT WHEN cardinality(results) >= k;
            exact := true;
            CONTINUE;
        END IF;
        answer := CASE WHEN few THEN retrieval.few_in_words(space, condition, operator, retrieval.similarity_in_words(settings.distance)) ELSE format(
            $query$
            WITH nearest AS MATERIALIZED (
                SELECT image_id, image_path, resampled_image_path, group_id, intra_id, caption, width, height, attributes,
                       embedding %1$s $2 AS distance
                FROM %2$s
                WHERE %3$s
                ORDER BY %4$s
                LIMIT $3
            ), best AS (
                %5$s
            )
            SELECT array_agg((image_id, similarity, image_path, resampled_image_path, group_id, intra_id, caption,
                              width, height, attributes)::retrieval.result ORDER BY distance, image_id),
                   count(*) >= $4, (SELECT count(*) FROM nearest)
            FROM (SELECT *, %6$s AS similarity FROM best ORDER BY distance + 0, image_id LIMIT $4) AS found
            $query$,
            operator, view, condition,
            CASE class
                WHEN 'bit_hamming_ops' THEN format('binary_quantize(embedding)::bit(%1$s) <~> binary_quantize($2)::bit(%1$s)', settings.dimensions)
                ELSE format('(embedding %s $2)%s', operator, CASE WHEN class IS NULL THEN ' + 0' ELSE '' END)  -- + 0: no index
            END,
            CASE WHEN grouped THEN
                'SELECT DISTINCT ON (group_id, CASE WHEN group_id IS NULL THEN image_id END) * FROM nearest '
                'ORDER BY group_id, CASE WHEN group_id IS NULL THEN image_id END, distance'
            ELSE 'SELECT * FROM nearest' END,
            retrieval.similarity_in_words(settings.distance)) END;
        EXECUTE answer INTO results, enough, hits
        USING given, query,
              CASE WHEN class = 'bit_hamming_ops' THEN greatest(ef, sure) WHEN NOT exact THEN sure WHEN NOT grouped THEN wanted END,
              k;
        EXIT WHEN exact OR enough AND hits >= sure;
        IF hits >= sure AND wanted < 1000 THEN  -- too many of one group
            wanted := wanted * 10;
        ELSIF hits > 0 AND condition <> 'true' AND asked < most THEN  -- fewer match than expected
            expected := index.rows * hits / asked;
        ELSE
            exact := true;
        END IF;
    END LOOP;
    PERFORM set_config('image_retrieval.way', jsonb_build_object(  -- for images.explain_search
        'exact', exact, 'few', few, 'asked', round(asked), 'expected', round(expected), 'finding', finding, 'condition', condition,
        'rows', index.rows, 'indexed', index.class IS NOT NULL)::text, true);
    RETURN QUERY SELECT * FROM unnest(results) AS r WHERE min_similarity IS NULL OR r.similarity >= min_similarity;
END
$_$;

COMMENT ON FUNCTION retrieval.nearest(collection text, query public.halfvec, k integer, filter jsonb, min_similarity double precision, grouped boolean, ef integer, model text) IS 'The function behind images.search; ef is the number of candidates of the index, null: the collection''s, 0: no index; model: the model of the vectors, null: the one that is shown.';

CREATE FUNCTION images.search(collection text, query public.halfvec, k integer DEFAULT 10, filter jsonb DEFAULT '{}'::jsonb, min_similarity double precision DEFAULT NULL::double precision, grouped boolean DEFAULT false) RETURNS SETOF retrieval.result
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT nearest.image_id,
     nearest.similarity,
     nearest.image_path,
     nearest.resampled_image_path,
     nearest.group_id,
     nearest.intra_id,
     nearest.caption,
     nearest.width,
     nearest.height,
     nearest.attributes
    FROM retrieval.nearest(search.collection, search.query,
         CASE
             WHEN (search.k > 1000000000) THEN 1000000000
             ELSE search.k
         END, search.filter,
         CASE
             WHEN (search.min_similarity IS NOT NULL) THEN retrieval.checked_number('min_similarity'::text, search.min_similarity, '-Infinity'::double precision, 'Infinity'::double precision)
             ELSE NULL::double precision
         END, search.grouped, NULL::integer) nearest(image_id, similarity, image_path, resampled_image_path, group_id, intra_id, caption, width, height, attributes);
END;

COMMENT ON FUNCTION images.search(collection text, query public.halfvec, k integer, filter jsonb, min_similarity double precision, grouped boolean) IS 'The k images of a collection that are most similar to a vector, best first; always k if that many match. A filter is an object such as {"group_id": "shoes", "width": {"gte": 500}, "attributes": {"colour": {"any": ["red", "blue"]}}}; grouped: only the best image of each group_id.';

CREATE FUNCTION retrieval.text_model_of(collection text) RETURNS text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    model text;
BEGIN
    PERFORM retrieval.view_of(text_model_of.collection, NULL);
    SELECT c.text_model INTO model FROM retrieval.collection AS c WHERE c.name = text_model_of.collection;
    IF model IS NULL THEN
        RAISE EXCEPTION 'the captions of collection % have no vectors', quote_literal(text_model_of.collection)
            USING HINT = format('Name a text_model in its entry of collections.yaml, then run in a shell: image-retrieval caption %s', text_model_of.collection);
    END IF;
    RETURN model;
END
$$;

COMMENT ON FUNCTION retrieval.text_model_of(collection text) IS 'The model of the vectors of a collection''s captions, or an error if there are none.';

CREATE FUNCTION images.search_captions(collection text, query public.halfvec, k integer DEFAULT 10, filter jsonb DEFAULT '{}'::jsonb, min_similarity double precision DEFAULT NULL::double precision, grouped boolean DEFAULT false) RETURNS SETOF retrieval.result
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT nearest.image_id,
     nearest.similarity,
     nearest.image_path,
     nearest.resampled_image_path,
     nearest.group_id,
     nearest.intra_id,
     nearest.caption,
     nearest.width,
     nearest.height,
     nearest.attributes
    FROM retrieval.nearest(search_captions.collection, search_captions.query,
         CASE
             WHEN (search_captions.k > 1000000000) THEN 1000000000
             ELSE search_captions.k
         END, search_captions.filter,
         CASE
             WHEN (search_captions.min_similarity IS NOT NULL) THEN retrieval.checked_number('min_similarity'::text, search_captions.min_similarity, '-Infinity'::double precision, 'Infinity'::double precision)
             ELSE NULL::double precision
         END, search_captions.grouped, NULL::integer, retrieval.text_model_of(search_captions.collection)) nearest(image_id, similarity, image_path, resampled_image_path, group_id, intra_id, caption, width, height, attributes);
END;

COMMENT ON FUNCTION images.search_captions(collection text, query public.halfvec, k integer, filter jsonb, min_similarity double precision, grouped boolean) IS 'The k images of a collection whose captions are most similar to a vector of the collection''s text_model, best first; always k if that many with a caption match; else as images.search.';

CREATE FUNCTION images.search_hybrid(collection text, text text, k integer DEFAULT 10, filter jsonb DEFAULT '{}'::jsonb, min_similarity double precision DEFAULT NULL::double precision, grouped boolean DEFAULT false, query public.halfvec DEFAULT NULL::public.halfvec, weight double precision DEFAULT NULL::double precision) RETURNS TABLE(image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text, caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    asked constant text := retrieval.asked_text(search_hybrid.text);
    told  jsonb;  -- what captions are compared with
BEGIN
    PERFORM retrieval.view_of(search_hybrid.collection, NULL);
    IF search_hybrid.text IS NULL OR retrieval.is_blank(search_hybrid.text) THEN
        RAISE EXCEPTION 'text is %', CASE WHEN search_hybrid.text IS NULL THEN 'null' ELSE 'blank' END;
    ELSIF length(search_hybrid.text) > 1000 THEN
        RAISE EXCEPTION 'text has % characters: at most 1000 are allowed', length(search_hybrid.text);
    END IF;
    IF query IS NULL AND NOT retrieval.is_blank(asked) AND retrieval.reads_texts(search_hybrid.collection) THEN
        query := retrieval.embedded_text(search_hybrid.collection, asked);
    END IF;
    SELECT jsonb_build_object('caption', q.embedding::text, 'text_model', q.model) INTO told
    FROM retrieval.collection AS c JOIN retrieval.query AS q ON q.model = c.text_model
    WHERE c.name = search_hybrid.collection AND md5(q.text) = md5(asked) AND q.text = asked;
    RETURN QUERY SELECT * FROM retrieval.hybrid(
        search_hybrid.collection, query, jsonb_build_object('words', search_hybrid.text) || coalesce(told, '{}'),
        search_hybrid.k, search_hybrid.filter, search_hybrid.min_similarity, search_hybrid.grouped,
        retrieval.text_direction(asked), search_hybrid.weight, NULL);
END
$$;

COMMENT ON FUNCTION images.search_hybrid(collection text, text text, k integer, filter jsonb, min_similarity double precision, grouped boolean, query public.halfvec, weight double precision) IS 'The k images of a collection that fit a text best by their vectors, and by the words and the vectors of their captions; with a vector, k if that many match the filter. query: a vector in place of the text''s own; weight: that of vectors, 0 to 1, null: the collection''s; else as images.search.';

CREATE FUNCTION images.search_text(collection text, text text, k integer DEFAULT 10, filter jsonb DEFAULT '{}'::jsonb, min_similarity double precision DEFAULT NULL::double precision, grouped boolean DEFAULT false) RETURNS SETOF retrieval.result
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    query constant halfvec := retrieval.embedded_text(search_text.collection, search_text.text);
BEGIN
    RETURN QUERY SELECT * FROM images.search(search_text.collection, query, search_text.k, search_text.filter,
                                             search_text.min_similarity, search_text.grouped);
END
$$;

COMMENT ON FUNCTION images.search_text(collection text, text text, k integer, filter jsonb, min_similarity double precision, grouped boolean) IS 'The k images of a collection that fit a text best, if that text was embedded before; with grouped, the best of each of k groups.';

CREATE FUNCTION images.search_words(collection text, words text, k integer DEFAULT 10, filter jsonb DEFAULT '{}'::jsonb, min_similarity double precision DEFAULT NULL::double precision, grouped boolean DEFAULT false) RETURNS SETOF retrieval.result
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET synchronize_seqscans TO 'off'
    SET max_parallel_workers_per_gather TO '0'
    SET work_mem TO '32MB'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $_$
DECLARE
    view      constant regclass := retrieval.view_of(search_words.collection, NULL);
    lowest    constant double precision := retrieval.checked_number('min_similarity', min_similarity, '-Infinity', 'Infinity');
    query     constant tsquery := retrieval.words_query(search_words.words);
    condition text := 'true';
    given     text[] := '{}';
    phrases   text[];
    singles   tsquery[];                  -- the words of each phrase, any of them
    alternatives boolean;
    weights   double precision[];
    tiers     tsquery[];                  -- what candidates are taken by, in this order
    bound     integer := greatest(1000, least(search_words.k, 1000000000));
    results   retrieval.result[];
    compared  bigint;
BEGIN
    IF search_words.words IS NULL OR retrieval.is_blank(search_words.words) THEN
        RAISE EXCEPTION 'words are %', CASE WHEN search_words.words IS NULL THEN 'null' ELSE 'blank' END;
    ELSIF length(search_words.words) > 1000 THEN
        RAISE EXCEPTION 'words have % characters: at most 1000 are allowed', length(search_words.words);
    ELSIF k IS NULL OR k < 1 THEN
        RAISE EXCEPTION 'k must be 1 or more, not %', coalesce(k::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    SELECT array_agg(DISTINCT p.phrase) FILTER (WHERE NOT p.negated), bool_or(p.alternative) INTO phrases, alternatives
    FROM retrieval.word_parts(search_words.words) AS p;
    weights := retrieval.word_weights(view, phrases);
    tiers := ARRAY[query];
    IF alternatives AND cardinality(phrases) > 1 THEN
        tiers := ARRAY[
            query && array_to_string(phrases, ' & ')::tsquery,
            query && (SELECT p.phrase FROM unnest(phrases, weights) AS p (phrase, weight) ORDER BY p.weight DESC, p.phrase LIMIT 1)::tsquery,
            query];
    END IF;
    singles := ARRAY(SELECT regexp_replace(p, ' <\d+> ', ' | ', 'g')::tsquery FROM unnest(phrases) AS p);
    LOOP
        EXECUTE format(
            $query$
            WITH candidate AS MATERIALIZED (
                %3$s
            ), scored AS (
                SELECT DISTINCT ON (%4$s) *
                FROM (SELECT *, %5$s AS similarity FROM candidate) AS c
                ORDER BY %4$s, similarity DESC, image_id
            )
            SELECT array_agg((image_id, similarity, image_path, resampled_image_path, group_id, intra_id, caption,
                              width, height, attributes)::retrieval.result ORDER BY similarity DESC, image_id),
                   (SELECT max(number) FROM candidate)
            FROM (SELECT * FROM scored ORDER BY similarity DESC, image_id LIMIT $6) AS found
            $query$,
            view, condition,
            (SELECT string_agg(format(
                '(SELECT row_number() OVER () AS number, * FROM (SELECT image_id, image_path, resampled_image_path, group_id, intra_id, '
                'caption, width, height, attributes, words FROM %s WHERE %s AND words @@ $2[%s] LIMIT $3) AS t)', view, condition, tier),
                ' UNION ALL ' ORDER BY tier) FROM generate_subscripts(tiers, 1) AS tier),
            CASE WHEN grouped THEN 'group_id, CASE WHEN group_id IS NULL THEN image_id END' ELSE 'image_id' END,
            retrieval.fit_in_words(cardinality(singles)))
        INTO results, compared
        USING given, tiers, bound, singles, weights, k;
        EXIT WHEN cardinality(results) >= k OR coalesce(compared, 0) < bound;
        bound := least(bound, 100000000) * 10;
    END LOOP;
    RETURN QUERY SELECT * FROM unnest(results) AS r WHERE lowest IS NULL OR r.similarity >= lowest;
END
$_$;

COMMENT ON FUNCTION images.search_words(collection text, words text, k integer, filter jsonb, min_similarity double precision, grouped boolean) IS 'The k images of a collection whose captions fit words best, best first; always k if that many match. Words are as in a web search: all of them, "a phrase", or, -without; else as images.search.';

CREATE FUNCTION images.set_verdict(collection text, a text, b text, verdict text, decided_by text DEFAULT SESSION_USER) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    first  retrieval.image;
    second retrieval.image;
BEGIN
    PERFORM retrieval.view_of(set_verdict.collection);
    SELECT * INTO first FROM retrieval.image AS i
    WHERE i.collection = set_verdict.collection AND i.image_id = least(set_verdict.a COLLATE "C", set_verdict.b COLLATE "C") AND i.deleted IS NULL;
    SELECT * INTO second FROM retrieval.image AS i
    WHERE i.collection = set_verdict.collection AND i.image_id = greatest(set_verdict.a COLLATE "C", set_verdict.b COLLATE "C") AND i.deleted IS NULL;
    IF first.id IS NULL OR second.id IS NULL OR first.id = second.id THEN
        RAISE EXCEPTION 'collection % has no two images % and %', quote_literal(set_verdict.collection), quote_nullable(set_verdict.a), quote_nullable(set_verdict.b)
            USING HINT = 'image_id is the object''s key under the collection''s source, without its extension.';
    END IF;
    IF set_verdict.verdict NOT IN ('duplicate', 'different') THEN
        RAISE EXCEPTION 'a verdict must be duplicate, different or null, not %', quote_literal(set_verdict.verdict);
    END IF;
    DELETE FROM retrieval.verdict AS v
    WHERE v.collection = set_verdict.collection AND v.a = first.image_id AND v.b = second.image_id;
    IF set_verdict.verdict IS NOT NULL THEN
        INSERT INTO retrieval.verdict (collection, a, b, verdict, a_sha256, b_sha256, decided_by)
        VALUES (set_verdict.collection, first.image_id, second.image_id, set_verdict.verdict, first.sha256, second.sha256, set_verdict.decided_by)
        ON CONFLICT ON CONSTRAINT verdict_pkey DO UPDATE
        SET verdict = excluded.verdict, a_sha256 = excluded.a_sha256, b_sha256 = excluded.b_sha256,
            decided_by = excluded.decided_by, decided_at = now();
    END IF;
END
$$;

COMMENT ON FUNCTION images.set_verdict(collection text, a text, b text, verdict text, decided_by text) IS 'Says of two images of a collection that they are duplicate or different, or, with null, takes that back. It holds as long as both have the bytes that they have now.';

CREATE FUNCTION retrieval.embedding_of(collection text, image_id text) RETURNS public.halfvec
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    vector constant halfvec := retrieval.find_embedding($1, $2);
BEGIN
    IF vector IS NULL THEN
        RAISE EXCEPTION 'collection % has no image %', quote_literal($1), quote_literal($2)
            USING HINT = 'image_id is the object''s key under the collection''s source, without its extension.';
    END IF;
    RETURN vector;
END
$_$;

COMMENT ON FUNCTION retrieval.embedding_of(collection text, image_id text) IS 'The vector of an image; an error if the collection does not have the image.';

CREATE FUNCTION images.similar_to(collection text, image_id text, k integer DEFAULT 10, filter jsonb DEFAULT '{}'::jsonb, min_similarity double precision DEFAULT NULL::double precision, grouped boolean DEFAULT false) RETURNS SETOF retrieval.result
    LANGUAGE sql STABLE
    BEGIN ATOMIC
 SELECT search.image_id,
     search.similarity,
     search.image_path,
     search.resampled_image_path,
     search.group_id,
     search.intra_id,
     search.caption,
     search.width,
     search.height,
     search.attributes
    FROM images.search(similar_to.collection, retrieval.embedding_of(similar_to.collection, similar_to.image_id), similar_to.k, jsonb_build_object('and', jsonb_build_array(COALESCE(similar_to.filter, '{}'::jsonb), jsonb_build_object('not', jsonb_build_object('image_id', similar_to.image_id)))), similar_to.min_similarity, similar_to.grouped) search(image_id, similarity, image_path, resampled_image_path, group_id, intra_id, caption, width, height, attributes);
END;

COMMENT ON FUNCTION images.similar_to(collection text, image_id text, k integer, filter jsonb, min_similarity double precision, grouped boolean) IS 'The k images most similar to an image of the collection, best first, without that image; else as images.search.';

CREATE FUNCTION images.timeline(collection text, filter jsonb DEFAULT '{}'::jsonb, most integer DEFAULT 60) RETURNS TABLE(unit text, since timestamp without time zone, until timestamp without time zone, images bigint)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    view      constant regclass := retrieval.view_of(timeline.collection, NULL);
    condition text := 'true';
    given     text[] := '{}';
    earliest  constant timestamp := '0001-01-01';  -- of the years that clients can read
    latest    constant timestamp := '9999-12-31 23:59:59.999999';
    first     timestamp;
    last      timestamp;
    width     interval;
    step      record;
BEGIN
    IF most IS NULL OR most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'most must be 1 to 10000, not %', coalesce(most::text, 'null');
    END IF;
    IF filter <> '{}' THEN
        SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    END IF;
    EXECUTE format(
        'SELECT min(captured_at), max(captured_at) FROM %s WHERE captured_at BETWEEN $2 AND $3 AND (%s)', view, condition)
    INTO first, last USING given, earliest, latest;
    FOR step IN
        SELECT * FROM (VALUES
            ('hour', interval '1 hour', interval '1 hour'), ('day', '1 day', '1 day'), ('week', '7 days', '7 days'),
            ('month', '1 month', '28 days'), ('quarter', '3 months', '90 days'), ('year', '1 year', '365 days'),
            ('decade', '10 years', '3652 days'), ('century', '100 years', '36524 days'), ('millennium', '1000 years', '365242 days')
        ) AS steps (name, width, shortest)
    LOOP
        unit := step.name;
        width := step.width;
        EXIT WHEN last - date_trunc(unit, first) < most * step.shortest;
    END LOOP;
    RETURN QUERY EXECUTE format(
        $query$
        WITH counted AS (
            SELECT date_trunc($2, captured_at) AS since, count(*) AS images
            FROM %s WHERE captured_at BETWEEN $6 AND $7 AND (%s)
            GROUP BY 1
        )
        SELECT $2, greatest(bar, $6), least(bar + $3, $7), coalesce(c.images, 0)
        FROM generate_series(date_trunc($2, $4), $5, $3) AS bar LEFT JOIN counted AS c ON c.since = bar
        ORDER BY bar
        $query$, view, condition)
    USING given, unit, width, first, last, earliest, latest;
END
$_$;

COMMENT ON FUNCTION images.timeline(collection text, filter jsonb, most integer) IS 'How many images of a collection, or of those that match a filter, were taken when: bars of one unit (hour to millennium) from the first to the last, at most `most`, if that is 10 or more, by the cameras'' clocks; images that do not tell their time are left out.';

CREATE FUNCTION retrieval.advice_for(collection text, filter jsonb, way jsonb, matching bigint, milliseconds double precision) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT coalesce(
        (SELECT 'faster with an index: '
                || string_agg(DISTINCT 'CREATE INDEX CONCURRENTLY ' || i.definition
                              || coalesce(format('; CREATE STATISTICS retrieval.%I ON %s FROM retrieval.image; ANALYZE retrieval.image', i.name || '_stat', i.expression), ''), '; ')
                || '; the upkeep makes it where collections.yaml says filter_indexes: true'
         FROM retrieval.filter_parts(filter) AS p, retrieval.filter_index(advice_for.collection, p.kind, p.subject) AS i
         WHERE i.name IS NOT NULL AND retrieval.serving_index(advice_for.collection, p.kind, p.subject) IS NULL
           AND milliseconds > 20 AND matching < 0.1 * (way ->> 'rows')::double precision),
        (SELECT format('the planner expected %s matching rows instead of %s: run ANALYZE retrieval.image', way ->> 'expected', matching)
         WHERE (SELECT count(*) FROM retrieval.filter_parts(filter)) = 1  -- several are expected as if they were independent
           AND NOT (way ->> 'expected')::double precision BETWEEN matching / 10.0 AND greatest(matching, 1) * 10.0),
        'none: no index is missing')
$$;

COMMENT ON FUNCTION retrieval.advice_for(collection text, filter jsonb, way jsonb, matching bigint, milliseconds double precision) IS 'What would make a search faster.';

CREATE FUNCTION retrieval.any_condition(kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    type  constant text := CASE kind WHEN 'attribute' THEN 'scalar' WHEN 'member' THEN 'text' ELSE kind END;
    items text[];
BEGIN
    IF jsonb_typeof(value) <> 'array' THEN
        RAISE EXCEPTION 'filter: % any takes a list, not %', place, value;
    END IF;
    SELECT coalesce(array_agg(retrieval.checked(type, place || ' any', item)), '{}') INTO items
    FROM jsonb_array_elements(value) AS item;
    IF kind = 'attribute' THEN
        SELECT coalesce(array_agg(jsonb_build_object(name, form)::text), '{}') INTO items
        FROM jsonb_array_elements(value) AS item, unnest(ARRAY[item, jsonb_build_array(item)]) AS form;
    END IF;
    given := given || items::text;
    condition := CASE kind
        WHEN 'attribute' THEN format('attributes @> ANY ($1[%s]::jsonb[])', cardinality(given))
        WHEN 'member' THEN format('%I && $1[%s]::text[]', name, cardinality(given))
        ELSE format('%I = ANY ($1[%s]::%s)', name, cardinality(given),
                    CASE kind WHEN 'text' THEN 'text[]' WHEN 'time' THEN 'timestamptz[]'
                              ELSE coalesce((SELECT max(retrieval.number_type(item)) FROM unnest(items) AS item), 'numeric') || '[]' END)
    END;
END
$_$;

COMMENT ON FUNCTION retrieval.any_condition(kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text) IS 'any: equal to one of a list.';

CREATE FUNCTION retrieval.asked_text(text text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    RETURN btrim(regexp_replace(text, '(?:^|[\u0009-\u0020\u3000]+)(?:-(?:"[^"]*(?:"|\Z)|[^\u0009-\u0020\u3000"]+(?![^\u0009-\u0020\u3000"]))[\u0009-\u0020\u3000]*)+'::text, ' '::text, 'g'::text), '	

 　'::text);

COMMENT ON FUNCTION retrieval.asked_text(text text) IS 'A text without its minus terms, which a model would read as if they were wanted.';

CREATE FUNCTION retrieval.best_by_words(view text, condition text, terms text[], weights double precision[], complete boolean, grouped boolean, wanted integer) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
    SELECT format(
        $query$
        SELECT array_agg(image_id ORDER BY fit DESC, image_id)
        FROM (
            SELECT image_id, fit
            FROM (
                SELECT DISTINCT ON (%1$s) image_id, %2$s AS fit
                FROM (SELECT * FROM (%3$s) AS t LIMIT %4$s) AS c
                ORDER BY %1$s, fit DESC, image_id
            ) AS d
            ORDER BY fit DESC, image_id
            LIMIT $2
        ) AS best
        $query$,
        CASE WHEN grouped THEN 'group_id, CASE WHEN group_id IS NULL THEN image_id END' ELSE 'image_id' END,
        retrieval.term_fit_in_words(terms, weights),
        string_agg(format(
            '(SELECT image_id, group_id, words FROM retrieval.%I WHERE %s AND words @@ %L::tsquery LIMIT %s)',
            view, condition, tier, CASE WHEN complete AND grouped THEN 1000000000 ELSE greatest(100, wanted) END),
            ' UNION ALL ' ORDER BY number),
        CASE WHEN complete THEN 'ALL' ELSE greatest(100, wanted)::text END)
    FROM unnest(retrieval.term_tiers(terms, weights, complete)) WITH ORDINALITY AS t (tier, number)
$_$;

COMMENT ON FUNCTION retrieval.best_by_words(view text, condition text, terms text[], weights double precision[], complete boolean, grouped boolean, wanted integer) IS 'The query for the images whose captions fit terms best; complete: it finds as many as are wanted, if so many match.';

CREATE TABLE retrieval.collection (
    name text NOT NULL,
    source text NOT NULL,
    model text NOT NULL,
    dimensions integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    distance text DEFAULT 'cosine'::text NOT NULL,
    ef_search integer DEFAULT 100 NOT NULL,
    overrules text,
    definition jsonb,
    costs jsonb,
    text_model text,
    weight double precision DEFAULT 0.5 NOT NULL,
    CONSTRAINT collection_distance_check CHECK ((distance = ANY (ARRAY['cosine'::text, 'inner_product'::text, 'l2'::text]))),
    CONSTRAINT collection_ef_search_check CHECK (((ef_search >= 1) AND (ef_search <= 1000))),
    CONSTRAINT collection_name_check CHECK ((name ~ '^[a-z][a-z0-9_]*$'::text)),
    CONSTRAINT collection_weight_check CHECK (((weight >= (0)::double precision) AND (weight <= (1)::double precision)))
);

COMMENT ON TABLE retrieval.collection IS 'Collections that have a view in schema images, and the model whose vectors the view shows.';

COMMENT ON COLUMN retrieval.collection.name IS 'Name of the collection and of its view, images.<name>.';

COMMENT ON COLUMN retrieval.collection.source IS 'Bucket prefix that is kept in step.';

COMMENT ON COLUMN retrieval.collection.model IS 'Model whose vectors the view shows.';

COMMENT ON COLUMN retrieval.collection.dimensions IS 'Length of those vectors, in components.';

COMMENT ON COLUMN retrieval.collection.created_at IS 'When the collection was first seen.';

COMMENT ON COLUMN retrieval.collection.updated_at IS 'When its source or model last changed.';

COMMENT ON COLUMN retrieval.collection.distance IS 'What its vectors are compared by: cosine, inner_product or l2.';

COMMENT ON COLUMN retrieval.collection.ef_search IS 'How many candidates a search through its index keeps, at least; raised until the measured recall is as wanted.';

COMMENT ON COLUMN retrieval.collection.overrules IS 'Model in collections.yaml that a switch or a rollback put aside, until that file names another; null: the file holds.';

COMMENT ON COLUMN retrieval.collection.definition IS 'Its entry of collections.yaml at the last run, every default filled in; null until one. It tells how pictures to search by are resampled when the entry is gone.';

COMMENT ON COLUMN retrieval.collection.costs IS 'What searches with filters cost here, in microseconds, as the upkeep measured it: candidate of the index, vector compared by id, unit of the planner''s costs; null: not measured.';

COMMENT ON COLUMN retrieval.collection.text_model IS 'Model of the vectors of captions that searches compare; null: captions have no vectors, or not all of them yet.';

COMMENT ON COLUMN retrieval.collection.weight IS 'How much the vectors count in hybrid searches, 0 to 1; the rest is shared by the other sides, such as words of captions.';

CREATE FUNCTION retrieval.calibration_of(collection retrieval.collection, direction text, OUT slope double precision, OUT middle double precision) RETURNS record
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT found.slope, CASE WHEN abs(found.middle) < 1e-300 THEN 0 ELSE found.middle END  -- products may not underflow
    FROM (
        SELECT (m.calibration -> calibration_of.direction ->> 'slope')::double precision AS slope,
               (m.calibration -> calibration_of.direction ->> 'middle')::double precision AS middle, 1 AS number
        FROM retrieval.model AS m
        WHERE m.name = (calibration_of.collection).model
          AND jsonb_typeof(m.calibration -> calibration_of.direction -> 'slope') = 'number'
          AND jsonb_typeof(m.calibration -> calibration_of.direction -> 'middle') = 'number'
        UNION ALL
        SELECT c.slope, c.middle, 2
        FROM retrieval.calibration AS c
        WHERE c.collection = (calibration_of.collection).name AND c.model = (calibration_of.collection).model
          AND c.direction = calibration_of.direction AND c.slope IS NOT NULL AND (calibration_of.collection).distance <> 'l2'
    ) AS found
    ORDER BY number
    LIMIT 1
$$;

COMMENT ON FUNCTION retrieval.calibration_of(collection retrieval.collection, direction text, OUT slope double precision, OUT middle double precision) IS 'The calibration of a direction: that of the model, else that of the collection; nulls if there is none.';

CREATE FUNCTION retrieval.caller() RETURNS name
    LANGUAGE sql STABLE
    RETURN CASE current_setting('role'::text) WHEN 'none'::text THEN SESSION_USER ELSE (current_setting('role'::text))::name END;

COMMENT ON FUNCTION retrieval.caller() IS 'The role that calls, also inside a function that runs as its owner.';

CREATE FUNCTION retrieval.candidates_in_words(matching text, tiers integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT format('SELECT * FROM (%s) AS t LIMIT greatest(100, wanted)'::text, string_agg(format('(SELECT id, image_id, words FROM retrieval.%I WHERE words @@ tiers[%s] LIMIT greatest(100, wanted))'::text, candidates_in_words.matching, tier.tier), ' UNION ALL '::text ORDER BY tier.tier)) AS format
    FROM generate_series(1, candidates_in_words.tiers) tier(tier);
END;

COMMENT ON FUNCTION retrieval.candidates_in_words(matching text, tiers integer) IS 'The query for the candidates of so many tiers, as retrieval.best_by_words takes them.';

CREATE FUNCTION retrieval.captions_with(view regclass, phrase text) RETURNS double precision
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    few      constant integer := 200;
    expected constant double precision := retrieval.expected_rows(view, 'words @@ $1[1]::tsquery', ARRAY[phrase]);
    counted  bigint := few;
BEGIN
    IF expected < 5000 THEN
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %s WHERE words @@ $1::tsquery LIMIT %s) AS f', view, few)
        INTO counted USING phrase;
    END IF;
    RETURN CASE WHEN counted < few THEN counted ELSE greatest(expected, few) END;
END
$_$;

COMMENT ON FUNCTION retrieval.captions_with(view regclass, phrase text) IS 'About how many captions of a view hold a phrase of a tsquery.';

CREATE FUNCTION retrieval.checked(kind text, place text, value jsonb) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF (CASE kind
            WHEN 'text' THEN jsonb_typeof(value) = 'string'
            WHEN 'number' THEN jsonb_typeof(value) = 'number'
            WHEN 'time' THEN jsonb_typeof(value) = 'string' AND retrieval.time_of(value #>> '{}') IS NOT NULL
            WHEN 'scalar' THEN jsonb_typeof(value) IN ('string', 'number', 'boolean')
        END) THEN
        RETURN value #>> '{}';
    END IF;
    RAISE EXCEPTION 'filter: % takes %, not %', place,
        CASE kind WHEN 'text' THEN 'a text' WHEN 'number' THEN 'a number' WHEN 'scalar' THEN 'a text, a number, true or false'
                  ELSE 'a time such as "2026-11-21T10:00:00Z"' END, value;
END
$$;

COMMENT ON FUNCTION retrieval.checked(kind text, place text, value jsonb) IS 'A filter''s value as text; an error that names its place if its type is wrong.';

CREATE FUNCTION retrieval.condition_of(filter jsonb, INOUT given text[], OUT condition text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    kinds constant jsonb := '{"group_id": "text", "intra_id": "text", "image_id": "text", "caption": "text", "width": "number",
        "height": "number", "format": "text", "created_at": "time", "updated_at": "time", "captured_at": "time",
        "aspect": "number", "orientation": "text", "sharpness": "number", "complexity": "number"}';
    parts text[] := '{}';
    inner_parts text[];
    key   text;
    name  text;
    value jsonb;
    item  jsonb;
BEGIN
    IF jsonb_typeof(filter) IS DISTINCT FROM 'object' THEN
        RAISE EXCEPTION 'filter must be a JSON object such as {"group_id": "shoes"}, not %', coalesce(filter::text, 'null');
    END IF;
    FOR key, value IN SELECT * FROM jsonb_each(filter) LOOP
        inner_parts := '{}';
        IF key IN ('and', 'or') THEN
            IF jsonb_typeof(value) <> 'array' THEN
                RAISE EXCEPTION 'filter: "%" takes a list of filters, not %', key, value;
            END IF;
            FOR item IN SELECT * FROM jsonb_array_elements(value) LOOP
                SELECT * INTO given, condition FROM retrieval.condition_of(item, given);
                inner_parts := inner_parts || condition;
            END LOOP;
            parts := parts || coalesce('(' || nullif(array_to_string(inner_parts, format(' %s ', upper(key))), '') || ')',
                                       CASE key WHEN 'and' THEN 'true' ELSE 'false' END);
        ELSIF key = 'not' THEN
            SELECT * INTO given, condition FROM retrieval.condition_of(value, given);
            parts := parts || format('(%s) IS NOT TRUE', condition);
        ELSIF key = 'attributes' THEN
            IF jsonb_typeof(value) <> 'object' THEN
                RAISE EXCEPTION 'filter: "attributes" takes an object such as {"colour": "red"}, not %', value;
            END IF;
            FOR name, item IN SELECT * FROM jsonb_each(value) LOOP
                SELECT * INTO given, condition FROM retrieval.condition_on('attribute', name, item, given);
                parts := parts || condition;
            END LOOP;
        ELSIF key = 'colour' THEN
            SELECT * INTO given, condition FROM retrieval.condition_on('member', 'colours', value, given);
            parts := parts || condition;
        ELSIF kinds ? key THEN
            SELECT * INTO given, condition FROM retrieval.condition_on(kinds ->> key, key, value, given);
            parts := parts || condition;
        ELSE
            RAISE EXCEPTION 'filter: % is not one of group_id, intra_id, image_id, caption, width, height, format, created_at, '
                'updated_at, captured_at, aspect, orientation, colour, sharpness, complexity, attributes, and, or, not', to_json(key);
        END IF;
    END LOOP;
    condition := coalesce('(' || nullif(array_to_string(parts, ' AND '), '') || ')', 'true');
END
$$;

COMMENT ON FUNCTION retrieval.condition_of(filter jsonb, INOUT given text[], OUT condition text) IS 'A filter as a condition on the columns of a view, and the values that the condition calls $1; all keys must hold.';

CREATE FUNCTION retrieval.condition_on(kind text, name text, value jsonb, INOUT given text[], OUT condition text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    place    constant text := CASE kind WHEN 'attribute' THEN 'attribute ' ELSE '' END
                              || to_json(CASE kind WHEN 'member' THEN rtrim(name, 's') ELSE name END);
    parts    text[] := '{}';
    operator text;
    operand  jsonb;
BEGIN
    IF jsonb_typeof(value) = 'object' THEN
        FOR operator, operand IN SELECT * FROM jsonb_each(value) LOOP
            CASE
                WHEN operator IN ('gt', 'gte', 'lt', 'lte') THEN
                    SELECT * INTO given, condition FROM retrieval.range_condition(kind, name, place, operator, operand, given);
                WHEN operator = 'any' THEN
                    SELECT * INTO given, condition FROM retrieval.any_condition(kind, name, place, operand, given);
                WHEN operator = 'match' THEN
                    SELECT * INTO given, condition FROM retrieval.match_condition(kind, name, place, operand, given);
                ELSE
                    RAISE EXCEPTION 'filter: % has an unknown operator %; use gt, gte, lt, lte, any or match',
                        place, to_json(operator);
            END CASE;
            parts := parts || condition;
        END LOOP;
        IF parts = '{}' THEN
            RAISE EXCEPTION 'filter: % has no operator; use gt, gte, lt, lte, any or match', place;
        END IF;
        condition := array_to_string(parts, ' AND ');
    ELSIF kind = 'attribute' THEN
        given := given || jsonb_build_object(name, value)::text;
        condition := format('attributes @> $1[%s]::jsonb', cardinality(given));
        IF jsonb_typeof(value) <> 'array' THEN  -- or the attribute is a list that contains it
            given := given || jsonb_build_object(name, jsonb_build_array(value))::text;
            condition := format('(%s OR attributes @> $1[%s]::jsonb)', condition, cardinality(given));
        END IF;
    ELSIF value = 'null' THEN
        condition := format('%I IS NULL', name);
    ELSIF kind = 'member' THEN
        given := given || retrieval.checked('text', place, value);
        condition := format('%I @> ARRAY[$1[%s]]', name, cardinality(given));
    ELSE
        given := given || retrieval.checked(kind, place, value);
        condition := format('%I = $1[%s]::%s', name, cardinality(given), CASE kind
            WHEN 'text' THEN 'text' WHEN 'time' THEN 'timestamptz'
            WHEN 'number' THEN retrieval.number_type(given[cardinality(given)]) END);
    END IF;
END
$_$;

COMMENT ON FUNCTION retrieval.condition_on(kind text, name text, value jsonb, INOUT given text[], OUT condition text) IS 'The condition that a filter puts on one column or attribute.';

CREATE FUNCTION retrieval.copy_all_told() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    name constant text := coalesce(new.collection, old.collection);
BEGIN
    UPDATE retrieval.image AS i SET told = retrieval.told_of(i.id, i.collection, i.etag)
    WHERE i.collection = name AND i.told IS DISTINCT FROM retrieval.told_of(i.id, i.collection, i.etag);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION retrieval.copy_all_told() IS 'Copies the captions of a collection to the rows of its images when others are shown.';

CREATE FUNCTION retrieval.copy_told() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    PERFORM FROM retrieval.image AS i WHERE i.id IN (SELECT c.image FROM changed AS c) ORDER BY i.id FOR NO KEY UPDATE;
    UPDATE retrieval.image AS i SET told = retrieval.told_of(i.id, i.collection, i.etag)
    WHERE i.id IN (SELECT c.image FROM changed AS c)
      AND i.told IS DISTINCT FROM retrieval.told_of(i.id, i.collection, i.etag);
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION retrieval.copy_told() IS 'Copies captions that were written or removed to the rows of their images.';

CREATE FUNCTION retrieval.cost(costs jsonb, name text) RETURNS double precision
    LANGUAGE sql IMMUTABLE
    RETURN COALESCE(((costs ->> name))::double precision, (CASE name WHEN 'candidate'::text THEN 30 WHEN 'vector'::text THEN 4 WHEN 'unit'::text THEN 4 ELSE NULL::integer END)::double precision);

COMMENT ON FUNCTION retrieval.cost(costs jsonb, name text) IS 'Microseconds of a candidate of the index, a vector compared by id, or a unit of the planner''s costs: as measured, else as usual.';

CREATE FUNCTION retrieval.drop_vectors(collection text, model text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    name constant text := drop_vectors.collection || '_' || drop_vectors.model;
BEGIN
    DELETE FROM retrieval.vector_space AS s WHERE s.collection = drop_vectors.collection AND s.model = drop_vectors.model;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('DROP FUNCTION IF EXISTS retrieval.%1$I, retrieval.%2$I', 'nearest_' || name, 'hybrid_' || name);
    EXECUTE format('DROP VIEW IF EXISTS retrieval.%1$I, retrieval.%2$I, retrieval.%3$I', 'images_' || name, 'matching_' || name, 'vectors_' || name);
    EXECUTE format('DROP TABLE IF EXISTS retrieval.%I', 'vector_' || name);
    DELETE FROM retrieval.vector_index WHERE vectors = 'vector_' || name;
END
$_$;

COMMENT ON FUNCTION retrieval.drop_vectors(collection text, model text) IS 'Drops the vectors of a collection under a model, and the objects that search them; an error if they are shown.';

CREATE FUNCTION retrieval.embedded_text(collection text, text text) RETURNS public.halfvec
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    vector constant halfvec := retrieval.query_vector(embedded_text.collection, embedded_text.text);
BEGIN
    IF vector IS NULL THEN
        RAISE EXCEPTION 'the text % is not embedded yet for collection %',
            quote_literal(embedded_text.text), quote_literal(embedded_text.collection)
            USING HINT = format(
                'With the service running: CALL images.embed_text(%1$L, %2$L); without it, in a shell: image-retrieval embed-text %1$s %2$L',
                embedded_text.collection, embedded_text.text);
    END IF;
    RETURN vector;
END
$_$;

COMMENT ON FUNCTION retrieval.embedded_text(collection text, text text) IS 'The vector of a text under a collection''s model; an error if it is not embedded yet.';

CREATE FUNCTION retrieval.expectation(matching regclass, condition text, given text[], vectors double precision, OUT rows double precision, OUT cost double precision) RETURNS record
    LANGUAGE plpgsql
    SET max_parallel_workers_per_gather TO '0'
    SET random_page_cost TO '1.1'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    part  json;
    every json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT id FROM %s WHERE %s', matching, condition) INTO part USING given;
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT id FROM %s', matching) INTO every;
    rows := greatest(1, vectors * (part #>> '{0,Plan,Plan Rows}')::double precision
                                / greatest(1, (every #>> '{0,Plan,Plan Rows}')::double precision));
    cost := (part #>> '{0,Plan,Total Cost}')::double precision;
END
$$;

COMMENT ON FUNCTION retrieval.expectation(matching regclass, condition text, given text[], vectors double precision, OUT rows double precision, OUT cost double precision) IS 'How many of a number of vectors the planner expects to match a condition, and its cost of finding them.';

CREATE FUNCTION retrieval.expected_rows(view regclass, condition text, given text[]) RETURNS double precision
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE format('EXPLAIN (FORMAT JSON) SELECT FROM %s WHERE %s', view, condition) INTO plan USING given;
    RETURN greatest((plan #>> '{0,Plan,Plan Rows}')::double precision, 1);
END
$$;

COMMENT ON FUNCTION retrieval.expected_rows(view regclass, condition text, given text[]) IS 'The number of rows that the planner expects to match a condition.';

CREATE FUNCTION retrieval.expected_weights(terms text[]) RETURNS double precision[]
    LANGUAGE plpgsql STRICT
    SET max_parallel_workers_per_gather TO '0'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    told constant double precision := (SELECT c.reltuples FROM pg_class AS c WHERE c.oid = 'retrieval.image_words'::regclass);
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT JSON) SELECT 1'
            || (SELECT string_agg(format(' UNION ALL SELECT 1 FROM retrieval.image WHERE words @@ %L::tsquery', t.term), '' ORDER BY t.number)
                FROM unnest(terms) WITH ORDINALITY AS t (term, number))
    INTO plan;
    RETURN (SELECT array_agg(ln(1 + (greatest(told - f.rows, 0) + 0.5) / (f.rows + 0.5)) ORDER BY f.number)
            FROM (SELECT (p.plan ->> 'Plan Rows')::double precision AS rows, p.number
                  FROM json_array_elements(plan #> '{0,Plan,Plans}') WITH ORDINALITY AS p (plan, number)
                  WHERE p.number > 1) AS f);
END
$$;

COMMENT ON FUNCTION retrieval.expected_weights(terms text[]) IS 'What each term weighs, as BM25 says of the number of captions that the planner expects to hold it.';

CREATE FUNCTION retrieval.face_hybrid(name text, distance text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
BEGIN
    EXECUTE format(
        $function$
        CREATE OR REPLACE FUNCTION retrieval.%1$I(
            query halfvec, terms tsquery[], parts tsquery[], weights double precision[], tiers tsquery[], slope double precision,
            middle double precision, share double precision, wanted integer, k integer, lowest double precision
        ) RETURNS TABLE (
            image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text,
            caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb
        )
        LANGUAGE plpgsql STABLE
        SET plan_cache_mode = 'force_generic_plan'
        SET enable_seqscan = off
        SET search_path FROM CURRENT
        AS $body$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY %2$s;
        END
        $body$;
        COMMENT ON FUNCTION retrieval.%1$I IS 'The images of this collection that fit a vector of this model and up to four terms best.';
        $function$,
        'hybrid_' || name, retrieval.vector_and_words_in_words(name, distance));
END
$_$;

COMMENT ON FUNCTION retrieval.face_hybrid(name text, distance text) IS 'Creates retrieval.hybrid_<collection>_<model>.';

CREATE FUNCTION retrieval.face_vectors(collection text, model text, distance text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    name    constant text := face_vectors.collection || '_' || face_vectors.model;
    vectors constant text := 'vector_' || name;
    view    constant text := 'images_' || name;
BEGIN
    IF to_regclass(format('retrieval.%I', vectors)) IS NULL THEN
        RETURN;
    END IF;
    IF to_regclass(format('retrieval.%I', view)) IS NULL THEN  -- else take no lock, since people are searching
        PERFORM retrieval.make_face(face_vectors.collection, face_vectors.model);
    END IF;
    IF to_regclass(format('retrieval.%I', 'matching_' || name)) IS NULL THEN
        PERFORM retrieval.make_sides(face_vectors.collection, name);
    END IF;
    EXECUTE format(
        $function$
        CREATE OR REPLACE FUNCTION retrieval.%1$I(query halfvec, k integer) RETURNS retrieval.result[]
        LANGUAGE plpgsql STABLE
        SET plan_cache_mode = 'force_generic_plan'
        SET enable_sort = off
        SET search_path FROM CURRENT
        AS $body$
        BEGIN
            RETURN (%2$s);
        END
        $body$;
        COMMENT ON FUNCTION retrieval.%1$I IS 'The nearest k images of this collection under this model by its index, which may find fewer.';
        $function$,
        'nearest_' || name, retrieval.nearest_in_words(view, face_vectors.distance));
    PERFORM retrieval.face_hybrid(name, face_vectors.distance);
END
$_$;

COMMENT ON FUNCTION retrieval.face_vectors(collection text, model text, distance text) IS 'Creates the views retrieval.images_, matching_ and vectors_<collection>_<model>, and the searches without filter, retrieval.nearest_ and hybrid_<collection>_<model>.';

CREATE FUNCTION retrieval.few_in_words(name text, condition text, operator text, similarity text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN format('
    WITH nearest AS MATERIALIZED (
        SELECT id, embedding %3$s $2 AS distance
        FROM retrieval.%5$I
        WHERE id = ANY (ARRAY(SELECT id FROM retrieval.%1$I WHERE %2$s))
        ORDER BY (embedding %3$s $2) + 0  -- + 0: no index
        LIMIT $3
    )
    SELECT array_agg((image_id, %4$s, image_path, resampled_image_path, group_id, intra_id, caption, width, height,
                      attributes)::retrieval.result ORDER BY distance, image_id),
           true, count(*)
    FROM nearest JOIN retrieval.%1$I USING (id)
    '::text, ('matching_'::text || name), condition, operator, similarity, ('vectors_'::text || name));

COMMENT ON FUNCTION retrieval.few_in_words(name text, condition text, operator text, similarity text) IS 'The query that compares the images that match a condition, where these are few.';

CREATE FUNCTION retrieval.filter_index(collection text, kind text, subject text, OUT name text, OUT definition text, OUT expression text) RETURNS record
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT i.name,
     format('%I ON retrieval.image %s WHERE collection = %L AND deleted IS NULL'::text, i.name, i.keys, filter_index.collection) AS format,
         CASE filter_index.kind
             WHEN 'attribute_range'::text THEN i.keys
             ELSE NULL::text
         END AS "case"
    FROM ( SELECT ((('image_filter_'::text ||
                 CASE filter_index.kind
                     WHEN 'column'::text THEN filter_index.subject
                     WHEN 'attribute'::text THEN 'attributes'::text
                     ELSE "left"(md5(filter_index.subject), 10)
                 END) || '_'::text) || filter_index.collection) AS name,
                 CASE
                     WHEN ((filter_index.kind = 'column'::text) AND (filter_index.subject = 'colour'::text)) THEN 'USING gin (colours)'::text
                     WHEN (filter_index.kind = 'column'::text) THEN format('(%I) INCLUDE (id)'::text,
                     CASE filter_index.subject
                         WHEN 'created_at'::text THEN 'first_seen'::text
                         WHEN 'updated_at'::text THEN 'updated'::text
                         ELSE filter_index.subject
                     END)
                     WHEN (filter_index.kind = 'attribute'::text) THEN 'USING gin (attributes jsonb_path_ops)'::text
                     ELSE format('((CASE jsonb_typeof(attributes -> %1$L) WHEN ''number'' THEN (attributes ->> %1$L)::numeric END))'::text, filter_index.subject)
                 END AS keys
           WHERE (NOT ((filter_index.kind = 'column'::text) AND (filter_index.subject = ANY (ARRAY['group_id'::text, 'image_id'::text]))))) i;
END;

COMMENT ON FUNCTION retrieval.filter_index(collection text, kind text, subject text, OUT name text, OUT definition text, OUT expression text) IS 'The index that serves a part of a filter: its name, what follows CREATE INDEX, and an expression that needs statistics. Null where every collection has one: group_id, image_id.';

CREATE FUNCTION retrieval.filter_parts(filter jsonb) RETURNS TABLE(kind text, subject text)
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
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
$_$;

COMMENT ON FUNCTION retrieval.filter_parts(filter jsonb) IS 'The columns and attributes that an index could serve a filter by, and their kinds as in retrieval.filter_use; none that stand under "not".';

CREATE FUNCTION retrieval.find_embedding(collection text, image_id text, model text DEFAULT NULL::text) RETURNS public.halfvec
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    vector halfvec;
BEGIN
    EXECUTE format('SELECT embedding FROM %s WHERE image_id = $1', retrieval.view_of($1, $3)) INTO vector USING $2;
    RETURN vector;
END
$_$;

COMMENT ON FUNCTION retrieval.find_embedding(collection text, image_id text, model text) IS 'The vector of an image under a model (null: the model that is shown); null if there is none.';

CREATE FUNCTION retrieval.fit_in_words(phrases integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    BEGIN ATOMIC
 SELECT COALESCE((('('::text || string_agg(format('$5[%1$s] * ts_rank(words, $4[%1$s]) / (ts_rank(words, $4[%1$s]) + 0.0608 * 1.2 * (0.25 + 0.75 * length(words) / 20))'::text, number.number), ' + '::text)) || ') / (SELECT sum(weight) FROM unnest($5) AS w (weight))'::text), '0.0::double precision'::text) AS "coalesce"
    FROM generate_series(1, fit_in_words.phrases) number(number);
END;

COMMENT ON FUNCTION retrieval.fit_in_words(phrases integer) IS 'The expression for how well words fit a number of phrases, each given as its words joined by | in $4, of the weights $5.';

CREATE FUNCTION retrieval.folded(value text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $$
BEGIN
    value := left(value, 16000);
    IF octet_length(value) = length(value) THEN
        RETURN lower(value COLLATE "C");
    END IF;
    value := regexp_replace(
        normalize(value, NFKD),
        '[\u00ad\u0300-\u036f\u061c\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e0fff]',
        '', 'g');
    RETURN translate(
        lower(left(normalize(value, NFKC), 16000) COLLATE "C"),
        '“”„‟«»ØÆŒŁĐÐÞĦŊŦΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩςАБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯЂЄЅІЈЉЊЋЏҐ',
        '""""""øæœłđðþħŋŧαβγδεζηθικλμνξοπρστυφχψωσабвгдежзиклмнопрстуфхцчшщъыьэюяђєѕіјљњћџґ');
END
$$;

COMMENT ON FUNCTION retrieval.folded(value text) IS 'The first 16,000 characters of a text without differences of width, case and accents; quotation marks become ".';

CREATE FUNCTION retrieval.forget_caption_vector() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    vectors text;
BEGIN
    FOR vectors IN
        SELECT s.vectors FROM retrieval.vector_space AS s
        JOIN retrieval.model AS m ON m.name = s.model AND m.family = 'text_encoder'
        WHERE s.collection = new.collection AND to_regclass(format('retrieval.%I', s.vectors)) IS NOT NULL
    LOOP
        EXECUTE format('DELETE FROM retrieval.%I WHERE id = $1', vectors) USING new.id;
    END LOOP;
    RETURN NULL;
END
$_$;

COMMENT ON FUNCTION retrieval.forget_caption_vector() IS 'Removes the vectors of an image''s former caption.';

CREATE FUNCTION retrieval.forget_digest() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    NEW.digest := NULL;
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION retrieval.forget_digest() IS 'For vector tables: removes the digest of a vector that is changed by hand, so that the next load writes it again.';

CREATE FUNCTION retrieval.forget_told() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    new.told := NULL;
    RETURN new;
END
$$;

COMMENT ON FUNCTION retrieval.forget_told() IS 'Removes what models told of an image''s former version.';

CREATE FUNCTION retrieval.one_term_fit(words tsvector, term tsquery, parts tsquery, weight double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (words @@ term) THEN (weight * ((1)::double precision - ((1)::double precision / ((1)::double precision + (ts_rank(words, parts) / ((0.07296)::double precision * ((0.25)::double precision + ((0.0375)::double precision * (length(words))::double precision)))))))) ELSE (0)::double precision END;

COMMENT ON FUNCTION retrieval.one_term_fit(words tsvector, term tsquery, parts tsquery, weight double precision) IS 'How well words fit a term, whose words are its parts, by the formula of search_words.sql.';

CREATE FUNCTION retrieval.four_terms_fit(words tsvector, terms tsquery[], parts tsquery[], weights double precision[]) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN NULLIF((((retrieval.one_term_fit(words, (terms)[1], (parts)[1], (weights)[1]) + retrieval.one_term_fit(words, (terms)[2], (parts)[2], (weights)[2])) + retrieval.one_term_fit(words, (terms)[3], (parts)[3], (weights)[3])) + retrieval.one_term_fit(words, (terms)[4], (parts)[4], (weights)[4])), (0)::double precision);

COMMENT ON FUNCTION retrieval.four_terms_fit(words tsvector, terms tsquery[], parts tsquery[], weights double precision[]) IS 'As the expression of retrieval.term_fit_in_words, of up to four terms whose weights add up to 1.';

CREATE FUNCTION retrieval.fused_in_words(parts text[], weights double precision[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT string_agg(format('%s * coalesce(%s, 0)'::text, p.weight, p.part), ' + '::text ORDER BY p.number) AS string_agg
    FROM UNNEST(fused_in_words.parts, fused_in_words.weights) WITH ORDINALITY p(part, weight, number);
END;

COMMENT ON FUNCTION retrieval.fused_in_words(parts text[], weights double precision[]) IS 'The expression for a fused score: a convex combination of the sides'' parts (Bruch et al. 2023, arXiv:2210.11934).';

CREATE FUNCTION retrieval.fusing_in_words(collection text, space text, sides text[], scored text[], parts text[], weights double precision[], grouped boolean) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 WITH side AS (
          SELECT s.name,
             s.similarity,
             s.part,
             s.weight,
             s.number,
                 CASE
                     WHEN ((s.part IS NOT NULL) AND bool_and(((s.part IS NOT NULL) OR (s.name <> 'vector'::text))) OVER ()) THEN s.part
                     ELSE format('CASE WHEN s%1$s IS NOT NULL THEN 61.0 / (60 + rank() OVER (ORDER BY s%1$s DESC NULLS LAST)) END'::text, s.number)
                 END AS fused
            FROM UNNEST(fusing_in_words.sides, fusing_in_words.scored, fusing_in_words.parts, fusing_in_words.weights) WITH ORDINALITY s(name, similarity, part, weight, number)
         )
  SELECT format('
        WITH scored AS MATERIALIZED (
            SELECT i.id, i.image_id, i.group_id, %1$s
            FROM retrieval.image AS i JOIN retrieval.%2$I AS v ON v.id = i.id
            WHERE i.collection = %3$L AND i.image_id = ANY ($1) AND i.deleted IS NULL
        ), fused AS (
            SELECT *, (%4$s)::double precision AS similarity, ARRAY[%5$s] AS similarities FROM scored
        )
        SELECT array_agg(id), array_agg(similarity), array_agg(jsonb_strip_nulls(jsonb_build_object(%6$s)))
        FROM (SELECT * FROM %7$s ORDER BY similarity DESC, similarities DESC, image_id LIMIT $2) AS first
        '::text, string_agg(format('(%s)::double precision AS s%s'::text, side.similarity, side.number), ', '::text), ('vector_'::text || fusing_in_words.space), fusing_in_words.collection, retrieval.fused_in_words(array_agg(side.fused ORDER BY side.number), array_agg(side.weight ORDER BY side.number)), string_agg(format('coalesce(s%s, ''-Infinity'')'::text, side.number), ', '::text ORDER BY side.number), string_agg(format('%L, %s'::text, side.name, COALESCE(side.part, ('s'::text || side.number))), ', '::text ORDER BY side.number),
         CASE
             WHEN fusing_in_words.grouped THEN '(SELECT DISTINCT ON (group_id, CASE WHEN group_id IS NULL THEN image_id END) * FROM fused ORDER BY group_id, CASE WHEN group_id IS NULL THEN image_id END, similarity DESC, similarities DESC, image_id) AS best'::text
             ELSE 'fused'::text
         END) AS format
    FROM side;
END;

COMMENT ON FUNCTION retrieval.fusing_in_words(collection text, space text, sides text[], scored text[], parts text[], weights double precision[], grouped boolean) IS 'The query for the best of the images $1, which the sides found: by the scores of the sides, by its rank where a side has no calibration, and by ranks alone where that of vectors has none.';

CREATE FUNCTION retrieval.have_vectors(collection retrieval.collection, ids text[]) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    counted bigint;
BEGIN
    EXECUTE format(
        'SELECT count(*) FROM retrieval.image AS i JOIN retrieval.%I AS v ON v.id = i.id '
        'WHERE i.collection = $1 AND i.image_id = ANY ($2) AND i.deleted IS NULL',
        'vector_' || (collection).name || '_' || (collection).model)
    INTO counted USING (collection).name, ids;
    RETURN counted = cardinality(ids);
END
$_$;

COMMENT ON FUNCTION retrieval.have_vectors(collection retrieval.collection, ids text[]) IS 'Whether all of some images have a vector of the collection''s model.';

CREATE FUNCTION retrieval.hybrid(collection text, query public.halfvec, asked jsonb, k integer, filter jsonb, min_similarity double precision, grouped boolean, direction text, weight double precision, model text) RETURNS TABLE(image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text, caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET max_parallel_workers_per_gather TO '0'
    SET random_page_cost TO '1.1'
    SET jit TO 'off'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $$
DECLARE
    view      constant regclass := retrieval.view_of(hybrid.collection, hybrid.model);
    lowest    constant double precision := retrieval.checked_number('min_similarity', hybrid.min_similarity, '-Infinity', 'Infinity');
    wanted    integer := least(greatest(k, least(2 * k::bigint, 1000), 20), 1000000000);
    wider     boolean := false;  -- asked again for more, and for all of each group
    settings  retrieval.collection;
    condition text := 'true';
    given     text[] := '{}';
    sides     text[] := '{}';
    finds     text[] := '{}';  -- of each side, as the text of an array
    caption_  constant halfvec := asked ->> 'caption';
    chosen    bigint[];
    fused     double precision[];
    told      jsonb[];
    ids       text[] := '{}';
    scored    text[] := '{}';  -- the similarity of each side, as an expression
    parts     text[] := '{}';  -- the score of each side's similarity s1, s2, …
    best      text[];
    asking    record;
BEGIN
    IF k IS NULL OR k < 1 THEN
        RAISE EXCEPTION 'k must be 1 or more, not %', coalesce(k::text, 'null');
    END IF;
    SELECT * INTO settings FROM retrieval.collection AS c WHERE c.name = hybrid.collection;
    model := nullif(model, settings.model);  -- the shown one is searched faster without its name
    settings.model := coalesce(model, settings.model);
    weight := coalesce(retrieval.checked_number('weight', hybrid.weight, 0, 1), settings.weight);
    IF asked ->> 'words' ~ '[-\ufe63\uff0d]' THEN
        filter := jsonb_build_array(filter) || retrieval.without_of(asked ->> 'words');
        filter := CASE jsonb_array_length(filter) WHEN 1 THEN filter -> 0 ELSE jsonb_build_object('and', filter) END;
    END IF;
    IF filter <> '{}' THEN
        SELECT c.given, c.condition INTO given, condition FROM retrieval.condition_of(filter, given) AS c;
    ELSIF NOT grouped AND model IS NULL AND query IS NOT NULL AND asked ? 'words' AND NOT asked ? 'caption' THEN  -- asked most often
        RETURN QUERY SELECT * FROM retrieval.vector_and_words(settings, query, asked ->> 'words', direction, weight, k, wanted, lowest);
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    LOOP
        sides := '{}'; finds := '{}'; ids := '{}'; scored := '{}'; parts := '{}';
        FOR asking IN SELECT * FROM retrieval.sides(settings, model, query IS NOT NULL, asked, direction, condition, filter, grouped AND NOT wider, wanted) LOOP
            EXECUTE asking.best INTO best USING given, wanted, query, caption_;
            sides := sides || asking.side;
            finds := finds || coalesce(best, '{}')::text;
            ids := ids || coalesce(best, '{}');
            scored := scored || asking.similarity;
            parts := parts || format(asking.score, 's' || cardinality(sides));
        END LOOP;
        IF sides = '{}' THEN
            RAISE EXCEPTION 'there is nothing to search for: give a word that is to occur, or a vector';
        END IF;
        EXECUTE retrieval.fusing_in_words(
            settings.name, settings.name || '_' || settings.model, sides, scored, parts, retrieval.side_weights(sides, weight), grouped)
        INTO chosen, fused, told USING ids, k, query, caption_;
        EXIT WHEN query IS NOT NULL OR 'caption' <> ALL (sides) OR cardinality(chosen) >= k;
        -- captions of images without a vector may have taken the places of others
        best := finds[array_position(sides, 'caption')]::text[];
        EXIT WHEN cardinality(best) < wanted AND (wider OR NOT grouped) OR NOT wider AND retrieval.have_vectors(settings, best);
        wider := true;
        wanted := least(10::bigint * wanted, 1000000000);
    END LOOP;
    RETURN QUERY
        SELECT i.image_id, f.similarity, i.uri, i.resampled_uri, i.group_id, i.intra_id,
               coalesce(i.caption, retrieval.written_caption(i)), i.width, i.height, i.attributes,
               ARRAY(SELECT s.name FROM unnest(sides, finds) WITH ORDINALITY AS s (name, ids, number)
                     WHERE i.image_id = ANY (s.ids::text[]) ORDER BY s.number),
               f.scores
        FROM unnest(chosen, fused, told) WITH ORDINALITY AS f (id, similarity, scores, number)
        JOIN retrieval.image AS i ON i.id = f.id
        WHERE lowest IS NULL OR f.similarity >= lowest
        ORDER BY f.number;
END
$$;

COMMENT ON FUNCTION retrieval.hybrid(collection text, query public.halfvec, asked jsonb, k integer, filter jsonb, min_similarity double precision, grouped boolean, direction text, weight double precision, model text) IS 'The function behind images.search_hybrid. query: a vector of images, or null; asked: what the other sides are asked for, as text; direction: that of the vector''s calibration; model: that of the vectors, null: the one that is shown.';

CREATE FUNCTION retrieval.hybrid_things_random(query public.halfvec, terms tsquery[], parts tsquery[], weights double precision[], tiers tsquery[], slope double precision, middle double precision, share double precision, wanted integer, k integer, lowest double precision) RETURNS TABLE(image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text, caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb)
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
        #variable_conflict use_column
        BEGIN
            RETURN QUERY 
    WITH near AS MATERIALIZED (
        SELECT m.id, m.image_id, m.words, v.distance
        FROM (SELECT id, embedding <=> query AS distance FROM retrieval.vectors_things_random ORDER BY embedding <=> query LIMIT wanted) AS v
        JOIN retrieval.matching_things_random AS m ON m.id = v.id
    ), told AS MATERIALIZED (
        SELECT c.id, c.image_id, retrieval.four_terms_fit(c.words, terms, parts, weights) AS fit
        FROM (SELECT DISTINCT ON (id) * FROM (SELECT * FROM ((SELECT id, image_id, words FROM retrieval.matching_things_random WHERE words @@ tiers[1] LIMIT greatest(100, wanted)) UNION ALL (SELECT id, image_id, words FROM retrieval.matching_things_random WHERE words @@ tiers[2] LIMIT greatest(100, wanted)) UNION ALL (SELECT id, image_id, words FROM retrieval.matching_things_random WHERE words @@ tiers[3] LIMIT greatest(100, wanted))) AS t LIMIT greatest(100, wanted)) AS a) AS c
        ORDER BY fit DESC, image_id
        LIMIT wanted
    ), found AS (
        SELECT n.id, n.image_id, n.distance, retrieval.four_terms_fit(n.words, terms, parts, weights) AS fit FROM near AS n
        UNION ALL
        SELECT t.id, t.image_id, v.embedding <=> query, t.fit
        FROM told AS t JOIN retrieval.vectors_things_random AS v ON v.id = t.id
        WHERE t.id <> ALL (ARRAY(SELECT n.id FROM near AS n))
    ), best AS (
        SELECT s.*, share * s.score + (1 - share) * coalesce(s.fit, 0) AS similarity
        FROM (SELECT *, retrieval.score(1 - distance, slope, middle) AS score FROM found) AS s
        WHERE (SELECT count(*) FROM near) = wanted
        ORDER BY similarity DESC, s.distance, coalesce(s.fit, '-Infinity') DESC, s.image_id
        LIMIT k
    )
    SELECT i.image_id, b.similarity, i.uri, i.resampled_uri, i.group_id, i.intra_id, coalesce(i.caption, retrieval.written_caption(i)),
           i.width, i.height, i.attributes,
           CASE WHEN i.id = ANY (ARRAY(SELECT n.id FROM near AS n)) THEN '{vector}'::text[] ELSE '{}' END
           || CASE WHEN i.id = ANY (ARRAY(SELECT t.id FROM told AS t)) THEN '{words}'::text[] ELSE '{}' END,
           jsonb_strip_nulls(jsonb_build_object('vector', b.score, 'words', b.fit))
    FROM best AS b JOIN retrieval.image AS i ON i.id = b.id
    WHERE lowest IS NULL OR b.similarity >= lowest
    ORDER BY b.similarity DESC, b.distance, coalesce(b.fit, '-Infinity') DESC, i.image_id
    ;
        END
        $$;

COMMENT ON FUNCTION retrieval.hybrid_things_random(query public.halfvec, terms tsquery[], parts tsquery[], weights double precision[], tiers tsquery[], slope double precision, middle double precision, share double precision, wanted integer, k integer, lowest double precision) IS 'The images of this collection that fit a vector of this model and up to four terms best.';

CREATE FUNCTION retrieval.image_columns(embedding text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN format('
               i.image_id,
               i.uri AS image_path,
               i.resampled_uri AS resampled_image_path,
               %s
               i.group_id,
               i.intra_id,
               coalesce(i.caption, (
                   SELECT c.text
                   FROM retrieval.shown_captions AS s
                   JOIN retrieval.caption AS c ON c.model = s.model AND c.language = s.languages[1]
                   WHERE s.collection = i.collection AND c.image = i.id AND c.etag = i.etag
               )) AS caption,
               i.width,
               i.height,
               i.format,
               i.attributes,
               i.first_seen AS created_at,
               i.updated AS updated_at,
               i.captured_at,
               i.sha256,
               i.phash,
               i.width::real / nullif(i.height, 0) AS aspect,
               CASE WHEN i.width > i.height THEN ''landscape'' WHEN i.width < i.height THEN ''portrait''
                    WHEN i.width = i.height THEN ''square'' END AS orientation,
               i.colours,
               i.sharpness,
               i.complexity,
               i.words,
               (
                   SELECT jsonb_object_agg(c.language, c.text)
                   FROM retrieval.shown_captions AS s
                   JOIN retrieval.caption AS c ON c.model = s.model AND c.language = ANY (s.languages)
                   WHERE s.collection = i.collection AND c.image = i.id AND c.etag = i.etag
               ) AS captions
    '::text, embedding);

COMMENT ON FUNCTION retrieval.image_columns(embedding text) IS 'The columns of the views of images; the text `embedding` stands in their fourth place.';

CREATE FUNCTION retrieval.is_blank(words text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT
    RETURN (words ~ '^[\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]*$'::text);

COMMENT ON FUNCTION retrieval.is_blank(words text) IS 'Whether a text has no visible character.';

CREATE FUNCTION retrieval.is_embedded(collection text, text text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT coalesce(bool_and(EXISTS (
        SELECT FROM retrieval.query AS q WHERE q.model = m.name AND md5(q.text) = md5(is_embedded.text) AND q.text = is_embedded.text)), false)
    FROM retrieval.collection AS c JOIN retrieval.model AS m ON m.name = c.model OR m.name = c.text_model
    WHERE c.name = is_embedded.collection AND (m.name = c.text_model OR m.family = 'dual_encoder' OR c.text_model IS NULL)
$$;

COMMENT ON FUNCTION retrieval.is_embedded(collection text, text text) IS 'Whether a text is embedded under the models of a collection that read texts: that of its vectors, and that of its captions.';

CREATE FUNCTION retrieval.is_exact_cheaper(costs jsonb, asked double precision, expected double precision, finding double precision) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    RETURN (((finding * retrieval.cost(costs, 'unit'::text)) + (expected * retrieval.cost(costs, 'vector'::text))) < ((asked * retrieval.cost(costs, 'candidate'::text)) * (CASE WHEN (asked > (1000)::double precision) THEN 1.5 ELSE (1)::numeric END)::double precision));

COMMENT ON FUNCTION retrieval.is_exact_cheaper(costs jsonb, asked double precision, expected double precision, finding double precision) IS 'Whether comparing the expected matching rows, whose finding has a planner''s cost, is faster than asking the index for candidates.';

CREATE FUNCTION retrieval.simplified() RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '{"丟": "丢", "並": "并", "乾": "干", "亂": "乱", "亙": "亘", "亞": "亚", "佇": "伫", "佈": "布", "佔": "占", "併": "并", "來": "来", "侖": "仑", "侶": "侣", "侷": "局", "俁": "俣", "係": "系", "俠": "侠", "俬": "私", "倀": "伥", "倆": "俩", "倉": "仓", "個": "个", "們": "们", "倖": "幸", "倫": "伦", "偉": "伟", "側": "侧", "偵": "侦", "偽": "伪", "傑": "杰", "傖": "伧", "傘": "伞", "備": "备", "傢": "家", "傭": "佣", "傯": "偬", "傳": "传", "傴": "伛", "債": "债", "傷": "伤", "傾": "倾", "僂": "偻", "僅": "仅", "僉": "佥", "僑": "侨", "僕": "仆", "僥": "侥", "僨": "偾", "僱": "雇", "價": "价", "儀": "仪", "儂": "侬", "億": "亿", "儈": "侩", "儉": "俭", "儐": "傧", "儔": "俦", "儕": "侪", "儘": "尽", "償": "偿", "優": "优", "儲": "储", "儷": "俪", "儺": "傩", "儻": "傥", "儼": "俨", "兇": "凶", "兌": "兑", "兒": "儿", "兗": "兖", "內": "内", "兩": "两", "冊": "册", "冑": "胄", "冪": "幂", "凈": "净", "凍": "冻", "凜": "凛", "凱": "凯", "別": "别", "刪": "删", "剄": "刭", "則": "则", "剋": "克", "剎": "刹", "剛": "刚", "剝": "剥", "剮": "剐", "剴": "剀", "創": "创", "剷": "铲", "劃": "划", "劇": "剧", "劉": "刘", "劊": "刽", "劌": "刿", "劍": "剑", "劑": "剂", "勁": "劲", "動": "动", "務": "务", "勛": "勋", "勝": "胜", "勞": "劳", "勢": "势", "勱": "劢", "勳": "勋", "勵": "励", "勸": "劝", "勻": "匀", "匭": "匦", "匯": "汇", "匱": "匮", "區": "区", "協": "协", "卹": "恤", "卻": "却", "厙": "厍", "厤": "历", "厭": "厌", "厲": "厉", "厴": "厣", "參": "参", "叢": "丛", "吒": "咤", "吳": "吴", "吶": "呐", "呂": "吕", "咼": "呙", "員": "员", "唄": "呗", "唸": "念", "問": "问", "啞": "哑", "啟": "启", "喚": "唤", "喪": "丧", "喫": "吃", "喬": "乔", "單": "单", "喲": "哟", "嗆": "呛", "嗇": "啬", "嗎": "吗", "嗚": "呜", "嗩": "唢", "嗶": "哔", "嘆": "叹", "嘍": "喽", "嘔": "呕", "嘖": "啧", "嘗": "尝", "嘜": "唛", "嘩": "哗", "嘮": "唠", "嘯": "啸", "嘰": "叽", "嘵": "哓", "嘸": "呒", "噁": "恶", "噓": "嘘", "噠": "哒", "噥": "哝", "噦": "哕", "噯": "嗳", "噲": "哙", "噴": "喷", "噸": "吨", "噹": "当", "嚀": "咛", "嚇": "吓", "嚌": "哜", "嚐": "尝", "嚕": "噜", "嚙": "啮", "嚥": "咽", "嚦": "呖", "嚨": "咙", "嚮": "向", "嚳": "喾", "嚴": "严", "嚶": "嘤", "囀": "啭", "囁": "嗫", "囂": "嚣", "囅": "冁", "囈": "呓", "囌": "苏", "囑": "嘱", "囪": "囱", "圇": "囵", "國": "国", "圍": "围", "園": "园", "圓": "圆", "圖": "图", "團": "团", "埡": "垭", "埰": "采", "執": "执", "堅": "坚", "堊": "垩", "堝": "埚", "堯": "尧", "報": "报", "場": "场", "塊": "块", "塋": "茔", "塏": "垲", "塒": "埘", "塗": "涂", "塚": "冢", "塢": "坞", "塤": "埙", "塵": "尘", "塹": "堑", "墊": "垫", "墜": "坠", "墮": "堕", "墳": "坟", "墻": "墙", "墾": "垦", "壇": "坛", "壎": "埙", "壓": "压", "壘": "垒", "壙": "圹", "壚": "垆", "壞": "坏", "壟": "垄", "壢": "坜", "壩": "坝", "壯": "壮", "壺": "壶", "壽": "寿", "夠": "够", "夢": "梦", "夥": "伙", "夾": "夹", "奐": "奂", "奧": "奥", "奩": "奁", "奪": "夺", "奮": "奋", "奼": "姹", "妝": "妆", "姍": "姗", "姦": "奸", "娛": "娱", "婁": "娄", "婦": "妇", "婭": "娅", "媧": "娲", "媯": "妫", "媼": "媪", "媽": "妈", "嫋": "袅", "嫗": "妪", "嫵": "妩", "嫺": "娴", "嫻": "娴", "嬈": "娆", "嬋": "婵", "嬌": "娇", "嬙": "嫱", "嬡": "嫒", "嬤": "嬷", "嬪": "嫔", "嬰": "婴", "嬸": "婶", "孃": "娘", "孌": "娈", "孫": "孙", "學": "学", "孿": "孪", "宮": "宫", "寀": "采", "寢": "寝", "實": "实", "寧": "宁", "審": "审", "寫": "写", "寬": "宽", "寵": "宠", "寶": "宝", "將": "将", "專": "专", "尋": "寻", "對": "对", "導": "导", "尷": "尴", "屆": "届", "屍": "尸", "屜": "屉", "屢": "屡", "層": "层", "屨": "屦", "屬": "属", "岡": "冈", "峴": "岘", "島": "岛", "峽": "峡", "崍": "崃", "崑": "昆", "崗": "岗", "崙": "仑", "崢": "峥", "嵐": "岚", "嶁": "嵝", "嶄": "崭", "嶇": "岖", "嶗": "崂", "嶠": "峤", "嶧": "峄", "嶸": "嵘", "嶺": "岭", "嶼": "屿", "嶽": "岳", "巋": "岿", "巒": "峦", "巔": "巅", "巖": "岩", "巰": "巯", "巹": "卺", "帥": "帅", "師": "师", "帳": "帐", "帶": "带", "幀": "帧", "幃": "帏", "幗": "帼", "幘": "帻", "幟": "帜", "幣": "币", "幫": "帮", "幬": "帱", "幹": "干", "幾": "几", "庫": "库", "廁": "厕", "廂": "厢", "廄": "厩", "廈": "厦", "廕": "荫", "廚": "厨", "廝": "厮", "廟": "庙", "廠": "厂", "廡": "庑", "廢": "废", "廣": "广", "廩": "廪", "廬": "庐", "廳": "厅", "弒": "弑", "弔": "吊", "弳": "弪", "張": "张", "強": "强", "彆": "别", "彈": "弹", "彌": "弥", "彎": "弯", "彔": "录", "彙": "汇", "彥": "彦", "彫": "雕", "彿": "佛", "後": "后", "徑": "径", "從": "从", "徠": "徕", "復": "复", "徵": "征", "徹": "彻", "恆": "恒", "恥": "耻", "悅": "悦", "悵": "怅", "悶": "闷", "悽": "凄", "惡": "恶", "惱": "恼", "惲": "恽", "惻": "恻", "愛": "爱", "愜": "惬", "愨": "悫", "愴": "怆", "愷": "恺", "愾": "忾", "慄": "栗", "態": "态", "慍": "愠", "慘": "惨", "慚": "惭", "慟": "恸", "慣": "惯", "慪": "怄", "慫": "怂", "慮": "虑", "慳": "悭", "慶": "庆", "慼": "戚", "慾": "欲", "憂": "忧", "憊": "惫", "憐": "怜", "憑": "凭", "憒": "愦", "憚": "惮", "憤": "愤", "憫": "悯", "憮": "怃", "憲": "宪", "憶": "忆", "懇": "恳", "應": "应", "懌": "怿", "懍": "懔", "懞": "蒙", "懟": "怼", "懣": "懑", "懨": "恹", "懲": "惩", "懶": "懒", "懷": "怀", "懸": "悬", "懺": "忏", "懼": "惧", "懾": "慑", "戀": "恋", "戇": "戆", "戔": "戋", "戧": "戗", "戩": "戬", "戰": "战", "戲": "戏", "戶": "户", "拋": "抛", "挾": "挟", "捨": "舍", "捫": "扪", "捱": "挨", "捲": "卷", "掃": "扫", "掄": "抡", "掙": "挣", "掛": "挂", "採": "采", "揀": "拣", "揚": "扬", "換": "换", "揮": "挥", "損": "损", "搖": "摇", "搗": "捣", "搶": "抢", "摑": "掴", "摜": "掼", "摟": "搂", "摯": "挚", "摳": "抠", "摶": "抟", "摺": "折", "摻": "掺", "撈": "捞", "撐": "撑", "撓": "挠", "撟": "挢", "撣": "掸", "撥": "拨", "撫": "抚", "撲": "扑", "撳": "揿", "撻": "挞", "撾": "挝", "撿": "捡", "擁": "拥", "擄": "掳", "擇": "择", "擊": "击", "擋": "挡", "擔": "担", "據": "据", "擠": "挤", "擣": "捣", "擬": "拟", "擯": "摈", "擰": "拧", "擱": "搁", "擲": "掷", "擴": "扩", "擷": "撷", "擺": "摆", "擻": "擞", "擼": "撸", "擾": "扰", "攄": "摅", "攆": "撵", "攏": "拢", "攔": "拦", "攖": "撄", "攙": "搀", "攛": "撺", "攜": "携", "攝": "摄", "攢": "攒", "攣": "挛", "攤": "摊", "攪": "搅", "攬": "揽", "敗": "败", "敘": "叙", "敵": "敌", "數": "数", "斂": "敛", "斃": "毙", "斕": "斓", "斬": "斩", "斷": "断", "於": "于", "旂": "旗", "昇": "升", "時": "时", "晉": "晋", "晝": "昼", "暈": "晕", "暉": "晖", "暢": "畅", "暫": "暂", "曄": "晔", "曆": "历", "曇": "昙", "曉": "晓", "曏": "向", "曖": "暧", "曠": "旷", "曬": "晒", "書": "书", "會": "会", "朧": "胧", "朮": "术", "東": "东", "枴": "拐", "柵": "栅", "柺": "拐", "桿": "杆", "梔": "栀", "條": "条", "梟": "枭", "棄": "弃", "棖": "枨", "棗": "枣", "棟": "栋", "棧": "栈", "棲": "栖", "椏": "桠", "楊": "杨", "楓": "枫", "楨": "桢", "業": "业", "極": "极", "榦": "干", "榪": "杩", "榮": "荣", "榿": "桤", "構": "构", "槍": "枪", "槓": "杠", "槧": "椠", "槨": "椁", "槳": "桨", "樁": "桩", "樂": "乐", "樅": "枞", "樑": "梁", "樓": "楼", "標": "标", "樞": "枢", "樣": "样", "樸": "朴", "樹": "树", "樺": "桦", "橈": "桡", "橋": "桥", "機": "机", "橢": "椭", "橫": "横", "檁": "檩", "檉": "柽", "檔": "档", "檜": "桧", "檢": "检", "檣": "樯", "檯": "台", "檳": "槟", "檸": "柠", "檻": "槛", "櫃": "柜", "櫓": "橹", "櫚": "榈", "櫛": "栉", "櫝": "椟", "櫞": "橼", "櫟": "栎", "櫥": "橱", "櫧": "槠", "櫨": "栌", "櫪": "枥", "櫫": "橥", "櫬": "榇", "櫱": "蘖", "櫳": "栊", "櫸": "榉", "櫻": "樱", "欄": "栏", "權": "权", "欏": "椤", "欒": "栾", "欖": "榄", "欞": "棂", "欽": "钦", "歎": "叹", "歐": "欧", "歟": "欤", "歡": "欢", "歲": "岁", "歷": "历", "歸": "归", "歿": "殁", "殘": "残", "殞": "殒", "殤": "殇", "殫": "殚", "殭": "僵", "殮": "殓", "殯": "殡", "殲": "歼", "殺": "杀", "殼": "壳", "毀": "毁", "毆": "殴", "毿": "毵", "氂": "牦", "氈": "毡", "氌": "氇", "氣": "气", "氫": "氢", "氬": "氩", "氳": "氲", "氾": "泛", "汎": "泛", "汙": "污", "決": "决", "沒": "没", "沖": "冲", "況": "况", "泝": "溯", "洩": "泄", "洶": "汹", "浹": "浃", "涇": "泾", "涼": "凉", "淒": "凄", "淚": "泪", "淥": "渌", "淨": "净", "淩": "凌", "淪": "沦", "淵": "渊", "淶": "涞", "淺": "浅", "渙": "涣", "減": "减", "渦": "涡", "測": "测", "渾": "浑", "湊": "凑", "湞": "浈", "湧": "涌", "湯": "汤", "溈": "沩", "準": "准", "溝": "沟", "溫": "温", "溼": "湿", "滄": "沧", "滅": "灭", "滌": "涤", "滎": "荥", "滬": "沪", "滯": "滞", "滲": "渗", "滷": "卤", "滸": "浒", "滾": "滚", "滿": "满", "漁": "渔", "漚": "沤", "漢": "汉", "漣": "涟", "漬": "渍", "漲": "涨", "漵": "溆", "漸": "渐", "漿": "浆", "潁": "颍", "潑": "泼", "潔": "洁", "潛": "潜", "潤": "润", "潯": "浔", "潰": "溃", "潷": "滗", "潿": "涠", "澀": "涩", "澆": "浇", "澇": "涝", "澗": "涧", "澠": "渑", "澤": "泽", "澩": "泶", "澮": "浍", "澱": "淀", "濁": "浊", "濃": "浓", "濕": "湿", "濘": "泞", "濛": "蒙", "濟": "济", "濤": "涛", "濫": "滥", "濰": "潍", "濱": "滨", "濺": "溅", "濼": "泺", "濾": "滤", "瀅": "滢", "瀆": "渎", "瀉": "泻", "瀋": "沈", "瀏": "浏", "瀕": "濒", "瀘": "泸", "瀝": "沥", "瀟": "潇", "瀠": "潆", "瀦": "潴", "瀧": "泷", "瀨": "濑", "瀰": "弥", "瀲": "潋", "瀾": "澜", "灃": "沣", "灄": "滠", "灑": "洒", "灕": "漓", "灘": "滩", "灝": "灏", "灣": "湾", "灤": "滦", "灩": "滟", "災": "灾", "為": "为", "烏": "乌", "烴": "烃", "無": "无", "煉": "炼", "煒": "炜", "煙": "烟", "煢": "茕", "煥": "焕", "煩": "烦", "煬": "炀", "熒": "荧", "熗": "炝", "熱": "热", "熾": "炽", "燁": "烨", "燈": "灯", "燉": "炖", "燒": "烧", "燙": "烫", "燜": "焖", "營": "营", "燦": "灿", "燬": "毁", "燭": "烛", "燴": "烩", "燻": "熏", "燼": "烬", "燾": "焘", "爍": "烁", "爐": "炉", "爛": "烂", "爭": "争", "爺": "爷", "爾": "尔", "牆": "墙", "牘": "牍", "牽": "牵", "犖": "荦", "犛": "牦", "犢": "犊", "犧": "牺", "狀": "状", "狹": "狭", "狽": "狈", "猙": "狰", "猶": "犹", "猻": "狲", "獃": "呆", "獄": "狱", "獅": "狮", "獎": "奖", "獨": "独", "獪": "狯", "獫": "猃", "獰": "狞", "獲": "获", "獵": "猎", "獷": "犷", "獸": "兽", "獺": "獭", "獻": "献", "獼": "猕", "玀": "猡", "現": "现", "琱": "雕", "琺": "珐", "琿": "珲", "瑋": "玮", "瑣": "琐", "瑤": "瑶", "瑩": "莹", "瑪": "玛", "璉": "琏", "璣": "玑", "璦": "瑷", "環": "环", "璽": "玺", "璿": "璇", "瓊": "琼", "瓏": "珑", "瓔": "璎", "瓚": "瓒", "甌": "瓯", "甕": "瓮", "產": "产", "甦": "苏", "甯": "宁", "畝": "亩", "畢": "毕", "畫": "画", "異": "异", "當": "当", "疇": "畴", "疊": "叠", "痙": "痉", "痠": "酸", "痾": "疴", "瘋": "疯", "瘍": "疡", "瘓": "痪", "瘞": "瘗", "瘡": "疮", "瘧": "疟", "瘺": "瘘", "療": "疗", "癆": "痨", "癇": "痫", "癉": "瘅", "癒": "愈", "癘": "疠", "癟": "瘪", "癡": "痴", "癢": "痒", "癤": "疖", "癥": "症", "癩": "癞", "癬": "癣", "癭": "瘿", "癮": "瘾", "癰": "痈", "癱": "瘫", "癲": "癫", "發": "发", "皁": "皂", "皚": "皑", "皰": "疱", "皸": "皲", "皺": "皱", "盃": "杯", "盜": "盗", "盞": "盏", "盡": "尽", "監": "监", "盤": "盘", "盧": "卢", "盪": "荡", "眥": "眦", "眾": "众", "睏": "困", "睜": "睁", "睞": "睐", "瞞": "瞒", "瞼": "睑", "矇": "蒙", "矚": "瞩", "矯": "矫", "硃": "朱", "硤": "硖", "硨": "砗", "硯": "砚", "碩": "硕", "碭": "砀", "確": "确", "碼": "码", "磚": "砖", "磣": "碜", "磧": "碛", "磯": "矶", "磽": "硗", "礎": "础", "礙": "碍", "礦": "矿", "礪": "砺", "礫": "砾", "礬": "矾", "礱": "砻", "祕": "秘", "祿": "禄", "禍": "祸", "禎": "祯", "禦": "御", "禪": "禅", "禮": "礼", "禰": "祢", "禱": "祷", "禿": "秃", "秈": "籼", "稅": "税", "稈": "秆", "稜": "棱", "稟": "禀", "種": "种", "稱": "称", "穀": "谷", "穌": "稣", "積": "积", "穎": "颖", "穡": "穑", "穢": "秽", "穩": "稳", "穫": "获", "窩": "窝", "窪": "洼", "窮": "穷", "窯": "窑", "窶": "窭", "窺": "窥", "竄": "窜", "竅": "窍", "竇": "窦", "竊": "窃", "競": "竞", "筆": "笔", "筍": "笋", "筧": "笕", "箇": "个", "箋": "笺", "箏": "筝", "節": "节", "範": "范", "築": "筑", "篋": "箧", "篤": "笃", "篩": "筛", "篳": "筚", "簀": "箦", "簍": "篓", "簑": "蓑", "簞": "箪", "簡": "简", "簣": "篑", "簫": "箫", "簽": "签", "簾": "帘", "籃": "篮", "籌": "筹", "籜": "箨", "籟": "籁", "籠": "笼", "籤": "签", "籩": "笾", "籪": "簖", "籬": "篱", "籮": "箩", "籲": "吁", "粵": "粤", "糝": "糁", "糞": "粪", "糧": "粮", "糰": "团", "糲": "粝", "糴": "籴", "糶": "粜", "糾": "纠", "紀": "纪", "紂": "纣", "約": "约", "紅": "红", "紆": "纡", "紇": "纥", "紈": "纨", "紉": "纫", "紋": "纹", "納": "纳", "紐": "纽", "紓": "纾", "純": "纯", "紕": "纰", "紗": "纱", "紙": "纸", "級": "级", "紛": "纷", "紜": "纭", "紡": "纺", "紮": "扎", "細": "细", "紱": "绂", "紲": "绁", "紳": "绅", "紹": "绍", "紺": "绀", "紼": "绋", "紿": "绐", "絀": "绌", "終": "终", "絃": "弦", "組": "组", "絆": "绊", "絎": "绗", "結": "结", "絕": "绝", "絛": "绦", "絞": "绞", "絡": "络", "絢": "绚", "給": "给", "絨": "绒", "統": "统", "絲": "丝", "絳": "绛", "絹": "绢", "綁": "绑", "綃": "绡", "綆": "绠", "綈": "绨", "綏": "绥", "綑": "捆", "經": "经", "綜": "综", "綞": "缍", "綠": "绿", "綢": "绸", "綣": "绻", "綬": "绶", "維": "维", "綰": "绾", "綱": "纲", "網": "网", "綴": "缀", "綵": "彩", "綸": "纶", "綹": "绺", "綺": "绮", "綻": "绽", "綽": "绰", "綾": "绫", "綿": "绵", "緄": "绲", "緇": "缁", "緊": "紧", "緋": "绯", "緒": "绪", "緗": "缃", "緘": "缄", "緙": "缂", "線": "线", "緝": "缉", "緞": "缎", "締": "缔", "緡": "缗", "緣": "缘", "緦": "缌", "編": "编", "緩": "缓", "緬": "缅", "緯": "纬", "緱": "缑", "緲": "缈", "練": "练", "緶": "缏", "緹": "缇", "緻": "致", "縈": "萦", "縉": "缙", "縊": "缢", "縋": "缒", "縐": "绉", "縑": "缣", "縛": "缚", "縝": "缜", "縞": "缟", "縟": "缛", "縣": "县", "縫": "缝", "縭": "缡", "縮": "缩", "縱": "纵", "縲": "缧", "縴": "纤", "縵": "缦", "縶": "絷", "縷": "缕", "縹": "缥", "總": "总", "績": "绩", "繃": "绷", "繅": "缫", "繆": "缪", "繒": "缯", "織": "织", "繕": "缮", "繚": "缭", "繞": "绕", "繡": "绣", "繢": "缋", "繩": "绳", "繪": "绘", "繫": "系", "繭": "茧", "繯": "缳", "繰": "缲", "繳": "缴", "繹": "绎", "繼": "继", "繽": "缤", "繾": "缱", "纈": "缬", "纊": "纩", "續": "续", "纍": "累", "纏": "缠", "纓": "缨", "纔": "才", "纖": "纤", "纘": "缵", "纜": "缆", "缽": "钵", "罈": "坛", "罌": "罂", "罰": "罚", "罵": "骂", "罷": "罢", "羅": "罗", "羆": "罴", "羈": "羁", "羋": "芈", "羥": "羟", "羨": "羡", "義": "义", "羶": "膻", "習": "习", "翫": "玩", "翹": "翘", "耬": "耧", "聖": "圣", "聞": "闻", "聯": "联", "聰": "聪", "聲": "声", "聳": "耸", "聵": "聩", "聶": "聂", "職": "职", "聹": "聍", "聽": "听", "聾": "聋", "肅": "肃", "脅": "胁", "脈": "脉", "脛": "胫", "脣": "唇", "脩": "修", "脫": "脱", "脹": "胀", "腎": "肾", "腡": "脶", "腦": "脑", "腫": "肿", "腳": "脚", "腸": "肠", "膃": "腽", "膚": "肤", "膠": "胶", "膩": "腻", "膽": "胆", "膾": "脍", "膿": "脓", "臉": "脸", "臍": "脐", "臏": "膑", "臘": "腊", "臚": "胪", "臟": "脏", "臠": "脔", "臥": "卧", "臨": "临", "臺": "台", "與": "与", "興": "兴", "舉": "举", "舊": "旧", "艙": "舱", "艤": "舣", "艦": "舰", "艫": "舻", "艱": "艰", "艷": "艳", "芻": "刍", "苧": "苎", "茲": "兹", "荊": "荆", "莊": "庄", "莖": "茎", "莢": "荚", "莧": "苋", "華": "华", "菴": "庵", "菸": "烟", "萇": "苌", "萊": "莱", "萬": "万", "萵": "莴", "葉": "叶", "葒": "荭", "葦": "苇", "葯": "药", "葷": "荤", "蒐": "搜", "蒔": "莳", "蒞": "莅", "蒼": "苍", "蓀": "荪", "蓆": "席", "蓋": "盖", "蓮": "莲", "蓯": "苁", "蓴": "莼", "蓽": "荜", "蔔": "卜", "蔘": "参", "蔞": "蒌", "蔣": "蒋", "蔥": "葱", "蔦": "茑", "蔭": "荫", "蕁": "荨", "蕆": "蒇", "蕎": "荞", "蕓": "芸", "蕕": "莸", "蕘": "荛", "蕢": "蒉", "蕩": "荡", "蕪": "芜", "蕭": "萧", "蕷": "蓣", "薈": "荟", "薊": "蓟", "薌": "芗", "薑": "姜", "薔": "蔷", "薟": "莶", "薦": "荐", "薩": "萨", "薹": "苔", "薺": "荠", "藍": "蓝", "藎": "荩", "藝": "艺", "藥": "药", "藪": "薮", "藶": "苈", "藹": "蔼", "藺": "蔺", "蘄": "蕲", "蘆": "芦", "蘇": "苏", "蘊": "蕴", "蘋": "苹", "蘚": "藓", "蘞": "蔹", "蘢": "茏", "蘭": "兰", "蘺": "蓠", "蘿": "萝", "處": "处", "虛": "虚", "虜": "虏", "號": "号", "虧": "亏", "虯": "虬", "蛺": "蛱", "蛻": "蜕", "蜆": "蚬", "蝕": "蚀", "蝟": "猬", "蝦": "虾", "蝨": "虱", "蝸": "蜗", "螄": "蛳", "螞": "蚂", "螢": "萤", "螻": "蝼", "蟄": "蛰", "蟈": "蝈", "蟣": "虮", "蟬": "蝉", "蟯": "蛲", "蟲": "虫", "蟶": "蛏", "蟻": "蚁", "蠅": "蝇", "蠆": "虿", "蠍": "蝎", "蠐": "蛴", "蠑": "蝾", "蠔": "蚝", "蠟": "蜡", "蠣": "蛎", "蠱": "蛊", "蠶": "蚕", "蠻": "蛮", "衊": "蔑", "術": "术", "衕": "同", "衚": "胡", "衛": "卫", "衝": "冲", "袞": "衮", "裊": "袅", "裏": "里", "補": "补", "裝": "装", "裡": "里", "製": "制", "複": "复", "褲": "裤", "褳": "裢", "褸": "褛", "褻": "亵", "襉": "裥", "襖": "袄", "襝": "裣", "襠": "裆", "襤": "褴", "襪": "袜", "襬": "摆", "襯": "衬", "襲": "袭", "覈": "核", "見": "见", "規": "规", "覓": "觅", "視": "视", "覘": "觇", "覡": "觋", "覦": "觎", "親": "亲", "覬": "觊", "覯": "觏", "覲": "觐", "覷": "觑", "覺": "觉", "覽": "览", "覿": "觌", "觀": "观", "觴": "觞", "觶": "觯", "觸": "触", "訂": "订", "訃": "讣", "計": "计", "訊": "讯", "訌": "讧", "討": "讨", "訐": "讦", "訓": "训", "訕": "讪", "訖": "讫", "託": "托", "記": "记", "訛": "讹", "訝": "讶", "訟": "讼", "訣": "诀", "訥": "讷", "訪": "访", "設": "设", "許": "许", "訴": "诉", "訶": "诃", "診": "诊", "註": "注", "証": "证", "詁": "诂", "詆": "诋", "詎": "讵", "詐": "诈", "詒": "诒", "詔": "诏", "評": "评", "詘": "诎", "詛": "诅", "詞": "词", "詠": "咏", "詡": "诩", "詢": "询", "詣": "诣", "試": "试", "詩": "诗", "詫": "诧", "詬": "诟", "詭": "诡", "詮": "诠", "詰": "诘", "話": "话", "該": "该", "詳": "详", "詵": "诜", "詼": "诙", "詿": "诖", "誄": "诔", "誅": "诛", "誆": "诓", "誇": "夸", "誌": "志", "認": "认", "誑": "诳", "誒": "诶", "誕": "诞", "誘": "诱", "誚": "诮", "語": "语", "誠": "诚", "誡": "诫", "誣": "诬", "誤": "误", "誥": "诰", "誦": "诵", "誨": "诲", "說": "说", "誰": "谁", "課": "课", "誶": "谇", "誹": "诽", "誼": "谊", "調": "调", "諂": "谄", "諄": "谆", "談": "谈", "諉": "诿", "請": "请", "諍": "诤", "諏": "诹", "諑": "诼", "諒": "谅", "論": "论", "諗": "谂", "諛": "谀", "諜": "谍", "諞": "谝", "諡": "谥", "諢": "诨", "諤": "谔", "諦": "谛", "諧": "谐", "諫": "谏", "諭": "谕", "諮": "咨", "諱": "讳", "諳": "谙", "諶": "谌", "諷": "讽", "諸": "诸", "諺": "谚", "諼": "谖", "諾": "诺", "謀": "谋", "謁": "谒", "謂": "谓", "謄": "誊", "謅": "诌", "謊": "谎", "謎": "谜", "謐": "谧", "謔": "谑", "謖": "谡", "謗": "谤", "謙": "谦", "謚": "谥", "講": "讲", "謝": "谢", "謠": "谣", "謨": "谟", "謫": "谪", "謬": "谬", "謳": "讴", "謹": "谨", "謾": "谩", "譁": "哗", "證": "证", "譎": "谲", "譏": "讥", "譖": "谮", "識": "识", "譙": "谯", "譚": "谭", "譜": "谱", "譟": "噪", "譫": "谵", "譭": "毁", "譯": "译", "議": "议", "譴": "谴", "護": "护", "譽": "誉", "譾": "谫", "讀": "读", "變": "变", "讎": "雠", "讒": "谗", "讓": "让", "讕": "谰", "讖": "谶", "讚": "赞", "讜": "谠", "讞": "谳", "豈": "岂", "豎": "竖", "豐": "丰", "豔": "艳", "豬": "猪", "貓": "猫", "貝": "贝", "貞": "贞", "負": "负", "財": "财", "貢": "贡", "貧": "贫", "貨": "货", "販": "贩", "貪": "贪", "貫": "贯", "責": "责", "貯": "贮", "貰": "贳", "貲": "赀", "貳": "贰", "貴": "贵", "貶": "贬", "買": "买", "貸": "贷", "貺": "贶", "費": "费", "貼": "贴", "貽": "贻", "貿": "贸", "賀": "贺", "賁": "贲", "賂": "赂", "賃": "赁", "賄": "贿", "賅": "赅", "資": "资", "賈": "贾", "賊": "贼", "賑": "赈", "賒": "赊", "賓": "宾", "賕": "赇", "賚": "赉", "賜": "赐", "賞": "赏", "賠": "赔", "賡": "赓", "賢": "贤", "賣": "卖", "賤": "贱", "賦": "赋", "賧": "赕", "質": "质", "賬": "账", "賭": "赌", "賴": "赖", "賺": "赚", "賻": "赙", "購": "购", "賽": "赛", "賾": "赜", "贄": "贽", "贅": "赘", "贈": "赠", "贊": "赞", "贍": "赡", "贏": "赢", "贐": "赆", "贓": "赃", "贖": "赎", "贗": "赝", "贛": "赣", "趕": "赶", "趙": "赵", "趨": "趋", "趲": "趱", "跡": "迹", "踐": "践", "踰": "逾", "踴": "踊", "蹌": "跄", "蹕": "跸", "蹟": "迹", "蹠": "跖", "蹣": "蹒", "蹤": "踪", "蹺": "跷", "躉": "趸", "躊": "踌", "躋": "跻", "躍": "跃", "躑": "踯", "躒": "跞", "躓": "踬", "躕": "蹰", "躚": "跹", "躡": "蹑", "躥": "蹿", "躦": "躜", "躪": "躏", "軀": "躯", "車": "车", "軋": "轧", "軌": "轨", "軍": "军", "軒": "轩", "軔": "轫", "軛": "轭", "軟": "软", "軫": "轸", "軸": "轴", "軹": "轵", "軺": "轺", "軻": "轲", "軼": "轶", "軾": "轼", "較": "较", "輅": "辂", "輇": "辁", "載": "载", "輊": "轾", "輒": "辄", "輓": "挽", "輔": "辅", "輕": "轻", "輛": "辆", "輜": "辎", "輝": "辉", "輞": "辋", "輟": "辍", "輥": "辊", "輦": "辇", "輩": "辈", "輪": "轮", "輯": "辑", "輳": "辏", "輸": "输", "輻": "辐", "輾": "辗", "輿": "舆", "轂": "毂", "轄": "辖", "轅": "辕", "轆": "辘", "轉": "转", "轍": "辙", "轎": "轿", "轔": "辚", "轟": "轰", "轡": "辔", "轢": "轹", "轤": "轳", "辦": "办", "辭": "辞", "辮": "辫", "辯": "辩", "農": "农", "迴": "回", "逕": "迳", "這": "这", "連": "连", "週": "周", "進": "进", "遊": "游", "運": "运", "過": "过", "達": "达", "違": "违", "遙": "遥", "遜": "逊", "遞": "递", "遠": "远", "適": "适", "遲": "迟", "遷": "迁", "選": "选", "遺": "遗", "遼": "辽", "邁": "迈", "還": "还", "邇": "迩", "邊": "边", "邏": "逻", "邐": "逦", "郟": "郏", "郵": "邮", "鄆": "郓", "鄉": "乡", "鄒": "邹", "鄔": "邬", "鄖": "郧", "鄧": "邓", "鄭": "郑", "鄰": "邻", "鄲": "郸", "鄴": "邺", "鄶": "郐", "鄺": "邝", "酈": "郦", "醃": "腌", "醜": "丑", "醞": "酝", "醣": "糖", "醫": "医", "醬": "酱", "釀": "酿", "釁": "衅", "釃": "酾", "釅": "酽", "釋": "释", "釐": "厘", "釓": "钆", "釔": "钇", "釕": "钌", "釗": "钊", "釘": "钉", "釙": "钋", "針": "针", "釣": "钓", "釤": "钐", "釦": "扣", "釧": "钏", "釩": "钒", "釵": "钗", "釷": "钍", "釹": "钕", "鈀": "钯", "鈁": "钫", "鈄": "钭", "鈅": "钥", "鈉": "钠", "鈍": "钝", "鈐": "钤", "鈑": "钣", "鈔": "钞", "鈕": "钮", "鈞": "钧", "鈣": "钙", "鈥": "钬", "鈦": "钛", "鈧": "钪", "鈮": "铌", "鈰": "铈", "鈳": "钶", "鈴": "铃", "鈷": "钴", "鈸": "钹", "鈹": "铍", "鈺": "钰", "鈽": "钸", "鈾": "铀", "鈿": "钿", "鉀": "钾", "鉅": "巨", "鉆": "钻", "鉈": "铊", "鉉": "铉", "鉍": "铋", "鉑": "铂", "鉗": "钳", "鉚": "铆", "鉛": "铅", "鉞": "钺", "鉤": "钩", "鉦": "钲", "鉬": "钼", "鉭": "钽", "鉸": "铰", "鉺": "铒", "鉻": "铬", "鉿": "铪", "銀": "银", "銃": "铳", "銅": "铜", "銑": "铣", "銓": "铨", "銖": "铢", "銘": "铭", "銚": "铫", "銜": "衔", "銠": "铑", "銣": "铷", "銥": "铱", "銦": "铟", "銨": "铵", "銩": "铥", "銪": "铕", "銫": "铯", "銬": "铐", "銳": "锐", "銷": "销", "銹": "锈", "銻": "锑", "銼": "锉", "鋁": "铝", "鋃": "锒", "鋅": "锌", "鋇": "钡", "鋌": "铤", "鋏": "铗", "鋒": "锋", "鋝": "锊", "鋟": "锓", "鋤": "锄", "鋦": "锔", "鋨": "锇", "鋪": "铺", "鋮": "铖", "鋯": "锆", "鋰": "锂", "鋱": "铽", "鋸": "锯", "鋼": "钢", "錁": "锞", "錄": "录", "錆": "锖", "錈": "锩", "錐": "锥", "錒": "锕", "錕": "锟", "錘": "锤", "錙": "锱", "錚": "铮", "錛": "锛", "錟": "锬", "錠": "锭", "錢": "钱", "錦": "锦", "錨": "锚", "錫": "锡", "錮": "锢", "錯": "错", "錳": "锰", "錶": "表", "錸": "铼", "錼": "镎", "鍆": "钔", "鍇": "锴", "鍊": "炼", "鍋": "锅", "鍍": "镀", "鍔": "锷", "鍘": "铡", "鍛": "锻", "鍤": "锸", "鍥": "锲", "鍬": "锹", "鍰": "锾", "鍵": "键", "鍶": "锶", "鍺": "锗", "鍼": "针", "鍾": "钟", "鎂": "镁", "鎊": "镑", "鎌": "镰", "鎖": "锁", "鎘": "镉", "鎚": "锤", "鎢": "钨", "鎣": "蓥", "鎦": "镏", "鎧": "铠", "鎩": "铩", "鎪": "锼", "鎬": "镐", "鎮": "镇", "鎰": "镒", "鎳": "镍", "鎵": "镓", "鏃": "镞", "鏇": "旋", "鏈": "链", "鏌": "镆", "鏍": "镙", "鏑": "镝", "鏗": "铿", "鏘": "锵", "鏜": "镗", "鏝": "镘", "鏞": "镛", "鏟": "铲", "鏡": "镜", "鏢": "镖", "鏤": "镂", "鏨": "錾", "鏵": "铧", "鏷": "镤", "鏹": "镪", "鏽": "锈", "鐃": "铙", "鐋": "铴", "鐐": "镣", "鐒": "铹", "鐓": "镦", "鐔": "镡", "鐘": "钟", "鐙": "镫", "鐠": "镨", "鐨": "镄", "鐫": "镌", "鐮": "镰", "鐲": "镯", "鐳": "镭", "鐵": "铁", "鐸": "铎", "鐺": "铛", "鐿": "镱", "鑄": "铸", "鑊": "镬", "鑌": "镔", "鑑": "鉴", "鑒": "鉴", "鑠": "铄", "鑣": "镳", "鑭": "镧", "鑰": "钥", "鑲": "镶", "鑷": "镊", "鑼": "锣", "鑽": "钻", "鑾": "銮", "鑿": "凿", "钁": "镢", "長": "长", "門": "门", "閂": "闩", "閃": "闪", "閆": "闫", "閉": "闭", "開": "开", "閌": "闶", "閎": "闳", "閏": "闰", "閑": "闲", "閒": "闲", "間": "间", "閔": "闵", "閘": "闸", "閡": "阂", "閣": "阁", "閤": "合", "閥": "阀", "閨": "闺", "閩": "闽", "閫": "阃", "閬": "阆", "閭": "闾", "閱": "阅", "閶": "阊", "閹": "阉", "閻": "阎", "閼": "阏", "閽": "阍", "閾": "阈", "閿": "阌", "闃": "阒", "闆": "板", "闇": "暗", "闈": "闱", "闊": "阔", "闋": "阕", "闌": "阑", "闐": "阗", "闔": "阖", "闕": "阙", "闖": "闯", "關": "关", "闞": "阚", "闡": "阐", "闢": "辟", "闥": "闼", "陘": "陉", "陝": "陕", "陞": "升", "陣": "阵", "陰": "阴", "陳": "陈", "陸": "陆", "陽": "阳", "隉": "陧", "隊": "队", "階": "阶", "隕": "陨", "際": "际", "隨": "随", "險": "险", "隱": "隐", "隴": "陇", "隸": "隶", "隻": "只", "雋": "隽", "雖": "虽", "雙": "双", "雛": "雏", "雜": "杂", "雞": "鸡", "離": "离", "難": "难", "雲": "云", "電": "电", "霑": "沾", "霧": "雾", "霽": "霁", "靂": "雳", "靄": "霭", "靈": "灵", "靚": "靓", "靜": "静", "靦": "腼", "靨": "靥", "鞏": "巩", "鞝": "绱", "鞦": "秋", "韁": "缰", "韃": "鞑", "韆": "千", "韉": "鞯", "韋": "韦", "韌": "韧", "韓": "韩", "韙": "韪", "韜": "韬", "韝": "鞲", "韞": "韫", "韻": "韵", "響": "响", "頁": "页", "頂": "顶", "頃": "顷", "項": "项", "順": "顺", "頇": "顸", "須": "须", "頊": "顼", "頌": "颂", "頎": "颀", "頏": "颃", "預": "预", "頑": "顽", "頒": "颁", "頓": "顿", "頗": "颇", "領": "领", "頜": "颌", "頡": "颉", "頤": "颐", "頦": "颏", "頭": "头", "頰": "颊", "頷": "颔", "頸": "颈", "頹": "颓", "頻": "频", "顆": "颗", "題": "题", "額": "额", "顎": "颚", "顏": "颜", "顓": "颛", "願": "愿", "顙": "颡", "顛": "颠", "類": "类", "顢": "颟", "顥": "颢", "顧": "顾", "顫": "颤", "顯": "显", "顰": "颦", "顱": "颅", "顳": "颞", "顴": "颧", "風": "风", "颮": "飑", "颯": "飒", "颱": "台", "颳": "刮", "颶": "飓", "颼": "飕", "飄": "飘", "飆": "飙", "飛": "飞", "飢": "饥", "飩": "饨", "飪": "饪", "飫": "饫", "飭": "饬", "飯": "饭", "飲": "饮", "飴": "饴", "飼": "饲", "飽": "饱", "飾": "饰", "餃": "饺", "餅": "饼", "餈": "糍", "餉": "饷", "養": "养", "餌": "饵", "餑": "饽", "餒": "馁", "餓": "饿", "餘": "余", "餚": "肴", "餛": "馄", "餞": "饯", "餡": "馅", "館": "馆", "餬": "糊", "餱": "糇", "餳": "饧", "餵": "喂", "餼": "饩", "餾": "馏", "餿": "馊", "饃": "馍", "饅": "馒", "饈": "馐", "饉": "馑", "饋": "馈", "饌": "馔", "饑": "饥", "饒": "饶", "饗": "飨", "饜": "餍", "饞": "馋", "馬": "马", "馭": "驭", "馮": "冯", "馱": "驮", "馳": "驰", "馴": "驯", "駁": "驳", "駐": "驻", "駑": "驽", "駒": "驹", "駔": "驵", "駕": "驾", "駘": "骀", "駙": "驸", "駛": "驶", "駝": "驼", "駟": "驷", "駢": "骈", "駭": "骇", "駱": "骆", "駿": "骏", "騁": "骋", "騅": "骓", "騍": "骒", "騎": "骑", "騏": "骐", "騖": "骛", "騙": "骗", "騫": "骞", "騭": "骘", "騮": "骝", "騰": "腾", "騶": "驺", "騷": "骚", "騸": "骟", "騾": "骡", "驀": "蓦", "驁": "骜", "驂": "骖", "驃": "骠", "驄": "骢", "驅": "驱", "驊": "骅", "驍": "骁", "驏": "骣", "驕": "骄", "驗": "验", "驚": "惊", "驛": "驿", "驟": "骤", "驢": "驴", "驤": "骧", "驥": "骥", "驪": "骊", "骯": "肮", "髏": "髅", "髒": "脏", "體": "体", "髕": "髌", "髖": "髋", "髮": "发", "鬆": "松", "鬍": "胡", "鬚": "须", "鬢": "鬓", "鬥": "斗", "鬧": "闹", "鬨": "哄", "鬩": "阋", "鬮": "阄", "鬱": "郁", "魎": "魉", "魘": "魇", "魚": "鱼", "魯": "鲁", "魴": "鲂", "魷": "鱿", "鮐": "鲐", "鮑": "鲍", "鮒": "鲋", "鮚": "鲒", "鮞": "鲕", "鮪": "鲔", "鮫": "鲛", "鮭": "鲑", "鮮": "鲜", "鯀": "鲧", "鯁": "鲠", "鯇": "鲩", "鯉": "鲤", "鯊": "鲨", "鯔": "鲻", "鯖": "鲭", "鯗": "鲞", "鯛": "鲷", "鯡": "鲱", "鯢": "鲵", "鯤": "鲲", "鯧": "鲳", "鯨": "鲸", "鯪": "鲮", "鯫": "鲰", "鯰": "鲶", "鯽": "鲫", "鰈": "鲽", "鰉": "鳇", "鰍": "鳅", "鰒": "鳆", "鰓": "鳃", "鰣": "鲥", "鰥": "鳏", "鰨": "鳎", "鰩": "鳐", "鰭": "鳍", "鰱": "鲢", "鰲": "鳌", "鰳": "鳓", "鰷": "鲦", "鰹": "鲣", "鰻": "鳗", "鰾": "鳔", "鱈": "鳕", "鱉": "鳖", "鱒": "鳟", "鱔": "鳝", "鱖": "鳜", "鱗": "鳞", "鱘": "鲟", "鱟": "鲎", "鱧": "鳢", "鱭": "鲚", "鱷": "鳄", "鱸": "鲈", "鱺": "鲡", "鳥": "鸟", "鳧": "凫", "鳩": "鸠", "鳳": "凤", "鳴": "鸣", "鳶": "鸢", "鴆": "鸩", "鴇": "鸨", "鴉": "鸦", "鴕": "鸵", "鴛": "鸳", "鴝": "鸲", "鴟": "鸱", "鴣": "鸪", "鴦": "鸯", "鴨": "鸭", "鴯": "鸸", "鴰": "鸹", "鴻": "鸿", "鴿": "鸽", "鵂": "鸺", "鵑": "鹃", "鵒": "鹆", "鵓": "鹁", "鵜": "鹈", "鵝": "鹅", "鵠": "鹄", "鵡": "鹉", "鵪": "鹌", "鵬": "鹏", "鵯": "鹎", "鵰": "雕", "鵲": "鹊", "鶇": "鸫", "鶉": "鹑", "鶘": "鹕", "鶚": "鹗", "鶩": "鹜", "鶯": "莺", "鶴": "鹤", "鶻": "鹘", "鶼": "鹣", "鶿": "鹚", "鷂": "鹞", "鷓": "鹧", "鷗": "鸥", "鷙": "鸷", "鷚": "鹨", "鷥": "鸶", "鷦": "鹪", "鷯": "鹩", "鷲": "鹫", "鷳": "鹇", "鷴": "鹇", "鷸": "鹬", "鷹": "鹰", "鷺": "鹭", "鸕": "鸬", "鸚": "鹦", "鸛": "鹳", "鸝": "鹂", "鸞": "鸾", "鹵": "卤", "鹹": "咸", "鹺": "鹾", "鹼": "碱", "鹽": "盐", "麗": "丽", "麥": "麦", "麩": "麸", "麴": "曲", "麵": "面", "麼": "么", "黃": "黄", "黌": "黉", "點": "点", "黨": "党", "黲": "黪", "黴": "霉", "黷": "黩", "黽": "黾", "黿": "鼋", "鼉": "鼍", "鼕": "冬", "鼴": "鼹", "齊": "齐", "齋": "斋", "齎": "赍", "齏": "齑", "齒": "齿", "齔": "龀", "齙": "龅", "齜": "龇", "齟": "龃", "齠": "龆", "齡": "龄", "齣": "出", "齦": "龈", "齧": "啮", "齪": "龊", "齬": "龉", "齲": "龋", "齶": "腭", "齷": "龌", "龍": "龙", "龐": "庞", "龔": "龚", "龕": "龛", "龜": "龟"}'::jsonb;

COMMENT ON FUNCTION retrieval.simplified() IS 'The simplified form of each traditional Chinese character that words are folded by.';

CREATE FUNCTION retrieval.lexeme(unit text, next text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN ("right"(unit, 1) = '+'::text) THEN (COALESCE((retrieval.simplified() ->> "left"(unit, 1)), "left"(unit, 1)) || COALESCE((retrieval.simplified() ->> "left"(next, 1)), "left"(next, 1))) ELSE COALESCE((retrieval.simplified() ->> unit), "left"(unit, 100)) END;

COMMENT ON FUNCTION retrieval.lexeme(unit text, next text) IS 'The lexeme of a unit, which depends on the next one; traditional Chinese becomes simplified.';

CREATE FUNCTION retrieval.make_face(collection text, model text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    name constant text := make_face.collection || '_' || make_face.model;
BEGIN
    PERFORM retrieval.make_view(
        format('retrieval.%I', 'images_' || name), retrieval.view_text('vector_' || name),
        'What images.<collection> shows, has shown or will show, of one model.');
    EXECUTE format('REVOKE ALL ON retrieval.%I FROM PUBLIC', 'images_' || name);
END
$$;

COMMENT ON FUNCTION retrieval.make_face(collection text, model text) IS 'Creates retrieval.images_<collection>_<model>, or replaces its query; its grants stay.';

CREATE FUNCTION retrieval.make_sides(collection text, name text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    part record;
BEGIN
    EXECUTE format(
        $view$
        CREATE OR REPLACE VIEW retrieval.%1$I AS
        SELECT i.id, %5$s FROM retrieval.image AS i
        WHERE i.collection = %3$L AND i.deleted IS NULL;
        COMMENT ON VIEW retrieval.%1$I IS 'What filters ask of the images of one collection, with or without a vector.';
        CREATE OR REPLACE VIEW retrieval.%2$I AS SELECT v.id, v.embedding FROM retrieval.%4$I AS v;
        COMMENT ON VIEW retrieval.%2$I IS 'The vectors of one collection under one model, also those of deleted images.';
        $view$,
        'matching_' || name, 'vectors_' || name, make_sides.collection, 'vector_' || name,
        retrieval.image_columns(''));
    FOR part IN
        SELECT a.attrelid::regclass AS view, a.attname AS name FROM pg_attribute AS a
        WHERE a.attrelid IN (format('retrieval.%I', 'matching_' || make_sides.name)::regclass,
                             format('retrieval.%I', 'vectors_' || make_sides.name)::regclass)
    LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', part.view, part.name, 'As in retrieval.image, or in the view of the collection.');
    END LOOP;
END
$_$;

COMMENT ON FUNCTION retrieval.make_sides(collection text, name text) IS 'Creates retrieval.matching_<collection>_<model>, the images alone, and retrieval.vectors_<collection>_<model>, the vectors alone.';

CREATE FUNCTION retrieval.make_view(view text, query text, about text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
BEGIN
    EXECUTE format(
        $view$
        CREATE OR REPLACE VIEW %1$s AS
        %2$s;
        COMMENT ON VIEW %1$s IS %3$L;
        COMMENT ON COLUMN %1$s.image_id IS 'Key under the collection''s source, without its extension.';
        COMMENT ON COLUMN %1$s.image_path IS 'Where the original lies.';
        COMMENT ON COLUMN %1$s.resampled_image_path IS 'Where the resampled picture lies; null where none is kept.';
        COMMENT ON COLUMN %1$s.embedding IS 'Vector of length 1; compare with <=> (cosine distance).';
        COMMENT ON COLUMN %1$s.group_id IS 'What several images show, such as a product.';
        COMMENT ON COLUMN %1$s.intra_id IS 'Which image of its group it is.';
        COMMENT ON COLUMN %1$s.caption IS 'What it shows, in words: what a person or the source says, else what a model wrote.';
        COMMENT ON COLUMN %1$s.width IS 'Pixels of the upright original.';
        COMMENT ON COLUMN %1$s.height IS 'Pixels of the upright original.';
        COMMENT ON COLUMN %1$s.format IS 'File format by content.';
        COMMENT ON COLUMN %1$s.attributes IS 'Anything else to filter by.';
        COMMENT ON COLUMN %1$s.created_at IS 'When a listing first found it.';
        COMMENT ON COLUMN %1$s.updated_at IS 'When its row last changed.';
        COMMENT ON COLUMN %1$s.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';
        COMMENT ON COLUMN %1$s.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';
        COMMENT ON COLUMN %1$s.phash IS 'Perceptual hash of 64 bits; compare with images.phash_distance.';
        COMMENT ON COLUMN %1$s.aspect IS 'Width over height.';
        COMMENT ON COLUMN %1$s.orientation IS 'landscape, portrait or square.';
        COMMENT ON COLUMN %1$s.colours IS 'Names of its colours, the largest first.';
        COMMENT ON COLUMN %1$s.sharpness IS 'Low if it is blurred, as the model reads it.';
        COMMENT ON COLUMN %1$s.complexity IS 'Share of pixels at an edge, 0 to 1, as the model reads it.';
        COMMENT ON COLUMN %1$s.words IS 'Words of caption and captions; compare with @@ retrieval.words_query.';
        COMMENT ON COLUMN %1$s.captions IS 'What a model wrote, by language: {"en": …, "zh": …}; null: nothing.';
        $view$, make_view.view, make_view.query, make_view.about);
END
$_$;

COMMENT ON FUNCTION retrieval.make_view(view text, query text, about text) IS 'Creates a view of the images that have vectors, or replaces its query; its grants stay.';

CREATE FUNCTION retrieval.map_points(collection text, filter jsonb, OUT ids bytea, OUT x bytea, OUT y bytea, OUT clusters bytea) RETURNS record
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT coalesce(string_agg(int8send(p.image), '' ORDER BY p.image), ''), coalesce(string_agg(float4send(p.x), '' ORDER BY p.image), ''),
           coalesce(string_agg(float4send(p.y), '' ORDER BY p.image), ''), coalesce(string_agg(int4send(p.cluster), '' ORDER BY p.image), '')
    FROM retrieval.places(map_points.collection, map_points.filter) AS p
$$;

COMMENT ON FUNCTION retrieval.map_points(collection text, filter jsonb, OUT ids bytea, OUT x bytea, OUT y bytea, OUT clusters bytea) IS 'The same places, in the order of their images, as arrays of numbers in network order.';

CREATE FUNCTION retrieval.match_condition(kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    query   text;
    subject text := 'words';
BEGIN
    IF kind <> 'attribute' AND name <> 'caption' THEN
        RAISE EXCEPTION 'filter: % has no operator "match": that is for "caption" and attributes', place;
    END IF;
    query := retrieval.checked('text', place || ' match', value);
    IF retrieval.is_blank(query) THEN
        RAISE EXCEPTION 'filter: % match takes words, not %', place, value;
    END IF;
    IF kind = 'attribute' THEN
        given := given || name;
        subject := format('retrieval.words(attributes ->> $1[%s])', cardinality(given));
    END IF;
    given := given || retrieval.words_query(query)::text;
    condition := format('%s @@ $1[%s]::tsquery', subject, cardinality(given));
END
$_$;

COMMENT ON FUNCTION retrieval.match_condition(kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text) IS 'match: words in any language, as in a web search.';

CREATE FUNCTION retrieval.matching_ids(collection text, filter jsonb, after text, most integer) RETURNS SETOF text
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    given     text[] := '{}';
    condition text;
BEGIN
    SELECT * INTO given, condition FROM retrieval.condition_of(filter, given);
    RETURN QUERY EXECUTE format(
        $query$
        SELECT image_id FROM %s WHERE ($2 IS NULL OR image_id COLLATE "C" > $2) AND %s
        ORDER BY image_id COLLATE "C" LIMIT $3
        $query$, retrieval.view_of(collection, NULL), condition)
    USING given, after, most;
END
$_$;

COMMENT ON FUNCTION retrieval.matching_ids(collection text, filter jsonb, after text, most integer) IS 'The first ids after one, in their order, of the images of a collection that match a filter.';

CREATE FUNCTION retrieval.operator(distance text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE distance WHEN 'cosine'::text THEN '<=>'::text WHEN 'inner_product'::text THEN '<#>'::text WHEN 'l2'::text THEN '<->'::text ELSE NULL::text END;

COMMENT ON FUNCTION retrieval.operator(distance text) IS 'pgvector''s operator for a distance.';

CREATE FUNCTION retrieval.similarity_in_words(distance text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE distance WHEN 'cosine'::text THEN '1 - distance'::text WHEN 'inner_product'::text THEN '-distance'::text WHEN 'l2'::text THEN '1 / (1 + distance)'::text ELSE NULL::text END;

COMMENT ON FUNCTION retrieval.similarity_in_words(distance text) IS 'The SQL expression that turns the operator''s result into a similarity.';

CREATE FUNCTION retrieval.nearest_in_words(view text, distance text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN format('
    SELECT array_agg((image_id, %2$s, image_path, resampled_image_path, group_id, intra_id, caption, width, height,
                      attributes)::retrieval.result ORDER BY distance + 0, image_id)  -- + 0: an index orders inexactly
    FROM (SELECT *, embedding %3$s query AS distance FROM retrieval.%1$I ORDER BY embedding %3$s query LIMIT k) AS found
    '::text, view, retrieval.similarity_in_words(distance), retrieval.operator(distance));

COMMENT ON FUNCTION retrieval.nearest_in_words(view text, distance text) IS 'The query for the k rows of a view that the index finds nearest to a vector.';

CREATE FUNCTION retrieval.nearest_things_random(query public.halfvec, k integer) RETURNS retrieval.result[]
    LANGUAGE plpgsql STABLE
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_sort TO 'off'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
        BEGIN
            RETURN (
    SELECT array_agg((image_id, 1 - distance, image_path, resampled_image_path, group_id, intra_id, caption, width, height,
                      attributes)::retrieval.result ORDER BY distance + 0, image_id)  -- + 0: an index orders inexactly
    FROM (SELECT *, embedding <=> query AS distance FROM retrieval.images_things_random ORDER BY embedding <=> query LIMIT k) AS found
    );
        END
        $$;

COMMENT ON FUNCTION retrieval.nearest_things_random(query public.halfvec, k integer) IS 'The nearest k images of this collection under this model by its index, which may find fewer.';

CREATE FUNCTION retrieval.number_type(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT
    RETURN CASE WHEN (value ~ '^-?\d{1,9}$'::text) THEN 'integer'::text ELSE 'numeric'::text END;

COMMENT ON FUNCTION retrieval.number_type(value text) IS 'The type in which a column''s number is compared.';

CREATE FUNCTION retrieval.operator_class(distance text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE distance WHEN 'cosine'::text THEN 'halfvec_cosine_ops'::text WHEN 'inner_product'::text THEN 'halfvec_ip_ops'::text WHEN 'l2'::text THEN 'halfvec_l2_ops'::text ELSE NULL::text END;

COMMENT ON FUNCTION retrieval.operator_class(distance text) IS 'The operator class of an index on the vectors, for a distance.';

CREATE FUNCTION retrieval.phrase(folded text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    units constant text[] := retrieval.units(folded);
BEGIN
    RETURN (
        SELECT string_agg(coalesce(' <' || position - former || '> ', '') || lexeme, '' ORDER BY position)
        FROM (
            SELECT position, lag(position) OVER (ORDER BY position) AS former,
                   '''' || retrieval.lexeme(unit, next)
                   || CASE WHEN unit ~ ('^' || retrieval.unspaced() || '$') THEN ''':*' ELSE '''' END AS lexeme
            FROM unnest(units, units[2:], array_prepend(NULL, units)) WITH ORDINALITY AS u (unit, next, before, position)
            WHERE right(unit, 1) = '+' OR unit IS NOT NULL AND right(before, 1) IS DISTINCT FROM '+'
        ) AS asked);
END
$_$;

COMMENT ON FUNCTION retrieval.phrase(folded text) IS 'The units of a folded text, each directly behind the one before, in the words of a tsquery; null if it has none.';

CREATE FUNCTION retrieval.pin_search_path() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $$
DECLARE
    path    constant text := (SELECT 'pg_catalog, ' || quote_ident(n.nspname) || ', pg_temp'
                              FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                              WHERE e.extname = 'vector');
    routine record;
BEGIN
    FOR routine IN
        SELECT p.oid::regprocedure AS signature, coalesce(p.proconfig, '{}') AS settings, strpos(p.prosrc, E'\\') > 0 AS has_escapes
        FROM pg_proc AS p
        WHERE p.pronamespace IN ('retrieval'::regnamespace, 'images'::regnamespace)
          AND p.prosqlbody IS NULL AND p.prokind = 'f'  -- a procedure with settings cannot commit
    LOOP
        IF routine.settings @> ARRAY['search_path=' || path] IS NOT TRUE THEN
            EXECUTE format('ALTER FUNCTION %s SET search_path = %s', routine.signature, path);
        END IF;
        IF routine.has_escapes AND routine.settings @> '{standard_conforming_strings=on}' IS NOT TRUE THEN
            EXECUTE format('ALTER FUNCTION %s SET standard_conforming_strings = on', routine.signature);
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION retrieval.pin_search_path() IS 'Gives the functions of this schema and of images a search_path with pgvector''s schema and no other; each migrate calls it.';

CREATE FUNCTION retrieval.places(collection text, filter jsonb) RETURNS TABLE(image bigint, image_id text, x real, y real, cluster integer)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
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
$_$;

COMMENT ON FUNCTION retrieval.places(collection text, filter jsonb) IS 'The places of a collection''s images, or of those that match a filter, on its map.';

CREATE FUNCTION retrieval.query_vector(collection text, text text) RETURNS public.halfvec
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    vector halfvec;
BEGIN
    PERFORM retrieval.view_of(query_vector.collection);
    IF query_vector.text IS NULL OR retrieval.is_blank(query_vector.text) THEN
        RAISE EXCEPTION 'text is %', CASE WHEN query_vector.text IS NULL THEN 'null' ELSE 'blank' END;
    ELSIF length(query_vector.text) > 1000 THEN
        RAISE EXCEPTION 'text has % characters: at most 1000 are allowed', length(query_vector.text);
    END IF;
    SELECT q.embedding INTO vector
    FROM retrieval.collection AS c
    JOIN retrieval.query AS q ON q.model = c.model
    WHERE c.name = query_vector.collection AND md5(q.text) = md5(query_vector.text) AND q.text = query_vector.text;
    RETURN vector;
END
$$;

COMMENT ON FUNCTION retrieval.query_vector(collection text, text text) IS 'The vector of a text under a collection''s model; null if it is not embedded yet, an error if the text is not a valid query.';

CREATE FUNCTION retrieval.range_condition(kind text, name text, place text, operator text, value jsonb, INOUT given text[], OUT condition text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    sign constant text := CASE operator WHEN 'gt' THEN '>' WHEN 'gte' THEN '>=' WHEN 'lt' THEN '<' ELSE '<=' END;
    type constant text := CASE WHEN kind = 'member' THEN 'text' WHEN kind = 'attribute' AND jsonb_typeof(value) = 'string' THEN 'time'
                               WHEN kind = 'attribute' THEN 'number' ELSE kind END;
    key  integer;
    last integer;
BEGIN
    IF type = 'text' THEN
        RAISE EXCEPTION 'filter: % is a text and has no operator %; it has any%', place, to_json(operator),
            CASE name WHEN 'caption' THEN ', match' ELSE '' END;
    END IF;
    IF kind = 'attribute' THEN
        given := given || name;
        key := cardinality(given);
    END IF;
    given := given || retrieval.checked(type, place || ' ' || operator, value);
    last := cardinality(given);
    condition := CASE
        WHEN kind = 'time' THEN format('%I %s $1[%s]::timestamptz', name, sign, last)
        WHEN kind = 'number' THEN format('%I %s $1[%s]::%s', name, sign, last, retrieval.number_type(given[last]))
        WHEN type = 'time' THEN
            format('retrieval.time_of(attributes ->> $1[%s]) %s $1[%s]::timestamptz', key, sign, last)
        ELSE format(
            'CASE jsonb_typeof(attributes -> $1[%1$s]) WHEN ''number'' THEN (attributes ->> $1[%1$s])::numeric END %2$s $1[%3$s]::numeric',
            key, sign, last)
    END;
END
$_$;

COMMENT ON FUNCTION retrieval.range_condition(kind text, name text, place text, operator text, value jsonb, INOUT given text[], OUT condition text) IS 'gt, gte, lt, lte: on numbers and times, in columns and attributes.';

CREATE FUNCTION retrieval.reads_texts(collection text) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT m.family = 'dual_encoder' FROM retrieval.collection AS c JOIN retrieval.model AS m ON m.name = c.model
    WHERE c.name = reads_texts.collection
$$;

COMMENT ON FUNCTION retrieval.reads_texts(collection text) IS 'Whether the model whose vectors a collection shows has a text side.';

CREATE FUNCTION retrieval.reason_in_words(way jsonb, costs jsonb, k integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (way IS NULL) THEN 'it finds k images without comparing the others'::text WHEN ((way -> 'indexed'::text) = 'false'::jsonb) THEN 'the vectors have no index, so all are compared'::text WHEN (k > 1000) THEN 'an index gives at most 1000 candidates in order'::text WHEN ((way ->> 'condition'::text) = 'true'::text) THEN 'the filter lets every image through'::text ELSE format('comparing what matches would cost about %s ms, and asking the index for %s candidates about %s ms (costs: %s)'::text, round(((((((way ->> 'finding'::text))::double precision * retrieval.cost(costs, 'unit'::text)) + (((way ->> 'expected'::text))::double precision * retrieval.cost(costs, 'vector'::text))) / (1000)::double precision))::numeric, 1), (way ->> 'asked'::text), round((((((way ->> 'asked'::text))::double precision * retrieval.cost(costs, 'candidate'::text)) / (1000)::double precision))::numeric, 1), CASE WHEN (costs IS NULL) THEN 'as usual, until the upkeep measures them'::text ELSE 'as the upkeep measured them'::text END) END;

COMMENT ON FUNCTION retrieval.reason_in_words(way jsonb, costs jsonb, k integer) IS 'Why a search takes its way.';

CREATE FUNCTION retrieval.renew_views() RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT retrieval.show_vectors(c.name, 'vector_' || c.name || '_' || c.model)
    FROM retrieval.collection AS c
    WHERE to_regclass(format('images.%I', c.name)) IS NOT NULL;

    SELECT retrieval.make_face(s.collection, s.model), retrieval.make_sides(s.collection, s.collection || '_' || s.model)
    FROM retrieval.vector_space AS s
    WHERE to_regclass(format('retrieval.%I', 'images_' || s.collection || '_' || s.model)) IS NOT NULL;

    SELECT retrieval.face_vectors(s.collection, s.model, c.distance)
    FROM retrieval.vector_space AS s JOIN retrieval.collection AS c ON c.name = s.collection
    WHERE to_regclass(format('retrieval.%I', 'images_' || s.collection || '_' || s.model)) IS NOT NULL;
$$;

COMMENT ON FUNCTION retrieval.renew_views() IS 'Gives the views of a former version of the schema the columns of this one, and makes its functions; dropped views stay dropped.';

CREATE FUNCTION retrieval.score(cosine double precision, slope double precision, middle double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (cosine >= (0.999999)::double precision) THEN (1)::double precision WHEN (cosine <= middle) THEN ((1)::double precision / ((1)::double precision + exp(LEAST((700)::double precision, (slope * (middle - cosine)))))) ELSE LEAST((1)::double precision, ((0.5)::double precision + (((0.5)::double precision * (((1)::double precision / ((1)::double precision + exp(LEAST((700)::double precision, (slope * (middle - cosine)))))) - (0.5)::double precision)) / CASE WHEN (middle < (1)::double precision) THEN (((1)::double precision / ((1)::double precision + exp(LEAST((700)::double precision, (slope * (middle - (1)::double precision)))))) - (0.5)::double precision) ELSE (1)::double precision END))) END;

COMMENT ON FUNCTION retrieval.score(cosine double precision, slope double precision, middle double precision) IS 'The score, 0 to 1, of a cosine under a calibration, as models/calibration.py defines it.';

CREATE FUNCTION retrieval.score_in_words(slope double precision, middle double precision) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (slope IS NOT NULL) THEN format('retrieval.score(%%1$s, %s, %s)'::text, slope, middle) ELSE NULL::text END;

COMMENT ON FUNCTION retrieval.score_in_words(slope double precision, middle double precision) IS 'The expression for the score, 0 to 1, of a cosine %1$s under a calibration; null: there is none.';

CREATE FUNCTION retrieval.serving_index(collection text, kind text, subject text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT c.relname
    FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
    WHERE i.indrelid = to_regclass('retrieval.image') AND i.indisvalid
      AND c.relname = coalesce((retrieval.filter_index(serving_index.collection, kind, subject)).name,
                               CASE subject WHEN 'group_id' THEN 'image_group' ELSE 'image_collection_image_id_key' END)
$$;

COMMENT ON FUNCTION retrieval.serving_index(collection text, kind text, subject text) IS 'The index that serves a part of a filter, or null if there is none.';

CREATE FUNCTION retrieval.show_vectors(collection text, vectors text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT retrieval.make_view(
        format('images.%I', show_vectors.collection), retrieval.view_text(vectors), 'The searchable images of this collection.')
$$;

COMMENT ON FUNCTION retrieval.show_vectors(collection text, vectors text) IS 'Creates images.<collection>, or lets it show these vectors; its grants stay.';

CREATE FUNCTION retrieval.side_weights(sides text[], weight double precision) RETURNS double precision[]
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 WITH share AS (
          SELECT s_1.number,
                 CASE s_1.side
                     WHEN 'vector'::text THEN rounded.weight
                     ELSE (((1)::double precision - rounded.weight) / (NULLIF(cardinality(array_remove(side_weights.sides, 'vector'::text)), 0))::double precision)
                 END AS part
            FROM unnest(side_weights.sides) WITH ORDINALITY s_1(side, number),
             ( SELECT (round((side_weights.weight)::numeric, 6))::double precision AS weight) rounded
         )
  SELECT array_agg(COALESCE((s.part / NULLIF(( SELECT sum(a.part) AS sum
            FROM share a), (0)::double precision)), ((1.0 / (cardinality(side_weights.sides))::numeric))::double precision) ORDER BY s.number) AS array_agg
    FROM share s;
END;

COMMENT ON FUNCTION retrieval.side_weights(sides text[], weight double precision) IS 'The weight of each side: that of vector, and equal shares of the rest; they add up to 1 also where a side is missing.';

CREATE FUNCTION retrieval.sides(settings retrieval.collection, model text, by_vector boolean, asked jsonb, direction text, condition text, filter jsonb, grouped boolean, wanted integer) RETURNS TABLE(side text, best text, similarity text, score text)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    space   constant text := settings.name || '_' || settings.model;
    terms   constant text[] := retrieval.word_terms(asked ->> 'words');
    weights constant double precision[] := retrieval.expected_weights(terms);
    texts   constant text := coalesce(asked ->> 'text_model', settings.text_model);
BEGIN
    RETURN QUERY
        SELECT 'vector',
               format('SELECT array_agg(image_id) FROM retrieval.nearest(%L, $3, $2, %L, NULL, %L, NULL, %L)',
                      settings.name, filter, grouped, sides.model),
               replace(retrieval.similarity_in_words(settings.distance), 'distance', format(
                   '(embedding %s $3)', retrieval.operator(settings.distance))),
               (SELECT retrieval.score_in_words(c.slope, c.middle) FROM retrieval.calibration_of(settings, direction) AS c)
        WHERE by_vector
        UNION ALL
        SELECT 'words',
               retrieval.best_by_words(CASE WHEN by_vector THEN 'matching_' ELSE 'images_' END || space, condition, terms, weights, NOT by_vector, grouped, wanted),
               retrieval.term_fit_in_words(terms, weights),
               '%1$s'
        WHERE terms IS NOT NULL
        UNION ALL
        SELECT 'caption',
               format('SELECT array_agg(image_id) FROM retrieval.nearest(%L, $4, $2, %L, NULL, %L, NULL, %L)',
                      settings.name, filter, grouped, texts),
               replace(retrieval.similarity_in_words(settings.distance), 'distance', format(
                   '(SELECT c.embedding %s $4 FROM retrieval.%I AS c WHERE c.id = i.id)',
                   retrieval.operator(settings.distance), 'vector_' || settings.name || '_' || texts)),
               NULL
        WHERE asked ? 'caption' AND texts IS NOT NULL;
END
$_$;

COMMENT ON FUNCTION retrieval.sides(settings retrieval.collection, model text, by_vector boolean, asked jsonb, direction text, condition text, filter jsonb, grouped boolean, wanted integer) IS 'The sides that a search asks. score: an expression over a similarity %1$s; null: the side has no calibration.';

CREATE FUNCTION retrieval.similarity(distance text, a public.halfvec, b public.halfvec) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE distance WHEN 'cosine'::text THEN ((1)::double precision - (a OPERATOR(public.<=>) b)) WHEN 'inner_product'::text THEN (- (a OPERATOR(public.<#>) b)) WHEN 'l2'::text THEN ((1)::double precision / ((1)::double precision + (a OPERATOR(public.<->) b))) ELSE NULL::double precision END;

COMMENT ON FUNCTION retrieval.similarity(distance text, a public.halfvec, b public.halfvec) IS 'Similarity, larger is more alike: 1 - cosine distance, the inner product, or 1 / (1 + L2 distance).';

CREATE FUNCTION retrieval.term_fit_in_words(terms text[], weights double precision[]) RETURNS text
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT format('nullif((%s) / %s, 0)'::text, string_agg(format(((
         CASE
             WHEN (strpos(t.term, ' <'::text) > 0) THEN 'CASE WHEN words @@ %3$L::tsquery THEN '::text
             ELSE ''::text
         END || '%1$s * (1 - 1 / (1 + ts_rank(words, %2$L::tsquery) / (0.07296::float8 * (0.25::float8 + 0.0375::float8 * length(words)))))'::text) ||
         CASE
             WHEN (strpos(t.term, ' <'::text) > 0) THEN ' ELSE 0 END'::text
             ELSE ''::text
         END), t.weight, regexp_replace(t.term, ' <\d+> '::text, ' | '::text, 'g'::text), t.term), ' + '::text), sum(t.weight)) AS format
    FROM UNNEST(term_fit_in_words.terms, term_fit_in_words.weights) t(term, weight);
END;

COMMENT ON FUNCTION retrieval.term_fit_in_words(terms text[], weights double precision[]) IS 'The expression for how well words fit terms, by the formula of search_words.sql; null if none of them occurs.';

CREATE FUNCTION retrieval.term_tiers(terms text[], weights double precision[], complete boolean) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 WITH term AS (
          SELECT t.term,
             t.weight,
             row_number() OVER (ORDER BY t.weight DESC, t.term) AS number,
             max(t.weight) OVER () AS heaviest
            FROM UNNEST(term_tiers.terms, term_tiers.weights) t(term, weight)
         )
  SELECT array_remove(ARRAY[( SELECT string_agg(format('(%s)'::text, t.term), ' & '::text) AS string_agg
            FROM term t
          HAVING (count(*) > 1)), ( SELECT string_agg(format('(%s) & (%s)'::text, a.term, b.term), ' | '::text) AS string_agg
            FROM (term a
              JOIN term b ON (((a.number < b.number) AND (b.number <= 5))))
          HAVING (count(*) > 1)), ( SELECT string_agg(format('(%s)'::text, t.term), ' | '::text) AS string_agg
            FROM term t
           WHERE (term_tiers.complete OR (t.weight >= (t.heaviest / (2)::double precision))))], NULL::text) AS array_remove;
END;

COMMENT ON FUNCTION retrieval.term_tiers(terms text[], weights double precision[], complete boolean) IS 'Queries by which candidates for terms are taken, in this order; complete: the last one finds all images that hold a term.';

CREATE FUNCTION retrieval.text_direction(text text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (text ~ '[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]'::text) THEN 'text_image_zh'::text ELSE 'text_image_en'::text END;

COMMENT ON FUNCTION retrieval.text_direction(text text) IS 'The direction of a search by a text: Chinese if it has a Chinese character.';

CREATE FUNCTION retrieval.time_of(value text) RETURNS timestamp with time zone
    LANGUAGE plpgsql STABLE STRICT
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $_$
BEGIN
    IF value ~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)? ?(Z|[+-]\d\d(:?\d\d)?)?)?$' THEN
        RETURN value::timestamptz;
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$_$;

COMMENT ON FUNCTION retrieval.time_of(value text) IS 'The time in an ISO 8601 text, or null if it is not a time.';

CREATE FUNCTION retrieval.told_of(image bigint, collection text, etag text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $$
    SELECT string_agg(c.text, E'\n' ORDER BY array_position(s.languages, c.language))
    FROM retrieval.shown_captions AS s
    JOIN retrieval.caption AS c ON c.model = s.model AND c.language = ANY (s.languages)
    WHERE s.collection = told_of.collection AND c.image = told_of.image AND c.etag = told_of.etag
$$;

COMMENT ON FUNCTION retrieval.told_of(image bigint, collection text, etag text) IS 'The captions of an image''s present version that the views show, one a line.';

CREATE FUNCTION retrieval.units(folded text) RETURNS text[]
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $$
BEGIN
    IF octet_length(folded) = length(folded) THEN
        RETURN string_to_array(btrim(regexp_replace(folded, '[^a-z0-9]+', ' ', 'g')), ' ');
    END IF;
    folded := regexp_replace(
        folded,
        '[\u0001-/:-@[-`{-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf×÷\u02c2-\u02df\u037e\u0387\u055a-\u055f\u0589\u05be\u05c0\u05c3'
        '\u05f3\u05f4\u060c\u061b\u061f\u066a-\u066d\u06d4\u0964\u0965\u0e3f\u0e4f\u0e5a\u0e5b\u104a-\u104f\u1680\u17d4-\u17db'
        '\u2000-\u25ff\u27c0-\u2bff\u2e00-\u3004\u3008-\u3030\u3036-\u3040\u3097-\u309c\u30a0\u30fb\ue000-\uf8ff\ufd3e\ufd3f'
        '\ufe10-\ufe6f\uff00-\uffff]+', ' ', 'g');
    folded := regexp_replace(folded, '(' || retrieval.unspaced() || ')(?=' || retrieval.unspaced() || ')', '\1+ ', 'g');
    folded := regexp_replace(
        folded, '(' || retrieval.unspaced() || '(?=[^ +])|[^ ](?=' || retrieval.unspaced() || '))', '\1 ', 'g');
    RETURN string_to_array(btrim(folded), ' ');
END
$$;

COMMENT ON FUNCTION retrieval.units(folded text) IS 'The units of a folded text in order; a character that another one follows directly has a + behind it.';

CREATE FUNCTION retrieval.unspaced() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2600-\u27bf\u3005-\u9fff\uac00-\ud7a3\uf900-\ufaff\U0001f000-\U0003ffff]'::text;

COMMENT ON FUNCTION retrieval.unspaced() IS 'A regular expression for the characters, punctuation aside, of scripts that write no spaces.';

CREATE FUNCTION retrieval.vector_and_words(settings retrieval.collection, query public.halfvec, words text, direction text, weight double precision, k integer, wanted integer, lowest double precision) RETURNS TABLE(image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text, caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb)
    LANGUAGE plpgsql
    SET "hnsw.ef_search" TO '100'
    SET "hnsw.iterative_scan" TO 'relaxed_order'
    SET "hnsw.max_scan_tuples" TO '20000'
    SET "hnsw.scan_mem_multiplier" TO '8'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $_$
DECLARE
    frequent constant integer := 5000;  -- captions with a word; an index had better not read so many
    terms    text[];
    weights  double precision[];
    slope    double precision;
    middle   double precision;
    ef       integer;
    lightest double precision;  -- weight of the most frequent term that finds images by itself
BEGIN
    SELECT c.slope, c.middle, least(1000, greatest(settings.ef_search, 2 * wanted)) INTO slope, middle, ef
    FROM retrieval.calibration_of(settings, direction) AS c, pg_index AS i JOIN pg_opclass AS o ON o.oid = i.indclass[0]
    WHERE c.slope IS NOT NULL AND vector_dims(query) = settings.dimensions AND wanted <= 1000
      AND i.indrelid = to_regclass(format('retrieval.%I', 'vector_' || settings.name || '_' || settings.model)) AND i.indisvalid
      AND o.opcname = retrieval.operator_class(settings.distance);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    terms := retrieval.word_terms(vector_and_words.words);
    weights := retrieval.expected_weights(terms);
    lightest := (SELECT min(w) FROM unnest(weights) AS w WHERE w >= (SELECT max(v) / 2 FROM unnest(weights) AS v));
    IF terms IS NULL OR cardinality(terms) > 4
       OR (SELECT c.reltuples * exp(-lightest) > frequent FROM pg_class AS c WHERE c.oid = 'retrieval.image'::regclass) THEN
        RETURN;
    END IF;
    PERFORM set_config('hnsw.ef_search', ef::text, true);
    RETURN QUERY EXECUTE format('SELECT * FROM retrieval.%I($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)', 'hybrid_' || settings.name || '_' || settings.model)
    USING query, terms::tsquery[], ARRAY(SELECT regexp_replace(t, ' <\d+> ', ' | ', 'g')::tsquery FROM unnest(terms) AS t),
          ARRAY(SELECT w / sum(w) OVER () FROM unnest(weights) AS w), retrieval.term_tiers(terms, weights, false)::tsquery[],
          slope, middle, round(weight::numeric, 6)::double precision, wanted, k, lowest;
END
$_$;

COMMENT ON FUNCTION retrieval.vector_and_words(settings retrieval.collection, query public.halfvec, words text, direction text, weight double precision, k integer, wanted integer, lowest double precision) IS 'As retrieval.hybrid, for a vector and up to four words that are not frequent, where vectors have a calibration and an index; else no rows.';

CREATE FUNCTION retrieval.vector_and_words_in_words(name text, distance text) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN format('
    WITH near AS MATERIALIZED (
        SELECT m.id, m.image_id, m.words, v.distance
        FROM (SELECT id, embedding %3$s query AS distance FROM retrieval.%2$I ORDER BY embedding %3$s query LIMIT wanted) AS v
        JOIN retrieval.%1$I AS m ON m.id = v.id
    ), told AS MATERIALIZED (
        SELECT c.id, c.image_id, retrieval.four_terms_fit(c.words, terms, parts, weights) AS fit
        FROM (SELECT DISTINCT ON (id) * FROM (%5$s) AS a) AS c
        ORDER BY fit DESC, image_id
        LIMIT wanted
    ), found AS (
        SELECT n.id, n.image_id, n.distance, retrieval.four_terms_fit(n.words, terms, parts, weights) AS fit FROM near AS n
        UNION ALL
        SELECT t.id, t.image_id, v.embedding %3$s query, t.fit
        FROM told AS t JOIN retrieval.%2$I AS v ON v.id = t.id
        WHERE t.id <> ALL (ARRAY(SELECT n.id FROM near AS n))
    ), best AS (
        SELECT s.*, share * s.score + (1 - share) * coalesce(s.fit, 0) AS similarity
        FROM (SELECT *, retrieval.score(%4$s, slope, middle) AS score FROM found) AS s
        WHERE (SELECT count(*) FROM near) = wanted
        ORDER BY similarity DESC, s.distance, coalesce(s.fit, ''-Infinity'') DESC, s.image_id
        LIMIT k
    )
    SELECT i.image_id, b.similarity, i.uri, i.resampled_uri, i.group_id, i.intra_id, coalesce(i.caption, retrieval.written_caption(i)),
           i.width, i.height, i.attributes,
           CASE WHEN i.id = ANY (ARRAY(SELECT n.id FROM near AS n)) THEN ''{vector}''::text[] ELSE ''{}'' END
           || CASE WHEN i.id = ANY (ARRAY(SELECT t.id FROM told AS t)) THEN ''{words}''::text[] ELSE ''{}'' END,
           jsonb_strip_nulls(jsonb_build_object(''vector'', b.score, ''words'', b.fit))
    FROM best AS b JOIN retrieval.image AS i ON i.id = b.id
    WHERE lowest IS NULL OR b.similarity >= lowest
    ORDER BY b.similarity DESC, b.distance, coalesce(b.fit, ''-Infinity'') DESC, i.image_id
    '::text, ('matching_'::text || name), ('vectors_'::text || name), retrieval.operator(distance), retrieval.similarity_in_words(distance), retrieval.candidates_in_words(('matching_'::text || name), 3));

COMMENT ON FUNCTION retrieval.vector_and_words_in_words(name text, distance text) IS 'The query behind retrieval.hybrid_<collection>_<model>; no rows where the index finds too few.';

CREATE FUNCTION retrieval.view_of(collection text) RETURNS regclass
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
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

COMMENT ON FUNCTION retrieval.view_of(collection text) IS 'The view of a collection, or an error that lists the existing collections.';

CREATE FUNCTION retrieval.view_of(collection text, model text) RETURNS regclass
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    face constant regclass := to_regclass(format('images.%I', view_of.collection));
    view regclass;
BEGIN
    SELECT to_regclass(format('retrieval.%I', 'images_' || c.name || '_' || coalesce(view_of.model, c.model))) INTO view
    FROM retrieval.collection AS c WHERE c.name = view_of.collection AND face IS NOT NULL
      AND (coalesce(view_of.model, c.model) = c.model OR EXISTS (  -- else another collection's: names can be joined in two ways
          SELECT FROM retrieval.vector_space AS s WHERE s.collection = c.name AND s.model = view_of.model));
    IF view IS NULL THEN
        RAISE EXCEPTION 'unknown collection %', quote_literal(view_of.collection)
            USING HINT = 'A collection''s first run makes its view. There are: ' || coalesce((SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM retrieval.collection AS c), 'none');
    END IF;
    IF NOT has_table_privilege(retrieval.caller(), face, 'SELECT') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for view %s', face);
    END IF;
    RETURN view;
END
$$;

COMMENT ON FUNCTION retrieval.view_of(collection text, model text) IS 'The view of a collection''s vectors under a model (null: the model that is shown), or an error that lists the existing collections.';

CREATE FUNCTION retrieval.view_text(vectors text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT format(
        'SELECT %s FROM retrieval.%I AS v JOIN retrieval.image AS i ON i.id = v.id WHERE i.deleted IS NULL',
        retrieval.image_columns('v.embedding,'), vectors)
$$;

COMMENT ON FUNCTION retrieval.view_text(vectors text) IS 'The query behind a view of a vector table; it ends in a condition.';

CREATE FUNCTION retrieval.way_in_words(way jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN (way IS NULL) THEN 'the index of the vectors, without a filter'::text WHEN ((way ->> 'few'::text))::boolean THEN 'the matching images are found first, then only their vectors are read and compared'::text WHEN ((way ->> 'exact'::text))::boolean THEN 'all vectors are read, and those of the matching images compared'::text ELSE 'the index of the vectors gives the nearest candidates, and those that match are kept'::text END;

COMMENT ON FUNCTION retrieval.way_in_words(way jsonb) IS 'The way of a search, as retrieval.nearest notes it.';

CREATE FUNCTION retrieval.word_pattern() RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN '(-?)(?:"([^"]*)"?|([^\u0001-\u0020\u0085\u1680\u2028\u2029"]+))'::text;

COMMENT ON FUNCTION retrieval.word_pattern() IS 'A regular expression for a part of a folded search for words: its minus sign, its phrase, or its word.';

CREATE FUNCTION retrieval.without_of(words text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC
 SELECT COALESCE(jsonb_agg(jsonb_build_object('not', jsonb_build_object('caption', jsonb_build_object('match', format('"%s"'::text, COALESCE(part.part[2], part.part[3])))))), '[]'::jsonb) AS "coalesce"
    FROM regexp_matches(retrieval.folded(without_of.words), retrieval.word_pattern(), 'g'::text) part(part)
   WHERE ((part.part[1] = '-'::text) AND (retrieval.phrase(COALESCE(part.part[2], part.part[3])) IS NOT NULL));
END;

COMMENT ON FUNCTION retrieval.without_of(words text) IS 'Filters that the minus terms of a search for words make.';

CREATE FUNCTION retrieval.word_parts(query text) RETURNS TABLE(phrase text, negated boolean, alternative boolean)
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    part  text[];
    first boolean := true;
    other boolean := false;
BEGIN
    FOR part IN
        SELECT regexp_matches(retrieval.folded(query), retrieval.word_pattern(), 'g')
    LOOP
        IF part[1] = '' AND part[3] = 'or' THEN
            other := NOT first;
            CONTINUE;
        END IF;
        phrase := retrieval.phrase(coalesce(part[2], part[3]));
        IF phrase IS NOT NULL THEN
            negated := part[1] = '-';
            alternative := other;
            RETURN NEXT;
            first := false;
            other := false;
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION retrieval.word_parts(query text) IS 'The parts of a search for words: each as a phrase, whether it must not occur, and whether an "or" stands before it.';

CREATE FUNCTION retrieval.word_terms(words text) RETURNS text[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $$
    SELECT array_agg(term ORDER BY first)
    FROM (
        SELECT t.term, min(p.number) AS first
        FROM retrieval.word_parts(words) WITH ORDINALITY AS p (phrase, negated, alternative, number),
             LATERAL regexp_split_to_table(p.phrase, CASE WHEN strpos(retrieval.folded(words), '"') > 0 THEN '(?!)' ELSE ' <\d+> ' END) AS t (term)
        WHERE NOT p.negated
        GROUP BY t.term
        ORDER BY 2
        LIMIT 32
    ) AS found
$$;

COMMENT ON FUNCTION retrieval.word_terms(words text) IS 'The words of a text, each for itself: also those of a phrase, unless the text has quotation marks; null if it has none.';

CREATE FUNCTION retrieval.word_weights(view regclass, phrases text[]) RETURNS double precision[]
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    captions double precision;
    weights  double precision[] := '{1}';
BEGIN
    IF cardinality(phrases) > 1 THEN
        captions := retrieval.expected_rows(view, 'words IS NOT NULL', '{}');
        SELECT array_agg(ln(1 + (greatest(captions - holding, 0) + 0.5) / (holding + 0.5)) ORDER BY number) INTO weights
        FROM unnest(phrases) WITH ORDINALITY AS p (phrase, number),
             LATERAL (SELECT retrieval.captions_with(view, phrase)) AS c (holding);
    END IF;
    RETURN weights;
END
$$;

COMMENT ON FUNCTION retrieval.word_weights(view regclass, phrases text[]) IS 'What each phrase weighs, by the number of captions of a view that hold it; a single one weighs 1.';

CREATE FUNCTION retrieval.words(value text) RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    units constant text[] := retrieval.units(retrieval.folded(value));
BEGIN
    RETURN coalesce((
        SELECT string_agg('''' || retrieval.lexeme(unit, next) || ''':' || position, ' ')
        FROM unnest(units, units[2:]) WITH ORDINALITY AS u (unit, next, position)), '');
END
$$;

COMMENT ON FUNCTION retrieval.words(value text) IS 'The words of a text, for full text search in every language; compare with @@ retrieval.words_query.';

CREATE FUNCTION retrieval.words_of_both(caption text, told text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (told IS NULL) THEN retrieval.words(caption) WHEN (caption IS NULL) THEN retrieval.words(told) ELSE (retrieval.words(caption) || retrieval.words(told)) END;

COMMENT ON FUNCTION retrieval.words_of_both(caption text, told text) IS 'The words of two texts, of which either may be null.';

CREATE FUNCTION retrieval.words_query(query text) RETURNS tsquery
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    RETURN (
        SELECT string_agg(
            CASE WHEN number = 1 THEN '' WHEN alternative THEN ' | ' ELSE ' & ' END || CASE WHEN negated THEN '!' ELSE '' END || '(' || phrase || ')',
            '' ORDER BY number)
        FROM retrieval.word_parts(query) WITH ORDINALITY AS p (phrase, negated, alternative, number));
END
$$;

COMMENT ON FUNCTION retrieval.words_query(query text) IS 'A search for words in the language of web searches: all words, "a phrase", or, -without; null if it has no word.';

CREATE FUNCTION retrieval.write_nearest() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
BEGIN
    IF TG_OP = 'DELETE' THEN
        EXECUTE format('DROP FUNCTION IF EXISTS retrieval.%1$I, retrieval.%2$I', 'nearest_' || old.name || '_' || old.model, 'hybrid_' || old.name || '_' || old.model);
    ELSE
        PERFORM retrieval.face_vectors(new.name, new.model, new.distance);
        IF new.text_model IS NOT NULL THEN
            PERFORM retrieval.face_vectors(new.name, new.text_model, new.distance);
        END IF;
    END IF;
    RETURN NULL;
END
$_$;

COMMENT ON FUNCTION retrieval.write_nearest() IS 'Keeps retrieval.nearest_ and hybrid_<collection>_<model> in step with the collections.';

CREATE TABLE retrieval.image (
    id bigint NOT NULL,
    collection text NOT NULL,
    image_id text NOT NULL,
    uri text NOT NULL,
    etag text,
    size bigint,
    last_modified timestamp with time zone,
    sha256 text,
    width integer,
    height integer,
    format text,
    resampled_uri text,
    group_id text,
    intra_id text,
    caption text,
    attributes jsonb DEFAULT '{}'::jsonb NOT NULL,
    first_seen timestamp with time zone DEFAULT now() NOT NULL,
    updated timestamp with time zone DEFAULT now() NOT NULL,
    deleted timestamp with time zone,
    mode text,
    phash bigint,
    captured_at timestamp without time zone,
    about jsonb,
    colours text[],
    sharpness real,
    complexity real,
    told text,
    words tsvector GENERATED ALWAYS AS (retrieval.words_of_both(caption, told)) STORED
)
WITH (fillfactor='30');

COMMENT ON TABLE retrieval.image IS 'Every object that a listing has found in a collection''s source.';

COMMENT ON COLUMN retrieval.image.id IS 'Joins the vector tables.';

COMMENT ON COLUMN retrieval.image.collection IS 'Collection that it belongs to.';

COMMENT ON COLUMN retrieval.image.image_id IS 'Key under the collection''s source, without its extension; a second object of that name keeps its extension.';

COMMENT ON COLUMN retrieval.image.uri IS 'Where the original lies.';

COMMENT ON COLUMN retrieval.image.etag IS 'Version of the object that this row describes; null until it was embedded.';

COMMENT ON COLUMN retrieval.image.size IS 'Bytes of the original.';

COMMENT ON COLUMN retrieval.image.last_modified IS 'When the original was written, as the object store tells.';

COMMENT ON COLUMN retrieval.image.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';

COMMENT ON COLUMN retrieval.image.width IS 'Pixels of the upright original.';

COMMENT ON COLUMN retrieval.image.height IS 'Pixels of the upright original.';

COMMENT ON COLUMN retrieval.image.format IS 'File format by content: JPEG, PNG, …';

COMMENT ON COLUMN retrieval.image.resampled_uri IS 'Where the resampled picture lies; null where none is kept.';

COMMENT ON COLUMN retrieval.image.group_id IS 'What several images show, such as a product; from the collection''s id_pattern.';

COMMENT ON COLUMN retrieval.image.intra_id IS 'Which image of its group it is; from the collection''s id_pattern.';

COMMENT ON COLUMN retrieval.image.caption IS 'What it shows, in words.';

COMMENT ON COLUMN retrieval.image.attributes IS 'Anything else that searches filter by.';

COMMENT ON COLUMN retrieval.image.first_seen IS 'When a listing first found it.';

COMMENT ON COLUMN retrieval.image.updated IS 'When this row last changed.';

COMMENT ON COLUMN retrieval.image.deleted IS 'When a listing first missed it; null while it is there.';

COMMENT ON COLUMN retrieval.image.mode IS 'Colour mode of the original: RGB, L, CMYK, …';

COMMENT ON COLUMN retrieval.image.phash IS 'Perceptual hash of 64 bits: pictures that look alike differ in few of them.';

COMMENT ON COLUMN retrieval.image.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';

COMMENT ON COLUMN retrieval.image.about IS 'What the source last said of it, caption and attributes, so that a change there is told from one that people made; null: nothing.';

COMMENT ON COLUMN retrieval.image.colours IS 'Names of its colours, the largest first: black, white, grey, red, orange, brown, yellow, green, blue, purple, pink.';

COMMENT ON COLUMN retrieval.image.sharpness IS 'Variance of the Laplacian of the resampled picture''s brightness, times 1,000: low if it is blurred.';

COMMENT ON COLUMN retrieval.image.complexity IS 'Share of the resampled picture''s pixels at an edge, 0 to 1.';

COMMENT ON COLUMN retrieval.image.told IS 'The captions of retrieval.caption that the views show, one a line; kept in step by triggers, so that words has theirs.';

COMMENT ON COLUMN retrieval.image.words IS 'The words of its captions, as searches compare them; null: it has none.';

CREATE FUNCTION retrieval.written_caption(image retrieval.image) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT c.text
    FROM retrieval.shown_captions AS s
    JOIN retrieval.caption AS c ON c.model = s.model AND c.language = s.languages[1]
    WHERE s.collection = (written_caption.image).collection AND c.image = (written_caption.image).id
      AND c.etag = (written_caption.image).etag
$$;

COMMENT ON FUNCTION retrieval.written_caption(image retrieval.image) IS 'What a captioner wrote of an image, as views show it; null: nothing.';

CREATE TABLE retrieval.duplicate (
    a bigint NOT NULL,
    b bigint NOT NULL,
    collection text NOT NULL,
    tier text NOT NULL,
    similarity double precision NOT NULL,
    CONSTRAINT duplicate_check CHECK ((a < b)),
    CONSTRAINT duplicate_tier_check CHECK ((tier = ANY (ARRAY['picture'::text, 'scene'::text])))
);

COMMENT ON TABLE retrieval.duplicate IS 'Pairs of images that show the same, of different bytes; the index upkeep keeps them.';

COMMENT ON COLUMN retrieval.duplicate.a IS 'One image, retrieval.image.id.';

COMMENT ON COLUMN retrieval.duplicate.b IS 'The other one, first seen later.';

COMMENT ON COLUMN retrieval.duplicate.collection IS 'Collection that both belong to.';

COMMENT ON COLUMN retrieval.duplicate.tier IS 'picture: their perceptual hashes say so and their vectors agree; scene: their vectors alone say so.';

COMMENT ON COLUMN retrieval.duplicate.similarity IS '1 - cosine distance of their vectors.';

CREATE TABLE retrieval.verdict (
    collection text NOT NULL,
    a text NOT NULL,
    b text NOT NULL,
    verdict text NOT NULL,
    a_sha256 text,
    b_sha256 text,
    decided_by text NOT NULL,
    decided_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT verdict_check CHECK ((a < (b COLLATE "C"))),
    CONSTRAINT verdict_verdict_check CHECK ((verdict = ANY (ARRAY['duplicate'::text, 'different'::text])))
);

COMMENT ON TABLE retrieval.verdict IS 'What people say of two images. It holds as long as both have the bytes that they had.';

COMMENT ON COLUMN retrieval.verdict.collection IS 'Collection that both belong to.';

COMMENT ON COLUMN retrieval.verdict.a IS 'image_id of one of them, the first in order of bytes.';

COMMENT ON COLUMN retrieval.verdict.b IS 'image_id of the other one.';

COMMENT ON COLUMN retrieval.verdict.verdict IS 'duplicate or different.';

COMMENT ON COLUMN retrieval.verdict.a_sha256 IS 'SHA-256 of the bytes that a had.';

COMMENT ON COLUMN retrieval.verdict.b_sha256 IS 'SHA-256 of the bytes that b had.';

COMMENT ON COLUMN retrieval.verdict.decided_by IS 'Who said so.';

COMMENT ON COLUMN retrieval.verdict.decided_at IS 'When.';

CREATE VIEW images.duplicates AS
 WITH pairs AS (
         SELECT 'bytes'::text AS tier,
            i.collection,
            i.first AS a,
            i.id AS b,
            (1)::double precision AS similarity
           FROM ( SELECT image.id,
                    image.collection,
                    first_value(image.id) OVER (PARTITION BY image.collection, image.sha256 ORDER BY image.id) AS first
                   FROM retrieval.image
                  WHERE ((image.deleted IS NULL) AND (image.sha256 IS NOT NULL))) i
          WHERE (i.first <> i.id)
        UNION ALL
         SELECT duplicate.tier,
            duplicate.collection,
            duplicate.a,
            duplicate.b,
            duplicate.similarity
           FROM retrieval.duplicate
        )
 SELECT p.collection,
    p.tier,
    a.image_id AS a,
    b.image_id AS b,
    a.uri AS a_path,
    b.uri AS b_path,
    p.similarity,
    images.phash_distance(a.phash, b.phash) AS bits,
    v.verdict,
    v.decided_by,
    v.decided_at
   FROM (((pairs p
     JOIN retrieval.image a ON (((a.id = p.a) AND (a.deleted IS NULL))))
     JOIN retrieval.image b ON (((b.id = p.b) AND (b.deleted IS NULL))))
     LEFT JOIN retrieval.verdict v ON (((v.collection = p.collection) AND (v.a = LEAST((a.image_id COLLATE "C"), (b.image_id COLLATE "C"))) AND (v.b = GREATEST((a.image_id COLLATE "C"), (b.image_id COLLATE "C"))) AND (NOT (ROW(v.a_sha256, v.b_sha256) IS DISTINCT FROM
        CASE
            WHEN (a.image_id < (b.image_id COLLATE "C")) THEN ROW(a.sha256, b.sha256)
            ELSE ROW(b.sha256, a.sha256)
        END)))));

COMMENT ON VIEW images.duplicates IS 'Pairs of images of a collection that are duplicates, in tiers, with people''s verdicts.';

COMMENT ON COLUMN images.duplicates.collection IS 'The collection of both images.';

COMMENT ON COLUMN images.duplicates.tier IS 'bytes: the same file; picture: the same picture in another size, quality or format; scene: the same thing, by the vectors alone.';

COMMENT ON COLUMN images.duplicates.a IS 'image_id of the older image.';

COMMENT ON COLUMN images.duplicates.b IS 'image_id of the other image.';

COMMENT ON COLUMN images.duplicates.a_path IS 'URI of the original of a.';

COMMENT ON COLUMN images.duplicates.b_path IS 'URI of the original of b.';

COMMENT ON COLUMN images.duplicates.similarity IS '1 - cosine distance of their vectors.';

COMMENT ON COLUMN images.duplicates.bits IS 'The number of bits, of 64, in which their perceptual hashes differ; null if one has none.';

COMMENT ON COLUMN images.duplicates.verdict IS 'duplicate or different, as set by images.set_verdict; else null.';

COMMENT ON COLUMN images.duplicates.decided_by IS 'Who set the verdict.';

COMMENT ON COLUMN images.duplicates.decided_at IS 'When the verdict was set.';

CREATE TABLE retrieval.caption (
    image bigint NOT NULL,
    model text NOT NULL,
    language text NOT NULL,
    etag text NOT NULL,
    digest text NOT NULL,
    text text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT caption_text_check CHECK ((text ~ '[^[:space:]]'::text))
);

COMMENT ON TABLE retrieval.caption IS 'Captions that models wrote. What a person or the source says of an image is retrieval.image.caption, which wins.';

COMMENT ON COLUMN retrieval.caption.image IS 'Image, retrieval.image.id.';

COMMENT ON COLUMN retrieval.caption.model IS 'Name of the captioner in collections.yaml.';

COMMENT ON COLUMN retrieval.caption.language IS 'Language of the text, such as en or zh.';

COMMENT ON COLUMN retrieval.caption.etag IS 'Version of the object that the caption was made of.';

COMMENT ON COLUMN retrieval.caption.digest IS 'Over the files of the captioner, or over the address and model of an endpoint, and over prompt and longest output.';

COMMENT ON COLUMN retrieval.caption.text IS 'The caption.';

COMMENT ON COLUMN retrieval.caption.created_at IS 'When it was written.';

CREATE TABLE retrieval.shown_captions (
    collection text NOT NULL,
    model text NOT NULL,
    languages text[] NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT shown_captions_languages_check CHECK ((cardinality(languages) > 0))
);

COMMENT ON TABLE retrieval.shown_captions IS 'Whose captions the views of a collection show. Another captioner takes over once it has captioned all images.';

COMMENT ON COLUMN retrieval.shown_captions.collection IS 'Name of the collection.';

COMMENT ON COLUMN retrieval.shown_captions.model IS 'Name of the captioner.';

COMMENT ON COLUMN retrieval.shown_captions.languages IS 'Its languages; the column caption shows the first.';

COMMENT ON COLUMN retrieval.shown_captions.updated_at IS 'When that last changed.';

CREATE TABLE retrieval.vector_things_random (
    id bigint NOT NULL,
    etag text NOT NULL,
    embedding public.halfvec(3) NOT NULL,
    digest bigint
);
ALTER TABLE ONLY retrieval.vector_things_random ALTER COLUMN embedding SET STORAGE PLAIN;

CREATE VIEW images.things AS
 SELECT i.image_id,
    i.uri AS image_path,
    i.resampled_uri AS resampled_image_path,
    v.embedding,
    i.group_id,
    i.intra_id,
    COALESCE(i.caption, ( SELECT c.text
           FROM (retrieval.shown_captions s
             JOIN retrieval.caption c ON (((c.model = s.model) AND (c.language = s.languages[1]))))
          WHERE ((s.collection = i.collection) AND (c.image = i.id) AND (c.etag = i.etag)))) AS caption,
    i.width,
    i.height,
    i.format,
    i.attributes,
    i.first_seen AS created_at,
    i.updated AS updated_at,
    i.captured_at,
    i.sha256,
    i.phash,
    ((i.width)::real / (NULLIF(i.height, 0))::double precision) AS aspect,
        CASE
            WHEN (i.width > i.height) THEN 'landscape'::text
            WHEN (i.width < i.height) THEN 'portrait'::text
            WHEN (i.width = i.height) THEN 'square'::text
            ELSE NULL::text
        END AS orientation,
    i.colours,
    i.sharpness,
    i.complexity,
    i.words,
    ( SELECT jsonb_object_agg(c.language, c.text) AS jsonb_object_agg
           FROM (retrieval.shown_captions s
             JOIN retrieval.caption c ON (((c.model = s.model) AND (c.language = ANY (s.languages)))))
          WHERE ((s.collection = i.collection) AND (c.image = i.id) AND (c.etag = i.etag))) AS captions
   FROM (retrieval.vector_things_random v
     JOIN retrieval.image i ON ((i.id = v.id)))
  WHERE (i.deleted IS NULL);

COMMENT ON VIEW images.things IS 'The searchable images of this collection.';

COMMENT ON COLUMN images.things.image_id IS 'Key under the collection''s source, without its extension.';

COMMENT ON COLUMN images.things.image_path IS 'Where the original lies.';

COMMENT ON COLUMN images.things.resampled_image_path IS 'Where the resampled picture lies; null where none is kept.';

COMMENT ON COLUMN images.things.embedding IS 'Vector of length 1; compare with <=> (cosine distance).';

COMMENT ON COLUMN images.things.group_id IS 'What several images show, such as a product.';

COMMENT ON COLUMN images.things.intra_id IS 'Which image of its group it is.';

COMMENT ON COLUMN images.things.caption IS 'What it shows, in words: what a person or the source says, else what a model wrote.';

COMMENT ON COLUMN images.things.width IS 'Pixels of the upright original.';

COMMENT ON COLUMN images.things.height IS 'Pixels of the upright original.';

COMMENT ON COLUMN images.things.format IS 'File format by content.';

COMMENT ON COLUMN images.things.attributes IS 'Anything else to filter by.';

COMMENT ON COLUMN images.things.created_at IS 'When a listing first found it.';

COMMENT ON COLUMN images.things.updated_at IS 'When its row last changed.';

COMMENT ON COLUMN images.things.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';

COMMENT ON COLUMN images.things.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';

COMMENT ON COLUMN images.things.phash IS 'Perceptual hash of 64 bits; compare with images.phash_distance.';

COMMENT ON COLUMN images.things.aspect IS 'Width over height.';

COMMENT ON COLUMN images.things.orientation IS 'landscape, portrait or square.';

COMMENT ON COLUMN images.things.colours IS 'Names of its colours, the largest first.';

COMMENT ON COLUMN images.things.sharpness IS 'Low if it is blurred, as the model reads it.';

COMMENT ON COLUMN images.things.complexity IS 'Share of pixels at an edge, 0 to 1, as the model reads it.';

COMMENT ON COLUMN images.things.words IS 'Words of caption and captions; compare with @@ retrieval.words_query.';

COMMENT ON COLUMN images.things.captions IS 'What a model wrote, by language: {"en": …, "zh": …}; null: nothing.';

CREATE TABLE retrieval.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE retrieval.calibration (
    collection text NOT NULL,
    model text NOT NULL,
    direction text NOT NULL,
    slope double precision,
    middle double precision,
    reason text,
    rate double precision NOT NULL,
    vectors bigint NOT NULL,
    sampled integer NOT NULL,
    probes integer NOT NULL,
    phrases integer,
    fitted_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT calibration_check CHECK ((((slope IS NULL) = (middle IS NULL)) AND ((slope IS NULL) = (reason IS NOT NULL)))),
    CONSTRAINT calibration_direction_check CHECK ((direction = ANY (ARRAY['image_image'::text, 'text_image_en'::text, 'text_image_zh'::text]))),
    CONSTRAINT calibration_middle_check CHECK (((middle > '-Infinity'::double precision) AND (middle < 'Infinity'::double precision))),
    CONSTRAINT calibration_rate_check CHECK (((rate > (0)::double precision) AND (rate < (1)::double precision))),
    CONSTRAINT calibration_slope_check CHECK (((slope > (0)::double precision) AND (slope < 'Infinity'::double precision)))
);

COMMENT ON TABLE retrieval.calibration IS 'How a cosine becomes a score of 0 to 1, fitted on a collection''s own vectors; a calibration that the model brings comes first.';

COMMENT ON COLUMN retrieval.calibration.collection IS 'Collection whose vectors it was fitted on.';

COMMENT ON COLUMN retrieval.calibration.model IS 'Model that made them.';

COMMENT ON COLUMN retrieval.calibration.direction IS 'What is searched by: pictures, English texts or Chinese ones.';

COMMENT ON COLUMN retrieval.calibration.slope IS 'Steepness of the logistic function at its middle; null where none could be fitted.';

COMMENT ON COLUMN retrieval.calibration.middle IS 'Cosine whose score is 0.5, the default cutoff; null where none could be fitted.';

COMMENT ON COLUMN retrieval.calibration.reason IS 'Why none could be fitted; null where one was.';

COMMENT ON COLUMN retrieval.calibration.rate IS 'Results by chance, per search, that the middle was aimed at; copies and named things may have moved it.';

COMMENT ON COLUMN retrieval.calibration.vectors IS 'Vectors of the collection at the time.';

COMMENT ON COLUMN retrieval.calibration.sampled IS 'Vectors of them that were compared.';

COMMENT ON COLUMN retrieval.calibration.probes IS 'Altered copies of pictures, or phrases, that were compared with them.';

COMMENT ON COLUMN retrieval.calibration.phrases IS 'Version of the list of phrases; null for pictures.';

COMMENT ON COLUMN retrieval.calibration.fitted_at IS 'When it was fitted.';

CREATE TABLE retrieval.compared (
    id bigint NOT NULL,
    model text NOT NULL,
    etag text NOT NULL,
    digest bigint,
    similarity double precision NOT NULL
);

COMMENT ON TABLE retrieval.compared IS 'Images whose duplicates were looked for, and what was compared; the others are still to come.';

COMMENT ON COLUMN retrieval.compared.id IS 'Image, retrieval.image.id.';

COMMENT ON COLUMN retrieval.compared.model IS 'Model whose vectors were compared.';

COMMENT ON COLUMN retrieval.compared.etag IS 'Version of the object that its vector was made of.';

COMMENT ON COLUMN retrieval.compared.digest IS 'Digest of that vector.';

COMMENT ON COLUMN retrieval.compared.similarity IS 'Similarity from which on two images counted as the same scene.';

CREATE TABLE retrieval.filter_index (
    name text NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE retrieval.filter_index IS 'Indexes on retrieval.image that the upkeep made for filters of one collection, which their condition names.';

COMMENT ON COLUMN retrieval.filter_index.name IS 'Name of the index; noted before it is made, and forgotten after it is dropped.';

COMMENT ON COLUMN retrieval.filter_index.made_at IS 'When it was begun.';

CREATE TABLE retrieval.filter_use (
    collection text NOT NULL,
    kind text NOT NULL,
    subject text NOT NULL,
    uses bigint NOT NULL,
    slow bigint NOT NULL,
    seconds double precision NOT NULL,
    used_at timestamp with time zone DEFAULT now() NOT NULL,
    halved_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT filter_use_kind_check CHECK ((kind = ANY (ARRAY['column'::text, 'attribute'::text, 'attribute_range'::text])))
);

COMMENT ON TABLE retrieval.filter_use IS 'What searches of the service, the client and the command line have filtered by; the upkeep proposes indexes by it.';

COMMENT ON COLUMN retrieval.filter_use.collection IS 'Collection that was searched.';

COMMENT ON COLUMN retrieval.filter_use.kind IS 'column, attribute: a value or one of a list, or attribute_range: a range of numbers.';

COMMENT ON COLUMN retrieval.filter_use.subject IS 'Name of the column or of the attribute.';

COMMENT ON COLUMN retrieval.filter_use.uses IS 'Searches whose filter named it; halved once a day, as are slow and seconds.';

COMMENT ON COLUMN retrieval.filter_use.slow IS 'Those of them that took long.';

COMMENT ON COLUMN retrieval.filter_use.seconds IS 'How long all of them took, together.';

COMMENT ON COLUMN retrieval.filter_use.used_at IS 'When the last of them was.';

COMMENT ON COLUMN retrieval.filter_use.halved_at IS 'When the upkeep last halved its numbers.';

CREATE TABLE retrieval.hint (
    collection text NOT NULL,
    uri text NOT NULL,
    received timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    times bigint DEFAULT 1 NOT NULL
);

COMMENT ON TABLE retrieval.hint IS 'Objects that may have changed, as events and polls tell. The next run looks at each and forgets it; the scheduled listing finds whatever no hint told.';

COMMENT ON COLUMN retrieval.hint.collection IS 'Collection whose source holds the object.';

COMMENT ON COLUMN retrieval.hint.uri IS 'The object. Whether it was written or deleted is asked of the store.';

COMMENT ON COLUMN retrieval.hint.received IS 'When the first hint of it came.';

COMMENT ON COLUMN retrieval.hint.times IS 'How often it was hinted; a run forgets it unless it was hinted again meanwhile.';

ALTER TABLE retrieval.image ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME retrieval.image_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE VIEW retrieval.images_things_random AS
 SELECT i.image_id,
    i.uri AS image_path,
    i.resampled_uri AS resampled_image_path,
    v.embedding,
    i.group_id,
    i.intra_id,
    COALESCE(i.caption, ( SELECT c.text
           FROM (retrieval.shown_captions s
             JOIN retrieval.caption c ON (((c.model = s.model) AND (c.language = s.languages[1]))))
          WHERE ((s.collection = i.collection) AND (c.image = i.id) AND (c.etag = i.etag)))) AS caption,
    i.width,
    i.height,
    i.format,
    i.attributes,
    i.first_seen AS created_at,
    i.updated AS updated_at,
    i.captured_at,
    i.sha256,
    i.phash,
    ((i.width)::real / (NULLIF(i.height, 0))::double precision) AS aspect,
        CASE
            WHEN (i.width > i.height) THEN 'landscape'::text
            WHEN (i.width < i.height) THEN 'portrait'::text
            WHEN (i.width = i.height) THEN 'square'::text
            ELSE NULL::text
        END AS orientation,
    i.colours,
    i.sharpness,
    i.complexity,
    i.words,
    ( SELECT jsonb_object_agg(c.language, c.text) AS jsonb_object_agg
           FROM (retrieval.shown_captions s
             JOIN retrieval.caption c ON (((c.model = s.model) AND (c.language = ANY (s.languages)))))
          WHERE ((s.collection = i.collection) AND (c.image = i.id) AND (c.etag = i.etag))) AS captions
   FROM (retrieval.vector_things_random v
     JOIN retrieval.image i ON ((i.id = v.id)))
  WHERE (i.deleted IS NULL);

COMMENT ON VIEW retrieval.images_things_random IS 'What images.<collection> shows, has shown or will show, of one model.';

COMMENT ON COLUMN retrieval.images_things_random.image_id IS 'Key under the collection''s source, without its extension.';

COMMENT ON COLUMN retrieval.images_things_random.image_path IS 'Where the original lies.';

COMMENT ON COLUMN retrieval.images_things_random.resampled_image_path IS 'Where the resampled picture lies; null where none is kept.';

COMMENT ON COLUMN retrieval.images_things_random.embedding IS 'Vector of length 1; compare with <=> (cosine distance).';

COMMENT ON COLUMN retrieval.images_things_random.group_id IS 'What several images show, such as a product.';

COMMENT ON COLUMN retrieval.images_things_random.intra_id IS 'Which image of its group it is.';

COMMENT ON COLUMN retrieval.images_things_random.caption IS 'What it shows, in words: what a person or the source says, else what a model wrote.';

COMMENT ON COLUMN retrieval.images_things_random.width IS 'Pixels of the upright original.';

COMMENT ON COLUMN retrieval.images_things_random.height IS 'Pixels of the upright original.';

COMMENT ON COLUMN retrieval.images_things_random.format IS 'File format by content.';

COMMENT ON COLUMN retrieval.images_things_random.attributes IS 'Anything else to filter by.';

COMMENT ON COLUMN retrieval.images_things_random.created_at IS 'When a listing first found it.';

COMMENT ON COLUMN retrieval.images_things_random.updated_at IS 'When its row last changed.';

COMMENT ON COLUMN retrieval.images_things_random.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';

COMMENT ON COLUMN retrieval.images_things_random.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';

COMMENT ON COLUMN retrieval.images_things_random.phash IS 'Perceptual hash of 64 bits; compare with images.phash_distance.';

COMMENT ON COLUMN retrieval.images_things_random.aspect IS 'Width over height.';

COMMENT ON COLUMN retrieval.images_things_random.orientation IS 'landscape, portrait or square.';

COMMENT ON COLUMN retrieval.images_things_random.colours IS 'Names of its colours, the largest first.';

COMMENT ON COLUMN retrieval.images_things_random.sharpness IS 'Low if it is blurred, as the model reads it.';

COMMENT ON COLUMN retrieval.images_things_random.complexity IS 'Share of pixels at an edge, 0 to 1, as the model reads it.';

COMMENT ON COLUMN retrieval.images_things_random.words IS 'Words of caption and captions; compare with @@ retrieval.words_query.';

COMMENT ON COLUMN retrieval.images_things_random.captions IS 'What a model wrote, by language: {"en": …, "zh": …}; null: nothing.';

CREATE TABLE retrieval.listed_part (
    collection text NOT NULL,
    run_id text NOT NULL,
    number integer NOT NULL,
    declared text NOT NULL,
    up_to text NOT NULL,
    listed bigint NOT NULL,
    rows jsonb NOT NULL,
    missing jsonb NOT NULL,
    refused jsonb NOT NULL,
    began timestamp with time zone NOT NULL,
    saved timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

COMMENT ON TABLE retrieval.listed_part IS 'What a run under way has listed and compared, so that its next try goes on behind it if this one is killed.';

COMMENT ON COLUMN retrieval.listed_part.collection IS 'Collection whose source is listed.';

COMMENT ON COLUMN retrieval.listed_part.run_id IS 'Run that lists it.';

COMMENT ON COLUMN retrieval.listed_part.number IS 'Place among the parts, in the order of the URIs.';

COMMENT ON COLUMN retrieval.listed_part.declared IS 'Digest of the collection''s entry: parts under another one do not count.';

COMMENT ON COLUMN retrieval.listed_part.up_to IS 'Last URI of the part.';

COMMENT ON COLUMN retrieval.listed_part.listed IS 'Number of images that the part lists.';

COMMENT ON COLUMN retrieval.listed_part.rows IS 'Objects that the table did not know as they are.';

COMMENT ON COLUMN retrieval.listed_part.missing IS 'Known URIs that were not listed.';

COMMENT ON COLUMN retrieval.listed_part.refused IS 'Objects whose names no table can hold.';

COMMENT ON COLUMN retrieval.listed_part.began IS 'When the transaction of the listing began.';

COMMENT ON COLUMN retrieval.listed_part.saved IS 'When the part was saved.';

CREATE TABLE retrieval.made_collection (
    name text NOT NULL,
    definition jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT made_collection_name_check CHECK ((name ~ '^[a-z][a-z0-9_]*$'::text))
);

COMMENT ON TABLE retrieval.made_collection IS 'Collections made through the API; those of collections.yaml are not among them.';

COMMENT ON COLUMN retrieval.made_collection.name IS 'Name of the collection.';

COMMENT ON COLUMN retrieval.made_collection.definition IS 'What an entry of collections.yaml would hold, every default filled in.';

COMMENT ON COLUMN retrieval.made_collection.created_at IS 'When it was made.';

CREATE TABLE retrieval.map (
    collection text NOT NULL,
    model text NOT NULL,
    images bigint NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE retrieval.map IS 'The map of each collection: its images in the plane, those that are alike side by side.';

COMMENT ON COLUMN retrieval.map.collection IS 'Collection that it shows.';

COMMENT ON COLUMN retrieval.map.model IS 'Model whose vectors were laid out.';

COMMENT ON COLUMN retrieval.map.images IS 'Images that it was made of; later ones were placed among them.';

COMMENT ON COLUMN retrieval.map.made_at IS 'When all of it was last laid out.';

CREATE TABLE retrieval.map_cluster (
    collection text NOT NULL,
    number integer NOT NULL,
    level integer NOT NULL,
    parent integer,
    x real NOT NULL,
    y real NOT NULL,
    images bigint DEFAULT 0 NOT NULL,
    typical bigint,
    words text[] DEFAULT '{}'::text[] NOT NULL
);

COMMENT ON TABLE retrieval.map_cluster IS 'The clusters of each map, at up to three levels.';

COMMENT ON COLUMN retrieval.map_cluster.collection IS 'Collection whose map it is on.';

COMMENT ON COLUMN retrieval.map_cluster.number IS 'Number of the cluster on its map.';

COMMENT ON COLUMN retrieval.map_cluster.level IS '1 for the largest clusters; those of the next level are parts of them.';

COMMENT ON COLUMN retrieval.map_cluster.parent IS 'Number of the cluster that it is a part of; null on level 1.';

COMMENT ON COLUMN retrieval.map_cluster.x IS 'Its middle, as in retrieval.map_place.';

COMMENT ON COLUMN retrieval.map_cluster.y IS 'Its middle, as in retrieval.map_place.';

COMMENT ON COLUMN retrieval.map_cluster.images IS 'Images in it, as the upkeep last counted them.';

COMMENT ON COLUMN retrieval.map_cluster.typical IS 'The image whose vector is nearest to their mean; null once it was removed.';

COMMENT ON COLUMN retrieval.map_cluster.words IS 'Words of captions that are more frequent in it than elsewhere.';

CREATE TABLE retrieval.map_place (
    image bigint NOT NULL,
    x real NOT NULL,
    y real NOT NULL,
    cluster integer NOT NULL,
    anchor boolean NOT NULL,
    late boolean NOT NULL,
    etag text NOT NULL,
    CONSTRAINT map_place_x_check CHECK (((x >= (0)::double precision) AND (x <= (1)::double precision))),
    CONSTRAINT map_place_y_check CHECK (((y >= (0)::double precision) AND (y <= (1)::double precision)))
);

COMMENT ON TABLE retrieval.map_place IS 'Where each image lies on the map of its collection.';

COMMENT ON COLUMN retrieval.map_place.image IS 'Image, retrieval.image.id.';

COMMENT ON COLUMN retrieval.map_place.x IS 'From 0, left, to 1.';

COMMENT ON COLUMN retrieval.map_place.y IS 'From 0, top, to 1.';

COMMENT ON COLUMN retrieval.map_place.cluster IS 'The smallest cluster that it lies in, retrieval.map_cluster.number.';

COMMENT ON COLUMN retrieval.map_place.anchor IS 'Whether it was laid out itself; the others lie among their nearest anchors.';

COMMENT ON COLUMN retrieval.map_place.late IS 'Whether it was placed after the map was made: new or changed since.';

COMMENT ON COLUMN retrieval.map_place.etag IS 'Version of the object whose vector was placed.';

CREATE VIEW retrieval.matching_things_random AS
 SELECT id,
    image_id,
    uri AS image_path,
    resampled_uri AS resampled_image_path,
    group_id,
    intra_id,
    COALESCE(caption, ( SELECT c.text
           FROM (retrieval.shown_captions s
             JOIN retrieval.caption c ON (((c.model = s.model) AND (c.language = s.languages[1]))))
          WHERE ((s.collection = i.collection) AND (c.image = i.id) AND (c.etag = i.etag)))) AS caption,
    width,
    height,
    format,
    attributes,
    first_seen AS created_at,
    updated AS updated_at,
    captured_at,
    sha256,
    phash,
    ((width)::real / (NULLIF(height, 0))::double precision) AS aspect,
        CASE
            WHEN (width > height) THEN 'landscape'::text
            WHEN (width < height) THEN 'portrait'::text
            WHEN (width = height) THEN 'square'::text
            ELSE NULL::text
        END AS orientation,
    colours,
    sharpness,
    complexity,
    words,
    ( SELECT jsonb_object_agg(c.language, c.text) AS jsonb_object_agg
           FROM (retrieval.shown_captions s
             JOIN retrieval.caption c ON (((c.model = s.model) AND (c.language = ANY (s.languages)))))
          WHERE ((s.collection = i.collection) AND (c.image = i.id) AND (c.etag = i.etag))) AS captions
   FROM retrieval.image i
  WHERE ((collection = 'things'::text) AND (deleted IS NULL));

COMMENT ON VIEW retrieval.matching_things_random IS 'What filters ask of the images of one collection, with or without a vector.';

COMMENT ON COLUMN retrieval.matching_things_random.id IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.image_id IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.image_path IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.resampled_image_path IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.group_id IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.intra_id IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.caption IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.width IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.height IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.format IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.attributes IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.created_at IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.updated_at IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.captured_at IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.sha256 IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.phash IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.aspect IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.orientation IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.colours IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.sharpness IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.complexity IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.words IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.matching_things_random.captions IS 'As in retrieval.image, or in the view of the collection.';

CREATE TABLE retrieval.model (
    name text NOT NULL,
    source text NOT NULL,
    revision text,
    family text NOT NULL,
    dimensions integer NOT NULL,
    use_cls_token boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    dtype text,
    digest text,
    calibration jsonb,
    CONSTRAINT model_dimensions_check CHECK (((dimensions >= 1) AND (dimensions <= 4000)))
);

COMMENT ON TABLE retrieval.model IS 'Models that have made vectors. A name never changes its source: its vectors would not compare.';

COMMENT ON COLUMN retrieval.model.name IS 'Name from collections.yaml; part of the vector tables'' names.';

COMMENT ON COLUMN retrieval.model.source IS 'Folder, hub id or s3:// prefix that it was loaded from.';

COMMENT ON COLUMN retrieval.model.revision IS 'Commit of the hub id, where one was pinned.';

COMMENT ON COLUMN retrieval.model.family IS 'vision_transformer, pooled_backbone (both images only), dual_encoder (images and text) or text_encoder (captions).';

COMMENT ON COLUMN retrieval.model.dimensions IS 'Length of its vectors, in components.';

COMMENT ON COLUMN retrieval.model.use_cls_token IS 'Vision transformers: the class token was taken, else the mean of the patch tokens.';

COMMENT ON COLUMN retrieval.model.created_at IS 'When it was first used.';

COMMENT ON COLUMN retrieval.model.dtype IS 'Precision stated for it; auto: float32, or what agrees with that; null where nothing was listed since version 4.';

COMMENT ON COLUMN retrieval.model.digest IS 'SHA-256 over its weights, config and preprocessor files; null until the first shard is in the table.';

COMMENT ON COLUMN retrieval.model.calibration IS 'Per direction (image_image, text_image_en, text_image_zh) how a cosine becomes a score of 0 to 1; null where the model brings none.';

CREATE TABLE retrieval.pending (
    collection text NOT NULL,
    uri text NOT NULL,
    kind text NOT NULL,
    sha256 text,
    former_uri text,
    etag text,
    last_modified timestamp with time zone,
    since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT pending_kind_check CHECK ((kind = ANY (ARRAY['write'::text, 'delete'::text, 'empty'::text])))
);

COMMENT ON TABLE retrieval.pending IS 'Changes of the object store that belong to a transaction. Whoever next has the collection''s lock finds those that were broken off, and carries them out or takes them back.';

COMMENT ON COLUMN retrieval.pending.collection IS 'Collection that it belongs to; it may have been dropped.';

COMMENT ON COLUMN retrieval.pending.uri IS 'Object, or folder that ends in /.';

COMMENT ON COLUMN retrieval.pending.kind IS 'write: an object is being written, and is taken back; delete: an object, empty: a folder, is to go.';

COMMENT ON COLUMN retrieval.pending.sha256 IS 'SHA-256 of the bytes that are being written, in hexadecimal.';

COMMENT ON COLUMN retrieval.pending.former_uri IS 'Copy of what lay there before; it exists before the object is touched.';

COMMENT ON COLUMN retrieval.pending.etag IS 'Version that is to go; a later one stays. Null: whatever lies there.';

COMMENT ON COLUMN retrieval.pending.last_modified IS 'When that version was written.';

COMMENT ON COLUMN retrieval.pending.since IS 'When it was announced.';

CREATE TABLE retrieval.project (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    single boolean DEFAULT true NOT NULL,
    CONSTRAINT project_single_check CHECK (single)
);

COMMENT ON TABLE retrieval.project IS 'Who this database is, to others that use the same buckets; one row.';

COMMENT ON COLUMN retrieval.project.id IS 'Written into the folders that are this project''s alone.';

COMMENT ON COLUMN retrieval.project.single IS 'Keeps a second row out.';

CREATE TABLE retrieval.query (
    model text NOT NULL,
    text text NOT NULL,
    embedding public.halfvec NOT NULL,
    uses bigint DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    used_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE retrieval.query IS 'Texts that were searched for, embedded once per model, so that SQL can search by them again.';

COMMENT ON COLUMN retrieval.query.model IS 'Model that embedded it; a name never changes its weights.';

COMMENT ON COLUMN retrieval.query.text IS 'The text as it was given.';

COMMENT ON COLUMN retrieval.query.embedding IS 'Its vector, of length 1, in half precision.';

COMMENT ON COLUMN retrieval.query.uses IS 'How often a service fetched or made it; what a service answered out of its own memory is not counted.';

COMMENT ON COLUMN retrieval.query.created_at IS 'When it was embedded.';

COMMENT ON COLUMN retrieval.query.used_at IS 'When a service last fetched or made it.';

CREATE TABLE retrieval.recall (
    collection text NOT NULL,
    model text NOT NULL,
    measured_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    ef_search integer NOT NULL,
    rows bigint NOT NULL,
    queries integer NOT NULL,
    recall double precision NOT NULL,
    target double precision NOT NULL
);

COMMENT ON TABLE retrieval.recall IS 'How many of the 10 nearest images searches through the index found, over time.';

COMMENT ON COLUMN retrieval.recall.collection IS 'Collection that was searched.';

COMMENT ON COLUMN retrieval.recall.model IS 'Model whose vectors it showed.';

COMMENT ON COLUMN retrieval.recall.measured_at IS 'When it was measured.';

COMMENT ON COLUMN retrieval.recall.ef_search IS 'ef_search that it was measured with.';

COMMENT ON COLUMN retrieval.recall.rows IS 'Vectors that were there.';

COMMENT ON COLUMN retrieval.recall.queries IS 'Queries that were asked.';

COMMENT ON COLUMN retrieval.recall.recall IS 'Share of the exact answers'' 10 images that the index found, too.';

COMMENT ON COLUMN retrieval.recall.target IS 'What the collection wants of it.';

CREATE TABLE retrieval.rejected (
    collection text NOT NULL,
    uri text NOT NULL,
    etag text NOT NULL,
    stage text NOT NULL,
    model text,
    reason text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    final boolean NOT NULL,
    run_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT rejected_stage_check CHECK ((stage = ANY (ARRAY['list'::text, 'resample'::text, 'embed'::text])))
);

COMMENT ON TABLE retrieval.rejected IS 'Objects that are not searchable, and why. One that changes is tried again by itself.';

COMMENT ON COLUMN retrieval.rejected.collection IS 'Collection that it belongs to.';

COMMENT ON COLUMN retrieval.rejected.uri IS 'Where the object lies. Of one that stage list rejected: its URI as text, with escapes, or shortened.';

COMMENT ON COLUMN retrieval.rejected.etag IS 'Version of the object that was rejected.';

COMMENT ON COLUMN retrieval.rejected.stage IS 'Stage that rejected it: list, resample or embed.';

COMMENT ON COLUMN retrieval.rejected.model IS 'Model that rejected it; null where no model can use it.';

COMMENT ON COLUMN retrieval.rejected.reason IS 'One of a closed list; docs/rejected.md explains each.';

COMMENT ON COLUMN retrieval.rejected.detail IS 'What the decoder or the store said.';

COMMENT ON COLUMN retrieval.rejected.attempts IS 'How many runs have tried this version since it was listed or queued again; 0 until the next run has.';

COMMENT ON COLUMN retrieval.rejected.final IS 'Whether it is left alone until it changes or is queued again.';

COMMENT ON COLUMN retrieval.rejected.run_id IS 'Run that tried it last.';

COMMENT ON COLUMN retrieval.rejected.created_at IS 'When it was first rejected.';

COMMENT ON COLUMN retrieval.rejected.updated_at IS 'When it was last tried.';

CREATE TABLE retrieval.run (
    collection text NOT NULL,
    run_id text NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    model text NOT NULL,
    listed bigint NOT NULL,
    new bigint NOT NULL,
    changed bigint NOT NULL,
    restored bigint NOT NULL,
    gone bigint NOT NULL,
    shards integer NOT NULL,
    left_over bigint NOT NULL,
    list_seconds double precision NOT NULL,
    index_seconds double precision,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    also text,
    switch bigint,
    rejected bigint DEFAULT 0 NOT NULL,
    captions bigint,
    captions_due bigint,
    CONSTRAINT run_state_check CHECK ((state = ANY (ARRAY['running'::text, 'success'::text, 'failed'::text])))
);

COMMENT ON TABLE retrieval.run IS 'Every run of a collection: what the listing found and how it ended.';

COMMENT ON COLUMN retrieval.run.collection IS 'Collection that it belongs to.';

COMMENT ON COLUMN retrieval.run.run_id IS 'Name of the run; the DAG run''s where Airflow ran it.';

COMMENT ON COLUMN retrieval.run.state IS 'running, success or failed.';

COMMENT ON COLUMN retrieval.run.model IS 'Model that made this run''s vectors.';

COMMENT ON COLUMN retrieval.run.listed IS 'Objects that the listing found.';

COMMENT ON COLUMN retrieval.run.new IS 'Objects without a vector, among them.';

COMMENT ON COLUMN retrieval.run.changed IS 'Objects whose bytes are not those that were embedded.';

COMMENT ON COLUMN retrieval.run.restored IS 'Objects that had been deleted and are back.';

COMMENT ON COLUMN retrieval.run.gone IS 'Objects that the listing missed and that were marked deleted.';

COMMENT ON COLUMN retrieval.run.shards IS 'Shards that this run took.';

COMMENT ON COLUMN retrieval.run.left_over IS 'Images that did not fit into this run''s shards.';

COMMENT ON COLUMN retrieval.run.list_seconds IS 'Seconds that listing and comparing took.';

COMMENT ON COLUMN retrieval.run.index_seconds IS 'Seconds that view and index took.';

COMMENT ON COLUMN retrieval.run.started_at IS 'When its listing began.';

COMMENT ON COLUMN retrieval.run.finished_at IS 'When the report was written.';

COMMENT ON COLUMN retrieval.run.also IS 'Model of a switch that was open at the listing: the second half of the shards are the first half under that model.';

COMMENT ON COLUMN retrieval.run.switch IS 'Switch that it belongs to: its images came of retrieval.image, not of a listing.';

COMMENT ON COLUMN retrieval.run.rejected IS 'Objects that the listing itself rejected, by their names; those of its shards are counted there.';

COMMENT ON COLUMN retrieval.run.captions IS 'Captions that the captioner wrote during it; null: it captioned nothing.';

COMMENT ON COLUMN retrieval.run.captions_due IS 'Images that lacked a caption at its end, and will be tried again.';

CREATE TABLE retrieval.shard (
    collection text NOT NULL,
    run_id text NOT NULL,
    shard integer NOT NULL,
    images integer NOT NULL,
    resampled integer NOT NULL,
    embedded integer NOT NULL,
    upserted integer NOT NULL,
    rejected integer NOT NULL,
    resample_seconds double precision NOT NULL,
    embed_seconds double precision NOT NULL,
    upsert_seconds double precision NOT NULL,
    finished_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE retrieval.shard IS 'Shards that are in the table, written in the same transaction as their vectors.';

COMMENT ON COLUMN retrieval.shard.collection IS 'Collection of the run.';

COMMENT ON COLUMN retrieval.shard.run_id IS 'Run that the shard belongs to.';

COMMENT ON COLUMN retrieval.shard.shard IS 'Number of the shard in its run, from 0.';

COMMENT ON COLUMN retrieval.shard.images IS 'Images of its manifest.';

COMMENT ON COLUMN retrieval.shard.resampled IS 'Images that were decoded and resampled.';

COMMENT ON COLUMN retrieval.shard.embedded IS 'Images that the model made a vector of.';

COMMENT ON COLUMN retrieval.shard.upserted IS 'Vectors written: those that were not there, or were others.';

COMMENT ON COLUMN retrieval.shard.rejected IS 'Images that went to retrieval.rejected.';

COMMENT ON COLUMN retrieval.shard.resample_seconds IS 'Seconds that the stage took.';

COMMENT ON COLUMN retrieval.shard.embed_seconds IS 'Seconds that the stage took, without starting its process.';

COMMENT ON COLUMN retrieval.shard.upsert_seconds IS 'Seconds that the stage took.';

COMMENT ON COLUMN retrieval.shard.finished_at IS 'When it was written.';

CREATE TABLE retrieval.switch (
    id bigint NOT NULL,
    collection text NOT NULL,
    from_model text NOT NULL,
    to_model text NOT NULL,
    state text NOT NULL,
    checks jsonb,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT switch_check CHECK ((to_model <> from_model)),
    CONSTRAINT switch_check1 CHECK (((state = 'open'::text) = (ended_at IS NULL))),
    CONSTRAINT switch_state_check CHECK ((state = ANY (ARRAY['open'::text, 'switched'::text, 'rolled_back'::text, 'given_up'::text])))
);

COMMENT ON TABLE retrieval.switch IS 'Switches of a collection from one model to another; while one is open, runs feed both tables.';

COMMENT ON COLUMN retrieval.switch.id IS 'In order of time.';

COMMENT ON COLUMN retrieval.switch.collection IS 'Collection that is switched.';

COMMENT ON COLUMN retrieval.switch.from_model IS 'Model that its view showed, and that a rollback goes back to.';

COMMENT ON COLUMN retrieval.switch.to_model IS 'Model that its view shows once it is switched.';

COMMENT ON COLUMN retrieval.switch.state IS 'open; switched; rolled_back: was switched and is not any more; given_up: never was.';

COMMENT ON COLUMN retrieval.switch.checks IS 'Figures of both models, side by side, as last measured.';

COMMENT ON COLUMN retrieval.switch.started_at IS 'When it began.';

COMMENT ON COLUMN retrieval.switch.ended_at IS 'When it came to its state; the vectors that are not shown are kept for a while from then on.';

ALTER TABLE retrieval.switch ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME retrieval.switch_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE retrieval.tar (
    collection text NOT NULL,
    uri text NOT NULL,
    etag text DEFAULT ''::text NOT NULL,
    seen text NOT NULL,
    last_modified timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    names text[] DEFAULT '{}'::text[] NOT NULL,
    offsets bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    sizes bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    abouts text[] DEFAULT '{}'::text[] NOT NULL,
    faults jsonb DEFAULT '[]'::jsonb NOT NULL,
    reason text,
    detail text
);

COMMENT ON TABLE retrieval.tar IS 'What the tars of a source hold, so that one that did not change is not read again.';

COMMENT ON COLUMN retrieval.tar.collection IS 'Collection whose source lists the tar, or members of it.';

COMMENT ON COLUMN retrieval.tar.uri IS 'The tar.';

COMMENT ON COLUMN retrieval.tar.etag IS 'The version that names, offsets, sizes and abouts are of; empty before one could be read.';

COMMENT ON COLUMN retrieval.tar.seen IS 'The version that was read last; another one than etag could not be read to its end.';

COMMENT ON COLUMN retrieval.tar.last_modified IS 'When the version etag was written.';

COMMENT ON COLUMN retrieval.tar.names IS 'Its files, without those that describe others.';

COMMENT ON COLUMN retrieval.tar.offsets IS 'Where the bytes of each begin.';

COMMENT ON COLUMN retrieval.tar.sizes IS 'How many bytes each has.';

COMMENT ON COLUMN retrieval.tar.abouts IS 'What the files beside each say of it, as JSON; null: nothing.';

COMMENT ON COLUMN retrieval.tar.faults IS 'Members that cannot be used: name, reason and detail of each.';

COMMENT ON COLUMN retrieval.tar.reason IS 'Why the version seen could not be read; null: it could.';

COMMENT ON COLUMN retrieval.tar.detail IS 'The same in words.';

CREATE TABLE retrieval.training (
    name text NOT NULL,
    source text NOT NULL,
    method text NOT NULL,
    start text NOT NULL,
    against text NOT NULL,
    settings jsonb NOT NULL,
    pack text NOT NULL,
    model text NOT NULL,
    state text DEFAULT 'packing'::text NOT NULL,
    reason text,
    figures jsonb,
    gate jsonb,
    decision text,
    run_id text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT training_decision_check CHECK ((decision = ANY (ARRAY['approved'::text, 'rejected'::text]))),
    CONSTRAINT training_state_check CHECK ((state = ANY (ARRAY['packing'::text, 'training'::text, 'gating'::text, 'passed'::text, 'undecided'::text, 'refused'::text, 'collapsed'::text, 'failed'::text])))
);

COMMENT ON TABLE retrieval.training IS 'Trainings of models on one''s own images: what each learns from, its state, and what came of it.';

COMMENT ON COLUMN retrieval.training.name IS 'Name of the model that it makes.';

COMMENT ON COLUMN retrieval.training.source IS 'What it learns from: a collection, or the URI of an index file.';

COMMENT ON COLUMN retrieval.training.method IS 'What it learns by: continue, moco, moby, swav, pairs or text.';

COMMENT ON COLUMN retrieval.training.start IS 'Model that it goes on from, or random.';

COMMENT ON COLUMN retrieval.training.against IS 'Model that it is judged against.';

COMMENT ON COLUMN retrieval.training.settings IS 'What else a person chose.';

COMMENT ON COLUMN retrieval.training.pack IS 'Folder of the packed pictures, ending in /.';

COMMENT ON COLUMN retrieval.training.model IS 'Folder of the training, ending in /, which becomes the model.';

COMMENT ON COLUMN retrieval.training.state IS 'packing, training and gating: under way. passed, undecided, refused: what the gate said. collapsed: stopped, since features became alike. failed: came to no model.';

COMMENT ON COLUMN retrieval.training.reason IS 'Why it came to its state; null while it is under way.';

COMMENT ON COLUMN retrieval.training.figures IS 'Figures of the finished training.';

COMMENT ON COLUMN retrieval.training.gate IS 'Report of the gate.';

COMMENT ON COLUMN retrieval.training.decision IS 'What a person said of the model when asked whether to switch to it; null: nobody was asked, or nobody has answered.';

COMMENT ON COLUMN retrieval.training.run_id IS 'Run of the DAG that asked for it.';

COMMENT ON COLUMN retrieval.training.started_at IS 'When it was asked for.';

COMMENT ON COLUMN retrieval.training.changed_at IS 'When its row last changed.';

CREATE TABLE retrieval.uncaptioned (
    image bigint NOT NULL,
    model text NOT NULL,
    language text NOT NULL,
    etag text NOT NULL,
    digest text NOT NULL,
    reason text NOT NULL,
    detail text DEFAULT ''::text NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    final boolean NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE retrieval.uncaptioned IS 'Images of which a captioner made no caption, and why. They are searchable all the same.';

COMMENT ON COLUMN retrieval.uncaptioned.image IS 'Image, retrieval.image.id.';

COMMENT ON COLUMN retrieval.uncaptioned.model IS 'Name of the captioner in collections.yaml.';

COMMENT ON COLUMN retrieval.uncaptioned.language IS 'Language that was asked for.';

COMMENT ON COLUMN retrieval.uncaptioned.etag IS 'Version of the object that was tried.';

COMMENT ON COLUMN retrieval.uncaptioned.digest IS 'As of retrieval.caption.';

COMMENT ON COLUMN retrieval.uncaptioned.reason IS 'One of a closed list; docs/captions.md explains each.';

COMMENT ON COLUMN retrieval.uncaptioned.detail IS 'What the captioner said, or what went wrong.';

COMMENT ON COLUMN retrieval.uncaptioned.attempts IS 'How often this version was tried.';

COMMENT ON COLUMN retrieval.uncaptioned.final IS 'Whether it is left alone until the image or the captioner changes.';

COMMENT ON COLUMN retrieval.uncaptioned.updated_at IS 'When it was last tried.';

CREATE TABLE retrieval.vector_index (
    vectors text NOT NULL,
    rows bigint NOT NULL,
    seconds double precision NOT NULL,
    built_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE retrieval.vector_index IS 'The index of each vector table, as it was built.';

COMMENT ON COLUMN retrieval.vector_index.vectors IS 'Name of the vector table.';

COMMENT ON COLUMN retrieval.vector_index.rows IS 'Vectors that it was built over; later ones were inserted.';

COMMENT ON COLUMN retrieval.vector_index.seconds IS 'How long that took.';

COMMENT ON COLUMN retrieval.vector_index.built_at IS 'When it was done.';

CREATE TABLE retrieval.vector_space (
    collection text NOT NULL,
    model text NOT NULL,
    vectors text GENERATED ALWAYS AS (((('vector_'::text || collection) || '_'::text) || model)) STORED NOT NULL,
    stem text GENERATED ALWAYS AS (regexp_replace(((('vector_'::text || collection) || '_'::text) || model), '(_(pkey|hnsw[12]?))+$'::text, ''::text)) STORED NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE retrieval.vector_space IS 'Which collection under which model each vector table belongs to.';

COMMENT ON COLUMN retrieval.vector_space.collection IS 'Name of the collection.';

COMMENT ON COLUMN retrieval.vector_space.model IS 'Name of the model, retrieval.model.';

COMMENT ON COLUMN retrieval.vector_space.vectors IS 'Name of the vector table, in schema retrieval.';

COMMENT ON COLUMN retrieval.vector_space.stem IS 'The table''s name without what indexes add to theirs: no two spaces share it, so neither share a table, an index or a view.';

COMMENT ON COLUMN retrieval.vector_space.created_at IS 'When the space was made, or this table, whichever is later.';

CREATE VIEW retrieval.vectors_things_random AS
 SELECT id,
    embedding
   FROM retrieval.vector_things_random v;

COMMENT ON VIEW retrieval.vectors_things_random IS 'The vectors of one collection under one model, also those of deleted images.';

COMMENT ON COLUMN retrieval.vectors_things_random.id IS 'As in retrieval.image, or in the view of the collection.';

COMMENT ON COLUMN retrieval.vectors_things_random.embedding IS 'As in retrieval.image, or in the view of the collection.';

INSERT INTO retrieval.alembic_version (version_num) VALUES ('0019');

INSERT INTO retrieval.calibration (collection, model, direction, slope, middle, reason, rate, vectors, sampled, probes, phrases, fitted_at) VALUES ('things', 'random', 'image_image', 20, 0.5, NULL, 0.01, 1, 1, 1, NULL, '2026-11-26 21:30:00.878328+00');

INSERT INTO retrieval.caption (image, model, language, etag, digest, text, created_at) VALUES (1, 'captioner', 'en', 'e1', 'd', 'two red circles', '2026-11-27 00:00:10+00');
INSERT INTO retrieval.caption (image, model, language, etag, digest, text, created_at) VALUES (1, 'captioner', 'zh', 'e1', 'd', '两个红色圆形', '2026-11-27 00:00:10+00');

INSERT INTO retrieval.collection (name, source, model, dimensions, created_at, updated_at, distance, ef_search, overrules, definition, costs, text_model, weight) VALUES ('things', 's3://images/', 'random', 3, '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00', 'cosine', 200, NULL, '{"source": "s3://images/"}', NULL, NULL, 0.5);

INSERT INTO retrieval.compared (id, model, etag, digest, similarity) VALUES (1, 'random', 'e1', -5, 0.9);

INSERT INTO retrieval.duplicate (a, b, collection, tier, similarity) VALUES (1, 2, 'things', 'scene', 0.95);

INSERT INTO retrieval.filter_index (name, made_at) VALUES ('image_filter_width_things', '2026-11-27 00:00:10+00');

INSERT INTO retrieval.filter_use (collection, kind, subject, uses, slow, seconds, used_at, halved_at) VALUES ('things', 'column', 'group_id', 3, 1, 0.5, '2026-11-27 00:00:10+00', '2026-11-27 00:00:10+00');

INSERT INTO retrieval.hint (collection, uri, received, times) VALUES ('things', 's3://images/c.jpg', '2026-11-26 00:00:10.166741+00', 2);

INSERT INTO retrieval.image (id, collection, image_id, uri, etag, size, last_modified, sha256, width, height, format, resampled_uri, group_id, intra_id, caption, attributes, first_seen, updated, deleted, mode, phash, captured_at, about, colours, sharpness, complexity, told) OVERRIDING SYSTEM VALUE VALUES (2, 'things', 'b', 's3://images/b.jpg', NULL, 9, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO retrieval.image (id, collection, image_id, uri, etag, size, last_modified, sha256, width, height, format, resampled_uri, group_id, intra_id, caption, attributes, first_seen, updated, deleted, mode, phash, captured_at, about, colours, sharpness, complexity, told) OVERRIDING SYSTEM VALUE VALUES (1, 'things', 'a', 's3://images/a.jpg', 'e1', 9, NULL, 'f00', 640, 480, 'JPEG', NULL, NULL, NULL, NULL, '{"colour": "red"}', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00', NULL, 'RGB', -7, '2026-05-04 12:30:00', NULL, NULL, NULL, NULL, 'two red circles
两个红色圆形');

INSERT INTO retrieval.listed_part (collection, run_id, number, declared, up_to, listed, rows, missing, refused, began, saved) VALUES ('things', 'broken', 0, 'd', 's3://images/a.jpg', 1, '[]', '[]', '[]', '2026-11-26 00:00:10+00', '2026-11-27 04:05:51.559794+00');

INSERT INTO retrieval.made_collection (name, definition, created_at) VALUES ('made', '{"model": {"name": "random", "source": "models/random"}, "source": "s3://images/collections/made/"}', '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.map (collection, model, images, made_at) VALUES ('things', 'random', 2, '2026-11-26 10:00:00+00');

INSERT INTO retrieval.map_cluster (collection, number, level, parent, x, y, images, typical, words) VALUES ('things', 0, 1, NULL, 0.5, 0.5, 2, 1, '{red}');

INSERT INTO retrieval.map_place (image, x, y, cluster, anchor, late, etag) VALUES (1, 0.25, 0.75, 0, true, false, 'e1');

INSERT INTO retrieval.model (name, source, revision, family, dimensions, use_cls_token, created_at, dtype, digest, calibration) VALUES ('random', 'models/random', NULL, 'vision_transformer', 3, true, '2026-11-26 00:00:10.166741+00', 'float32', 'd1', NULL);
INSERT INTO retrieval.model (name, source, revision, family, dimensions, use_cls_token, created_at, dtype, digest, calibration) VALUES ('other', 'models/other', NULL, 'vision_transformer', 3, true, '2026-11-26 00:00:10.166741+00', 'float32', NULL, NULL);

INSERT INTO retrieval.pending (collection, uri, kind, sha256, former_uri, etag, last_modified, since) VALUES ('things', 's3://image-retrieval/resampled/things/z_resample.png', 'delete', NULL, NULL, 'e9', NULL, '2026-11-26 00:00:10.492472+00');

INSERT INTO retrieval.project (id, single) VALUES ('9f082f4c-7eed-4a7e-aec9-54b71f588e66', true);

INSERT INTO retrieval.query (model, text, embedding, uses, created_at, used_at) VALUES ('random', 'two red circles', '[0,1,0]', 1, '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.recall (collection, model, measured_at, ef_search, rows, queries, recall, target) VALUES ('things', 'random', '2026-11-26 00:00:10.244144+00', 200, 1, 1, 1, 0.99);

INSERT INTO retrieval.rejected (collection, uri, etag, stage, model, reason, detail, attempts, final, run_id, created_at, updated_at) VALUES ('things', 's3://images/b.jpg', 'e2', 'resample', NULL, 'timeout', '', 1, true, 'first', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00');
INSERT INTO retrieval.rejected (collection, uri, etag, stage, model, reason, detail, attempts, final, run_id, created_at, updated_at) VALUES ('things', 's3://images/c.jpg', 'e3', 'resample', NULL, 'timeout', '', 0, false, 'first', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00');
INSERT INTO retrieval.rejected (collection, uri, etag, stage, model, reason, detail, attempts, final, run_id, created_at, updated_at) VALUES ('things', 's3://images/d\xe9.jpg', 'e4', 'list', NULL, 'unsupported_name', 'its name is not UTF-8', 1, true, 'first', '2026-11-26 00:00:10.492472+00', '2026-11-26 00:00:10.492472+00');

INSERT INTO retrieval.run (collection, run_id, state, model, listed, new, changed, restored, gone, shards, left_over, list_seconds, index_seconds, started_at, finished_at, also, switch, rejected, captions, captions_due) VALUES ('things', 'first', 'success', 'random', 2, 2, 0, 0, 0, 1, 0, 0.5, 0.1, '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00', NULL, NULL, 0, NULL, NULL);

INSERT INTO retrieval.shard (collection, run_id, shard, images, resampled, embedded, upserted, rejected, resample_seconds, embed_seconds, upsert_seconds, finished_at) VALUES ('things', 'first', 0, 2, 1, 1, 1, 1, 0.1, 0.2, 0.3, '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.shown_captions (collection, model, languages, updated_at) VALUES ('things', 'captioner', '{en,zh}', '2026-11-27 00:00:10+00');

INSERT INTO retrieval.switch (id, collection, from_model, to_model, state, checks, started_at, ended_at) OVERRIDING SYSTEM VALUE VALUES (1, 'things', 'random', 'other', 'given_up', '{"covered": 0}', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.tar (collection, uri, etag, seen, last_modified, names, offsets, sizes, abouts, faults, reason, detail) VALUES ('things', 's3://images/a.tar', 'e1', 'e1', '2026-11-26 00:00:10+00', '{1.jpg}', '{512}', '{100}', '{NULL}', '[]', NULL, NULL);

INSERT INTO retrieval.training (name, source, method, start, against, settings, pack, model, state, reason, figures, gate, decision, run_id, started_at, changed_at) VALUES ('acme_v2', 'things', 'continue', 'models/random', 'models/random', '{"images": 10}', 's3://b/packs/acme_v2/', 's3://b/models/acme_v2/', 'passed', 'better than before', '{"steps": 3}', '{"decision": "passed"}', 'approved', 'manual__1', '2026-11-27 00:00:10+00', '2026-11-27 00:00:20+00');

INSERT INTO retrieval.uncaptioned (image, model, language, etag, digest, reason, detail, attempts, final, updated_at) VALUES (2, 'captioner', 'en', 'e1', 'd', 'empty', '', 1, false, '2026-11-27 00:00:10+00');

INSERT INTO retrieval.vector_index (vectors, rows, seconds, built_at) VALUES ('vector_things_random', 1, 0.1, '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.vector_space (collection, model, created_at) VALUES ('things', 'random', '2026-11-26 00:00:10.301746+00');

INSERT INTO retrieval.vector_things_random (id, etag, embedding, digest) VALUES (1, 'e1', '[1,0,0]', -5);

INSERT INTO retrieval.verdict (collection, a, b, verdict, a_sha256, b_sha256, decided_by, decided_at) VALUES ('things', 'a', 'b', 'different', 'f00', 'f01', 'somebody', '2026-11-26 00:00:10.166741+00');

SELECT pg_catalog.setval('retrieval.image_id_seq', 2, true);

SELECT pg_catalog.setval('retrieval.switch_id_seq', 1, true);

ALTER TABLE ONLY retrieval.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY retrieval.calibration
    ADD CONSTRAINT calibration_pkey PRIMARY KEY (collection, model, direction);

ALTER TABLE ONLY retrieval.caption
    ADD CONSTRAINT caption_pkey PRIMARY KEY (image, model, language);

ALTER TABLE ONLY retrieval.collection
    ADD CONSTRAINT collection_pkey PRIMARY KEY (name);

ALTER TABLE ONLY retrieval.compared
    ADD CONSTRAINT compared_pkey PRIMARY KEY (id);

ALTER TABLE ONLY retrieval.duplicate
    ADD CONSTRAINT duplicate_pkey PRIMARY KEY (a, b);

ALTER TABLE ONLY retrieval.filter_index
    ADD CONSTRAINT filter_index_pkey PRIMARY KEY (name);

ALTER TABLE ONLY retrieval.filter_use
    ADD CONSTRAINT filter_use_pkey PRIMARY KEY (collection, kind, subject);

ALTER TABLE ONLY retrieval.hint
    ADD CONSTRAINT hint_pkey PRIMARY KEY (collection, uri);

ALTER TABLE ONLY retrieval.image
    ADD CONSTRAINT image_collection_image_id_key UNIQUE (collection, image_id);

ALTER TABLE ONLY retrieval.image
    ADD CONSTRAINT image_collection_uri_key UNIQUE (collection, uri);

ALTER TABLE ONLY retrieval.image
    ADD CONSTRAINT image_pkey PRIMARY KEY (id);

ALTER TABLE ONLY retrieval.listed_part
    ADD CONSTRAINT listed_part_pkey PRIMARY KEY (collection, run_id, number);

ALTER TABLE ONLY retrieval.made_collection
    ADD CONSTRAINT made_collection_pkey PRIMARY KEY (name);

ALTER TABLE ONLY retrieval.map_cluster
    ADD CONSTRAINT map_cluster_pkey PRIMARY KEY (collection, number);

ALTER TABLE ONLY retrieval.map
    ADD CONSTRAINT map_pkey PRIMARY KEY (collection);

ALTER TABLE ONLY retrieval.map_place
    ADD CONSTRAINT map_place_pkey PRIMARY KEY (image);

ALTER TABLE ONLY retrieval.model
    ADD CONSTRAINT model_pkey PRIMARY KEY (name);

ALTER TABLE ONLY retrieval.pending
    ADD CONSTRAINT pending_pkey PRIMARY KEY (collection, uri);

ALTER TABLE ONLY retrieval.project
    ADD CONSTRAINT project_is_single PRIMARY KEY (single);

ALTER TABLE ONLY retrieval.recall
    ADD CONSTRAINT recall_pkey PRIMARY KEY (collection, measured_at);

ALTER TABLE ONLY retrieval.rejected
    ADD CONSTRAINT rejected_pkey PRIMARY KEY (collection, uri);

ALTER TABLE ONLY retrieval.run
    ADD CONSTRAINT run_pkey PRIMARY KEY (collection, run_id);

ALTER TABLE ONLY retrieval.shard
    ADD CONSTRAINT shard_pkey PRIMARY KEY (collection, run_id, shard);

ALTER TABLE ONLY retrieval.shown_captions
    ADD CONSTRAINT shown_captions_pkey PRIMARY KEY (collection);

ALTER TABLE ONLY retrieval.vector_space
    ADD CONSTRAINT space_key PRIMARY KEY (collection, model);

ALTER TABLE ONLY retrieval.vector_space
    ADD CONSTRAINT space_stem UNIQUE (stem);

ALTER TABLE ONLY retrieval.switch
    ADD CONSTRAINT switch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY retrieval.tar
    ADD CONSTRAINT tar_pkey PRIMARY KEY (collection, uri);

ALTER TABLE ONLY retrieval.training
    ADD CONSTRAINT training_pkey PRIMARY KEY (name);

ALTER TABLE ONLY retrieval.uncaptioned
    ADD CONSTRAINT uncaptioned_pkey PRIMARY KEY (image, model, language);

ALTER TABLE ONLY retrieval.vector_index
    ADD CONSTRAINT vector_index_pkey PRIMARY KEY (vectors);

ALTER TABLE ONLY retrieval.vector_things_random
    ADD CONSTRAINT vector_things_random_pkey PRIMARY KEY (id);

ALTER TABLE ONLY retrieval.verdict
    ADD CONSTRAINT verdict_pkey PRIMARY KEY (collection, a, b);

CREATE INDEX duplicate_best ON retrieval.duplicate USING btree (collection, tier, similarity DESC, a, b);

CREATE INDEX duplicate_other ON retrieval.duplicate USING btree (b);

CREATE INDEX image_group ON retrieval.image USING btree (collection, group_id) WHERE (group_id IS NOT NULL);

CREATE INDEX image_words ON retrieval.image USING gin (words) WHERE (words IS NOT NULL);

CREATE INDEX map_cluster_typical ON retrieval.map_cluster USING btree (typical);

CREATE UNIQUE INDEX query_text ON retrieval.query USING btree (model, md5(text));

CREATE INDEX run_latest ON retrieval.run USING btree (collection, started_at DESC);

CREATE INDEX switch_latest ON retrieval.switch USING btree (collection, id DESC);

CREATE UNIQUE INDEX switch_open ON retrieval.switch USING btree (collection) WHERE (state = 'open'::text);

CREATE INDEX training_latest ON retrieval.training USING btree (started_at DESC);

CREATE TRIGGER forget_caption_vector AFTER UPDATE OF caption, told, etag ON retrieval.image FOR EACH ROW WHEN (((old.caption IS DISTINCT FROM new.caption) OR ((new.caption IS NULL) AND (old.told IS DISTINCT FROM new.told)))) EXECUTE FUNCTION retrieval.forget_caption_vector();

CREATE TRIGGER forget_digest BEFORE UPDATE OF embedding ON retrieval.vector_things_random FOR EACH ROW WHEN (((old.digest = new.digest) AND (old.embedding OPERATOR(public.<>) new.embedding))) EXECUTE FUNCTION retrieval.forget_digest();

CREATE TRIGGER told_by_choice AFTER INSERT OR DELETE OR UPDATE OF model, languages ON retrieval.shown_captions FOR EACH ROW EXECUTE FUNCTION retrieval.copy_all_told();

CREATE TRIGGER told_by_delete AFTER DELETE ON retrieval.caption REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION retrieval.copy_told();

CREATE TRIGGER told_by_insert AFTER INSERT ON retrieval.caption REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION retrieval.copy_told();

CREATE TRIGGER told_by_update AFTER UPDATE ON retrieval.caption REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION retrieval.copy_told();

CREATE TRIGGER told_of_former BEFORE UPDATE OF etag ON retrieval.image FOR EACH ROW WHEN (((old.told IS NOT NULL) AND (new.etag IS DISTINCT FROM old.etag))) EXECUTE FUNCTION retrieval.forget_told();

CREATE TRIGGER write_nearest AFTER INSERT OR DELETE OR UPDATE OF model, distance ON retrieval.collection FOR EACH ROW EXECUTE FUNCTION retrieval.write_nearest();

ALTER TABLE ONLY retrieval.calibration
    ADD CONSTRAINT calibration_collection_model_fkey FOREIGN KEY (collection, model) REFERENCES retrieval.vector_space(collection, model) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.caption
    ADD CONSTRAINT caption_image_fkey FOREIGN KEY (image) REFERENCES retrieval.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.collection
    ADD CONSTRAINT collection_model_fkey FOREIGN KEY (model) REFERENCES retrieval.model(name);

ALTER TABLE ONLY retrieval.collection
    ADD CONSTRAINT collection_text_model_fkey FOREIGN KEY (text_model) REFERENCES retrieval.model(name);

ALTER TABLE ONLY retrieval.compared
    ADD CONSTRAINT compared_id_fkey FOREIGN KEY (id) REFERENCES retrieval.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.duplicate
    ADD CONSTRAINT duplicate_a_fkey FOREIGN KEY (a) REFERENCES retrieval.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.duplicate
    ADD CONSTRAINT duplicate_b_fkey FOREIGN KEY (b) REFERENCES retrieval.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.map_cluster
    ADD CONSTRAINT map_cluster_collection_fkey FOREIGN KEY (collection) REFERENCES retrieval.map(collection) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.map_cluster
    ADD CONSTRAINT map_cluster_typical_fkey FOREIGN KEY (typical) REFERENCES retrieval.image(id) ON DELETE SET NULL;

ALTER TABLE ONLY retrieval.map
    ADD CONSTRAINT map_collection_model_fkey FOREIGN KEY (collection, model) REFERENCES retrieval.vector_space(collection, model) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.map_place
    ADD CONSTRAINT map_place_image_fkey FOREIGN KEY (image) REFERENCES retrieval.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.query
    ADD CONSTRAINT query_model_fkey FOREIGN KEY (model) REFERENCES retrieval.model(name) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.run
    ADD CONSTRAINT run_switch_fkey FOREIGN KEY (switch) REFERENCES retrieval.switch(id) ON DELETE SET NULL;

ALTER TABLE ONLY retrieval.shard
    ADD CONSTRAINT shard_collection_run_id_fkey FOREIGN KEY (collection, run_id) REFERENCES retrieval.run(collection, run_id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.switch
    ADD CONSTRAINT switch_from_model_fkey FOREIGN KEY (from_model) REFERENCES retrieval.model(name);

ALTER TABLE ONLY retrieval.switch
    ADD CONSTRAINT switch_to_model_fkey FOREIGN KEY (to_model) REFERENCES retrieval.model(name);

ALTER TABLE ONLY retrieval.uncaptioned
    ADD CONSTRAINT uncaptioned_image_fkey FOREIGN KEY (image) REFERENCES retrieval.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.vector_things_random
    ADD CONSTRAINT vector_things_random_id_fkey FOREIGN KEY (id) REFERENCES retrieval.image(id);
