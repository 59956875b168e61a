-- What schema version 16 is after a run, as pg_dump writes it: what version 15 had, a tar, and a part of a listing.

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
    IF retrieval.query_vector(embed_text.collection, embed_text.text) IS NOT NULL THEN
        RETURN;
    END IF;
    IF octet_length(embed_text.text) NOT BETWEEN 1 AND 4000 THEN
        RAISE EXCEPTION 'a text to embed must have 1 to 4000 bytes, not %', octet_length(embed_text.text);
    END IF;
    PERFORM pg_notify('image_retrieval_embed_text', jsonb_build_object('collection', embed_text.collection, 'text', embed_text.text)::text);
    COMMIT;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    WHILE retrieval.query_vector(embed_text.collection, embed_text.text) IS NULL LOOP
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
    LANGUAGE plpgsql STABLE
    SET "hnsw.iterative_scan" TO 'relaxed_order'
    SET "hnsw.max_scan_tuples" TO '20000'
    SET "hnsw.scan_mem_multiplier" TO '8'
    SET "hnsw.ef_search" TO '100'
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    view      regclass;
    settings  retrieval.collection;
    index     record;
    condition text := 'true';
    given     text[] := '{}';
    expected  double precision;           -- rows that match, by the planner's estimate
    few       constant integer := 100;    -- up to this many matching rows per wanted one are compared faster than an index finds them
    wanted    integer := k;               -- rows to find: more than k if only the best of each group is wanted
    sure      integer;                    -- rows to find so that none is missed: the last candidates of an index are uncertain
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
          AND o.opcname = retrieval.operator_class(c.distance);
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
    IF NOT exact AND condition <> 'true' THEN
        expected := retrieval.expected_rows(view, condition, given);
        exact := expected < few * wanted;
    END IF;
    LOOP
        sure := CASE condition WHEN 'true' THEN wanted ELSE 2 * wanted END;
        ef := least(1001, greatest(coalesce(nullif(ef, 0), settings.ef_search), 2.0 * wanted, 3.0 * wanted * index.rows / expected));
        exact := exact OR condition <> 'true' AND ef > 1000;
        ef := least(ef, 1000);
        class := CASE WHEN NOT exact THEN index.class END;
        -- rows that an iterative scan finds late are not the nearest: with a filter, all rows must be among the first
        -- candidates
        PERFORM set_config('hnsw.ef_search', ef::text, true),
                set_config('hnsw.iterative_scan', CASE condition WHEN 'true' THEN 'relaxed_order' ELSE 'off' END, true);
        IF class LIKE 'halfvec%' AND condition = 'true' AND NOT coalesce(grouped, false) THEN
            EXECUTE format('SELECT retrieval.%I($1, $2)', 'nearest_' || settings.name || '_' || settings.model) INTO results USING query, k;
            EXIT WHEN cardinality(results) >= k;
            exact := true;
            CONTINUE;
        END IF;
        answer := format(
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
            retrieval.similarity_in_words(settings.distance));
        EXECUTE answer INTO results, enough, hits
        USING given, query,
              CASE WHEN class = 'bit_hamming_ops' THEN greatest(ef, sure) WHEN NOT exact THEN sure WHEN NOT grouped THEN wanted END,
              k;
        EXIT WHEN exact OR enough AND hits >= sure;
        IF hits >= sure AND wanted < 1000 THEN  -- too many of one group
            wanted := wanted * 10;
        ELSIF hits > 0 AND condition <> 'true' AND ef < 1000 THEN  -- fewer match than expected
            expected := index.rows * hits / ef;
        ELSE
            exact := true;
        END IF;
    END LOOP;
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

CREATE FUNCTION images.search_text(collection text, text text, k integer DEFAULT 10, filter jsonb DEFAULT '{}'::jsonb, min_similarity double precision DEFAULT NULL::double precision, grouped boolean DEFAULT false) RETURNS SETOF retrieval.result
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    query constant halfvec := retrieval.query_vector(search_text.collection, search_text.text);
BEGIN
    IF query IS NULL THEN
        RAISE EXCEPTION 'the text % is not embedded yet for collection %',
            quote_literal(search_text.text), quote_literal(search_text.collection)
            USING HINT = format(
                'With the service running: CALL images.embed_text(%1$L, %2$L); without it, in a shell: image-retrieval embed-text %1$s %2$L',
                search_text.collection, search_text.text);
    END IF;
    RETURN QUERY SELECT * FROM images.search(search_text.collection, query, search_text.k, search_text.filter,
                                             search_text.min_similarity, search_text.grouped);
END
$_$;

COMMENT ON FUNCTION images.search_text(collection text, text text, k integer, filter jsonb, min_similarity double precision, grouped boolean) IS 'The k images of a collection that fit a text best, if that text was embedded before; with grouped, the best of each of k groups.';

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
    vector halfvec;
BEGIN
    EXECUTE format('SELECT embedding FROM %s WHERE image_id = $1', retrieval.view_of($1, NULL)) INTO vector USING $2;
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

CREATE FUNCTION retrieval.any_condition(kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
DECLARE
    type  constant text := CASE kind WHEN 'attribute' THEN 'scalar' ELSE kind END;
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
        ELSE format('%I = ANY ($1[%s]::%s)', name, cardinality(given),
                    CASE kind WHEN 'text' THEN 'text[]' WHEN 'number' THEN 'numeric[]' ELSE 'timestamptz[]' END)
    END;
END
$_$;

COMMENT ON FUNCTION retrieval.any_condition(kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text) IS 'any: equal to one of a list.';

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
        "height": "number", "format": "text", "created_at": "time", "updated_at": "time"}';
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
        ELSIF kinds ? key THEN
            SELECT * INTO given, condition FROM retrieval.condition_on(kinds ->> key, key, value, given);
            parts := parts || condition;
        ELSE
            RAISE EXCEPTION 'filter: % is not one of group_id, intra_id, image_id, caption, width, height, format, created_at, '
                'updated_at, attributes, and, or, not', to_json(key);
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
    place    constant text := CASE kind WHEN 'attribute' THEN 'attribute ' ELSE '' END || to_json(name);
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
    ELSE
        given := given || retrieval.checked(kind, place, value);
        condition := format('%I = $1[%s]::%s', name, cardinality(given), CASE kind
            WHEN 'text' THEN 'text' WHEN 'time' THEN 'timestamptz'
            WHEN 'number' THEN retrieval.number_type(given[cardinality(given)]) END);
    END IF;
END
$_$;

COMMENT ON FUNCTION retrieval.condition_on(kind text, name text, value jsonb, INOUT given text[], OUT condition text) IS 'The condition that a filter puts on one column or attribute.';

CREATE FUNCTION retrieval.drop_vectors(collection text, model text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
DECLARE
    name constant text := drop_vectors.collection || '_' || drop_vectors.model;
BEGIN
    DELETE FROM retrieval.vector_space AS s WHERE s.collection = drop_vectors.collection AND s.model = drop_vectors.model;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('DROP FUNCTION IF EXISTS retrieval.%I', 'nearest_' || name);
    EXECUTE format('DROP VIEW IF EXISTS retrieval.%I', 'images_' || name);
    EXECUTE format('DROP TABLE IF EXISTS retrieval.%I', 'vector_' || name);
    DELETE FROM retrieval.vector_index WHERE vectors = 'vector_' || name;
END
$$;

COMMENT ON FUNCTION retrieval.drop_vectors(collection text, model text) IS 'Drops the vectors of a collection under a model, and the objects that search them; an error if they are shown.';

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
        PERFORM retrieval.make_view(
            format('retrieval.%I', view),
            format('%s AND has_table_privilege(to_regclass(%L), ''SELECT'')',
                   retrieval.view_text(vectors), format('images.%I', face_vectors.collection)),
            'What images.<collection> shows, has shown or will show, of one model.');
        EXECUTE format('GRANT SELECT ON retrieval.%I TO PUBLIC', view);
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
END
$_$;

COMMENT ON FUNCTION retrieval.face_vectors(collection text, model text, distance text) IS 'Creates retrieval.images_<collection>_<model> and retrieval.nearest_<collection>_<model>, the search without filter.';

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

CREATE FUNCTION retrieval.is_blank(words text) RETURNS boolean
    LANGUAGE sql IMMUTABLE STRICT
    RETURN (words ~ '^[\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]*$'::text);

COMMENT ON FUNCTION retrieval.is_blank(words text) IS 'Whether a text has no visible character.';

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
        COMMENT ON COLUMN %1$s.caption IS 'What it shows, in words.';
        COMMENT ON COLUMN %1$s.width IS 'Pixels of the upright original.';
        COMMENT ON COLUMN %1$s.height IS 'Pixels of the upright original.';
        COMMENT ON COLUMN %1$s.format IS 'File format by content.';
        COMMENT ON COLUMN %1$s.attributes IS 'Anything else to filter by.';
        COMMENT ON COLUMN %1$s.created_at IS 'When a listing first found it.';
        COMMENT ON COLUMN %1$s.updated_at IS 'When its row last changed.';
        COMMENT ON COLUMN %1$s.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';
        COMMENT ON COLUMN %1$s.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';
        COMMENT ON COLUMN %1$s.phash IS 'Perceptual hash of 64 bits; compare with images.phash_distance.';
        $view$, make_view.view, make_view.query, make_view.about);
END
$_$;

COMMENT ON FUNCTION retrieval.make_view(view text, query text, about text) IS 'Creates a view of the images that have vectors, or replaces its query; its grants stay.';

CREATE FUNCTION retrieval.match_condition(kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text) RETURNS record
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    SET standard_conforming_strings TO 'on'
    AS $_$
DECLARE
    words   text;
    subject text := format('%I', name);
    parts   text[] := '{}';
    part    text;
BEGIN
    IF kind <> 'attribute' AND name <> 'caption' THEN
        RAISE EXCEPTION 'filter: % has no operator "match": that is for "caption" and attributes', place;
    END IF;
    words := retrieval.checked('text', place || ' match', value);
    IF retrieval.is_blank(words) THEN
        RAISE EXCEPTION 'filter: % match takes words, not %', place, value;
    END IF;
    IF kind = 'attribute' THEN
        given := given || name;
        subject := format('(attributes ->> $1[%s])', cardinality(given));
    END IF;
    IF words ~ '[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]' THEN
        FOREACH part IN ARRAY regexp_split_to_array(btrim(words, E' \t\r\n\u3000'), '[\s\u3000]+') LOOP
            given := given || ('%' || regexp_replace(part, '([\\%_])', '\\\1', 'g') || '%');
            parts := parts || format('%s ILIKE $1[%s]', subject, cardinality(given));
        END LOOP;
        condition := array_to_string(parts, ' AND ');
    ELSE
        given := given || words;
        condition := format('to_tsvector(''simple'', %s) @@ websearch_to_tsquery(''simple'', $1[%s])', subject, cardinality(given));
    END IF;
END
$_$;

COMMENT ON FUNCTION retrieval.match_condition(kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text) IS 'match: words as in a web search; if they are Chinese, Japanese or Korean, each part literally.';

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
    type constant text := CASE WHEN kind = 'attribute' AND jsonb_typeof(value) = 'string' THEN 'time'
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

CREATE FUNCTION retrieval.show_vectors(collection text, vectors text) RETURNS void
    LANGUAGE sql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT retrieval.make_view(
        format('images.%I', show_vectors.collection), retrieval.view_text(vectors), 'The searchable images of this collection.')
$$;

COMMENT ON FUNCTION retrieval.show_vectors(collection text, vectors text) IS 'Creates images.<collection>, or lets it show these vectors; its grants stay.';

CREATE FUNCTION retrieval.similarity(distance text, a public.halfvec, b public.halfvec) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE distance WHEN 'cosine'::text THEN ((1)::double precision - (a OPERATOR(public.<=>) b)) WHEN 'inner_product'::text THEN (- (a OPERATOR(public.<#>) b)) WHEN 'l2'::text THEN ((1)::double precision / ((1)::double precision + (a OPERATOR(public.<->) b))) ELSE NULL::double precision END;

COMMENT ON FUNCTION retrieval.similarity(distance text, a public.halfvec, b public.halfvec) IS 'Similarity, larger is more alike: 1 - cosine distance, the inner product, or 1 / (1 + L2 distance).';

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
    FROM retrieval.collection AS c WHERE c.name = view_of.collection AND face IS NOT NULL;
    IF view IS NULL THEN
        RAISE EXCEPTION 'unknown collection %', quote_literal(view_of.collection)
            USING HINT = 'A collection''s first run makes its view. There are: ' || coalesce((SELECT string_agg(c.name, ', ' ORDER BY c.name) FROM retrieval.collection AS c), 'none');
    END IF;
    IF NOT has_table_privilege(face, 'SELECT') THEN
        RAISE insufficient_privilege USING MESSAGE = format('permission denied for view %s', face);
    END IF;
    RETURN view;
END
$$;

COMMENT ON FUNCTION retrieval.view_of(collection text, model text) IS 'The view of a collection''s vectors under a model (null: the model that is shown), or an error that lists the existing collections.';

CREATE FUNCTION retrieval.view_text(vectors text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $_$
    SELECT format(
        $view$
        SELECT i.image_id,
               i.uri AS image_path,
               i.resampled_uri AS resampled_image_path,
               v.embedding,
               i.group_id,
               i.intra_id,
               i.caption,
               i.width,
               i.height,
               i.format,
               i.attributes,
               i.first_seen AS created_at,
               i.updated AS updated_at,
               i.captured_at,
               i.sha256,
               i.phash
        FROM retrieval.%I AS v
        JOIN retrieval.image AS i ON i.id = v.id
        WHERE i.deleted IS NULL
        $view$, vectors)
$_$;

COMMENT ON FUNCTION retrieval.view_text(vectors text) IS 'The query behind a view of a vector table; it ends in a condition.';

CREATE FUNCTION retrieval.write_nearest() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        EXECUTE format('DROP FUNCTION IF EXISTS retrieval.%I', 'nearest_' || old.name || '_' || old.model);
    ELSE
        PERFORM retrieval.face_vectors(new.name, new.model, new.distance);
    END IF;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION retrieval.write_nearest() IS 'Keeps retrieval.nearest_<collection>_<model> in step with the collections.';

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
    about jsonb
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
    i.caption,
    i.width,
    i.height,
    i.format,
    i.attributes,
    i.first_seen AS created_at,
    i.updated AS updated_at,
    i.captured_at,
    i.sha256,
    i.phash
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

COMMENT ON COLUMN images.things.caption IS 'What it shows, in words.';

COMMENT ON COLUMN images.things.width IS 'Pixels of the upright original.';

COMMENT ON COLUMN images.things.height IS 'Pixels of the upright original.';

COMMENT ON COLUMN images.things.format IS 'File format by content.';

COMMENT ON COLUMN images.things.attributes IS 'Anything else to filter by.';

COMMENT ON COLUMN images.things.created_at IS 'When a listing first found it.';

COMMENT ON COLUMN images.things.updated_at IS 'When its row last changed.';

COMMENT ON COLUMN images.things.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';

COMMENT ON COLUMN images.things.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';

COMMENT ON COLUMN images.things.phash IS 'Perceptual hash of 64 bits; compare with images.phash_distance.';

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
    CONSTRAINT collection_distance_check CHECK ((distance = ANY (ARRAY['cosine'::text, 'inner_product'::text, 'l2'::text]))),
    CONSTRAINT collection_ef_search_check CHECK (((ef_search >= 1) AND (ef_search <= 1000))),
    CONSTRAINT collection_name_check CHECK ((name ~ '^[a-z][a-z0-9_]*$'::text))
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
    i.caption,
    i.width,
    i.height,
    i.format,
    i.attributes,
    i.first_seen AS created_at,
    i.updated AS updated_at,
    i.captured_at,
    i.sha256,
    i.phash
   FROM (retrieval.vector_things_random v
     JOIN retrieval.image i ON ((i.id = v.id)))
  WHERE ((i.deleted IS NULL) AND has_table_privilege((to_regclass('images.things'::text))::oid, 'SELECT'::text));

COMMENT ON VIEW retrieval.images_things_random IS 'What images.<collection> shows, has shown or will show, of one model.';

COMMENT ON COLUMN retrieval.images_things_random.image_id IS 'Key under the collection''s source, without its extension.';

COMMENT ON COLUMN retrieval.images_things_random.image_path IS 'Where the original lies.';

COMMENT ON COLUMN retrieval.images_things_random.resampled_image_path IS 'Where the resampled picture lies; null where none is kept.';

COMMENT ON COLUMN retrieval.images_things_random.embedding IS 'Vector of length 1; compare with <=> (cosine distance).';

COMMENT ON COLUMN retrieval.images_things_random.group_id IS 'What several images show, such as a product.';

COMMENT ON COLUMN retrieval.images_things_random.intra_id IS 'Which image of its group it is.';

COMMENT ON COLUMN retrieval.images_things_random.caption IS 'What it shows, in words.';

COMMENT ON COLUMN retrieval.images_things_random.width IS 'Pixels of the upright original.';

COMMENT ON COLUMN retrieval.images_things_random.height IS 'Pixels of the upright original.';

COMMENT ON COLUMN retrieval.images_things_random.format IS 'File format by content.';

COMMENT ON COLUMN retrieval.images_things_random.attributes IS 'Anything else to filter by.';

COMMENT ON COLUMN retrieval.images_things_random.created_at IS 'When a listing first found it.';

COMMENT ON COLUMN retrieval.images_things_random.updated_at IS 'When its row last changed.';

COMMENT ON COLUMN retrieval.images_things_random.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';

COMMENT ON COLUMN retrieval.images_things_random.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';

COMMENT ON COLUMN retrieval.images_things_random.phash IS 'Perceptual hash of 64 bits; compare with images.phash_distance.';

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

COMMENT ON COLUMN retrieval.model.family IS 'vision_transformer, pooled_backbone (both images only) or dual_encoder (images and text).';

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

INSERT INTO retrieval.alembic_version (version_num) VALUES ('0016');

INSERT INTO retrieval.calibration (collection, model, direction, slope, middle, reason, rate, vectors, sampled, probes, phrases, fitted_at) VALUES ('things', 'random', 'image_image', 20, 0.5, NULL, 0.01, 1, 1, 1, NULL, '2026-11-26 21:30:00.878328+00');

INSERT INTO retrieval.collection (name, source, model, dimensions, created_at, updated_at, distance, ef_search, overrules, definition) VALUES ('things', 's3://images/', 'random', 3, '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00', 'cosine', 200, NULL, '{"source": "s3://images/"}');

INSERT INTO retrieval.compared (id, model, etag, digest, similarity) VALUES (1, 'random', 'e1', -5, 0.9);

INSERT INTO retrieval.duplicate (a, b, collection, tier, similarity) VALUES (1, 2, 'things', 'scene', 0.95);

INSERT INTO retrieval.hint (collection, uri, received, times) VALUES ('things', 's3://images/c.jpg', '2026-11-26 00:00:10.166741+00', 2);

INSERT INTO retrieval.image (id, collection, image_id, uri, etag, size, last_modified, sha256, width, height, format, resampled_uri, group_id, intra_id, caption, attributes, first_seen, updated, deleted, mode, phash, captured_at, about) OVERRIDING SYSTEM VALUE VALUES (1, 'things', 'a', 's3://images/a.jpg', 'e1', 9, NULL, 'f00', 640, 480, 'JPEG', NULL, NULL, NULL, NULL, '{"colour": "red"}', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00', NULL, 'RGB', -7, '2026-05-04 12:30:00', NULL);
INSERT INTO retrieval.image (id, collection, image_id, uri, etag, size, last_modified, sha256, width, height, format, resampled_uri, group_id, intra_id, caption, attributes, first_seen, updated, deleted, mode, phash, captured_at, about) OVERRIDING SYSTEM VALUE VALUES (2, 'things', 'b', 's3://images/b.jpg', NULL, 9, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '{}', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00', NULL, NULL, NULL, NULL, NULL);

INSERT INTO retrieval.listed_part (collection, run_id, number, declared, up_to, listed, rows, missing, refused, began, saved) VALUES ('things', 'broken', 0, 'd', 's3://images/a.jpg', 1, '[]', '[]', '[]', '2026-11-26 00:00:10+00', '2026-11-27 04:05:51.559794+00');

INSERT INTO retrieval.made_collection (name, definition, created_at) VALUES ('made', '{"model": {"name": "random", "source": "models/random"}, "source": "s3://images/collections/made/"}', '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.model (name, source, revision, family, dimensions, use_cls_token, created_at, dtype, digest, calibration) VALUES ('random', 'models/random', NULL, 'vision_transformer', 3, true, '2026-11-26 00:00:10.166741+00', 'float32', 'd1', NULL);
INSERT INTO retrieval.model (name, source, revision, family, dimensions, use_cls_token, created_at, dtype, digest, calibration) VALUES ('other', 'models/other', NULL, 'vision_transformer', 3, true, '2026-11-26 00:00:10.166741+00', 'float32', NULL, NULL);

INSERT INTO retrieval.pending (collection, uri, kind, sha256, former_uri, etag, last_modified, since) VALUES ('things', 's3://image-retrieval/resampled/things/z_resample.png', 'delete', NULL, NULL, 'e9', NULL, '2026-11-26 00:00:10.492472+00');

INSERT INTO retrieval.project (id, single) VALUES ('9f082f4c-7eed-4a7e-aec9-54b71f588e66', true);

INSERT INTO retrieval.query (model, text, embedding, uses, created_at, used_at) VALUES ('random', 'two red circles', '[0,1,0]', 1, '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.recall (collection, model, measured_at, ef_search, rows, queries, recall, target) VALUES ('things', 'random', '2026-11-26 00:00:10.244144+00', 200, 1, 1, 1, 0.99);

INSERT INTO retrieval.rejected (collection, uri, etag, stage, model, reason, detail, attempts, final, run_id, created_at, updated_at) VALUES ('things', 's3://images/b.jpg', 'e2', 'resample', NULL, 'timeout', '', 1, true, 'first', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00');
INSERT INTO retrieval.rejected (collection, uri, etag, stage, model, reason, detail, attempts, final, run_id, created_at, updated_at) VALUES ('things', 's3://images/c.jpg', 'e3', 'resample', NULL, 'timeout', '', 0, false, 'first', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00');
INSERT INTO retrieval.rejected (collection, uri, etag, stage, model, reason, detail, attempts, final, run_id, created_at, updated_at) VALUES ('things', 's3://images/d\xe9.jpg', 'e4', 'list', NULL, 'unsupported_name', 'its name is not UTF-8', 1, true, 'first', '2026-11-26 00:00:10.492472+00', '2026-11-26 00:00:10.492472+00');

INSERT INTO retrieval.run (collection, run_id, state, model, listed, new, changed, restored, gone, shards, left_over, list_seconds, index_seconds, started_at, finished_at, also, switch, rejected) VALUES ('things', 'first', 'success', 'random', 2, 2, 0, 0, 0, 1, 0, 0.5, 0.1, '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00', NULL, NULL, 0);

INSERT INTO retrieval.shard (collection, run_id, shard, images, resampled, embedded, upserted, rejected, resample_seconds, embed_seconds, upsert_seconds, finished_at) VALUES ('things', 'first', 0, 2, 1, 1, 1, 1, 0.1, 0.2, 0.3, '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.switch (id, collection, from_model, to_model, state, checks, started_at, ended_at) OVERRIDING SYSTEM VALUE VALUES (1, 'things', 'random', 'other', 'given_up', '{"covered": 0}', '2026-11-26 00:00:10.166741+00', '2026-11-26 00:00:10.166741+00');

INSERT INTO retrieval.tar (collection, uri, etag, seen, last_modified, names, offsets, sizes, abouts, faults, reason, detail) VALUES ('things', 's3://images/a.tar', 'e1', 'e1', '2026-11-26 00:00:10+00', '{1.jpg}', '{512}', '{100}', '{NULL}', '[]', NULL, NULL);

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

ALTER TABLE ONLY retrieval.collection
    ADD CONSTRAINT collection_pkey PRIMARY KEY (name);

ALTER TABLE ONLY retrieval.compared
    ADD CONSTRAINT compared_pkey PRIMARY KEY (id);

ALTER TABLE ONLY retrieval.duplicate
    ADD CONSTRAINT duplicate_pkey PRIMARY KEY (a, b);

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

ALTER TABLE ONLY retrieval.vector_space
    ADD CONSTRAINT space_key PRIMARY KEY (collection, model);

ALTER TABLE ONLY retrieval.vector_space
    ADD CONSTRAINT space_stem UNIQUE (stem);

ALTER TABLE ONLY retrieval.switch
    ADD CONSTRAINT switch_pkey PRIMARY KEY (id);

ALTER TABLE ONLY retrieval.tar
    ADD CONSTRAINT tar_pkey PRIMARY KEY (collection, uri);

ALTER TABLE ONLY retrieval.vector_index
    ADD CONSTRAINT vector_index_pkey PRIMARY KEY (vectors);

ALTER TABLE ONLY retrieval.vector_things_random
    ADD CONSTRAINT vector_things_random_pkey PRIMARY KEY (id);

ALTER TABLE ONLY retrieval.verdict
    ADD CONSTRAINT verdict_pkey PRIMARY KEY (collection, a, b);

CREATE INDEX duplicate_best ON retrieval.duplicate USING btree (collection, tier, similarity DESC, a, b);

CREATE INDEX duplicate_other ON retrieval.duplicate USING btree (b);

CREATE INDEX image_group ON retrieval.image USING btree (collection, group_id) WHERE (group_id IS NOT NULL);

CREATE UNIQUE INDEX query_text ON retrieval.query USING btree (model, md5(text));

CREATE INDEX run_latest ON retrieval.run USING btree (collection, started_at DESC);

CREATE INDEX switch_latest ON retrieval.switch USING btree (collection, id DESC);

CREATE UNIQUE INDEX switch_open ON retrieval.switch USING btree (collection) WHERE (state = 'open'::text);

CREATE TRIGGER forget_digest BEFORE UPDATE OF embedding ON retrieval.vector_things_random FOR EACH ROW WHEN (((old.digest = new.digest) AND (old.embedding OPERATOR(public.<>) new.embedding))) EXECUTE FUNCTION retrieval.forget_digest();

CREATE TRIGGER write_nearest AFTER INSERT OR DELETE OR UPDATE OF model, distance ON retrieval.collection FOR EACH ROW EXECUTE FUNCTION retrieval.write_nearest();

ALTER TABLE ONLY retrieval.calibration
    ADD CONSTRAINT calibration_collection_model_fkey FOREIGN KEY (collection, model) REFERENCES retrieval.vector_space(collection, model) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.collection
    ADD CONSTRAINT collection_model_fkey FOREIGN KEY (model) REFERENCES retrieval.model(name);

ALTER TABLE ONLY retrieval.compared
    ADD CONSTRAINT compared_id_fkey FOREIGN KEY (id) REFERENCES retrieval.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.duplicate
    ADD CONSTRAINT duplicate_a_fkey FOREIGN KEY (a) REFERENCES retrieval.image(id) ON DELETE CASCADE;

ALTER TABLE ONLY retrieval.duplicate
    ADD CONSTRAINT duplicate_b_fkey FOREIGN KEY (b) REFERENCES retrieval.image(id) ON DELETE CASCADE;

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

ALTER TABLE ONLY retrieval.vector_things_random
    ADD CONSTRAINT vector_things_random_id_fkey FOREIGN KEY (id) REFERENCES retrieval.image(id);

GRANT SELECT ON TABLE retrieval.images_things_random TO PUBLIC;
