-- Schema version 12: what people give to the functions of schema images is checked, and told by its name.


-- The letters that nothing is seen of, as in values.py: spaces, controls, formats, fillers and variation selectors.
CREATE FUNCTION retrieval.is_blank(words text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT
RETURN words ~ '^[\u0001-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]*$';
COMMENT ON FUNCTION retrieval.is_blank IS 'Whether nothing is to be seen of a text.';


CREATE FUNCTION retrieval.checked_number(name text, value double precision, least_value double precision, most double precision)
RETURNS double precision
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF value IS NULL OR value BETWEEN least_value AND most THEN  -- NaN is larger than any number
        RETURN value;
    END IF;
    RAISE EXCEPTION '% is a number from % to %, not %', name, least_value, most, value;
END
$$;
COMMENT ON FUNCTION retrieval.checked_number IS 'A number within its bounds, or null; an error that names it where it is another, or NaN.';


-- As before, for texts that can be searched for.
CREATE OR REPLACE FUNCTION retrieval.query_vector(collection text, text text) RETURNS halfvec
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found halfvec;
BEGIN
    PERFORM retrieval.view_of(query_vector.collection);
    IF query_vector.text IS NULL OR retrieval.is_blank(query_vector.text) THEN
        RAISE EXCEPTION 'text is %', CASE WHEN query_vector.text IS NULL THEN 'null' ELSE 'blank' END;
    ELSIF length(query_vector.text) > 1000 THEN
        RAISE EXCEPTION 'text has % characters: at most 1000 are read', length(query_vector.text);
    END IF;
    SELECT q.embedding INTO found
    FROM retrieval.collection AS c
    JOIN retrieval.query AS q ON q.model = c.model
    WHERE c.name = query_vector.collection AND md5(q.text) = md5(query_vector.text) AND q.text = query_vector.text;
    RETURN found;
END
$$;
COMMENT ON FUNCTION retrieval.query_vector IS
    'The vector of a text under a collection''s model; null where it is not embedded yet, an error where it is no text to search for.';


-- k: more than any table has is as good as all
CREATE OR REPLACE FUNCTION images.search(
    collection     text,
    query          halfvec,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false
) RETURNS SETOF retrieval.result
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM retrieval.nearest(
        collection, query, CASE WHEN k > 1000000000 THEN 1000000000 ELSE k END, filter,
        CASE WHEN min_similarity IS NOT NULL THEN retrieval.checked_number('min_similarity', min_similarity, '-Infinity', 'Infinity') END,
        grouped, NULL);
END;


-- As before, for words that something is seen of.
CREATE OR REPLACE FUNCTION retrieval.match_condition(
    kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text
)
LANGUAGE plpgsql STABLE AS $$
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
$$;
