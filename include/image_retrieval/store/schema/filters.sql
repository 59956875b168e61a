-- The filter language, compiled to conditions on a view's columns.
--
-- A condition consists of words of this file, names of columns that are listed here, and references to $1, a text[] of
-- all values of the filter. It never contains text that a user wrote.
CREATE OR REPLACE FUNCTION retrieval.time_of(value text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    IF value ~ '^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)? ?(Z|[+-]\d\d(:?\d\d)?)?)?$' THEN
        RETURN value::timestamptz;
    END IF;
    RETURN NULL;
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION retrieval.time_of IS 'The time in an ISO 8601 text, or null if it is not a time.';


-- Checks a value's type against the kind of its column; ranges over attributes take numbers and times.
CREATE OR REPLACE FUNCTION retrieval.checked(kind text, place text, value jsonb) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF (CASE kind
            WHEN 'text' THEN jsonb_typeof(value) = 'string'
            WHEN 'number' THEN jsonb_typeof(value) = 'number'
            WHEN 'time' THEN jsonb_typeof(value) = 'string' AND retrieval.time_of(value #>> '{}') IS NOT NULL
            WHEN 'scalar' THEN jsonb_typeof(value) IN ('string', 'number', 'boolean')
            WHEN 'range' THEN jsonb_typeof(value) = 'number' OR jsonb_typeof(value) = 'string' AND retrieval.time_of(value #>> '{}') IS NOT NULL
        END) THEN
        RETURN value #>> '{}';
    END IF;
    RAISE EXCEPTION 'filter: % takes %, not %', place,
        CASE kind WHEN 'text' THEN 'a text' WHEN 'number' THEN 'a number' WHEN 'scalar' THEN 'a text, a number, true or false'
                  ELSE CASE kind WHEN 'range' THEN 'a number, or ' ELSE '' END || 'a time such as "2026-11-21T10:00:00Z"' END, value;
END
$$;
COMMENT ON FUNCTION retrieval.checked IS 'A filter''s value as text; an error that names its place if its type is wrong.';


-- the column's own type if possible, since a cast column cannot use statistics and indexes
CREATE OR REPLACE FUNCTION retrieval.number_type(value text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN CASE WHEN value ~ '^-?\d{1,9}$' THEN 'integer' ELSE 'numeric' END;
COMMENT ON FUNCTION retrieval.number_type IS 'The type in which a column''s number is compared.';


CREATE OR REPLACE FUNCTION retrieval.range_condition(
    kind text, name text, place text, operator text, value jsonb, INOUT given text[], OUT condition text
)
LANGUAGE plpgsql STABLE AS $$
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
    given := given || retrieval.checked(CASE kind WHEN 'attribute' THEN 'range' ELSE type END, place || ' ' || operator, value);
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
$$;
COMMENT ON FUNCTION retrieval.range_condition IS 'gt, gte, lt, lte: on numbers and times, in columns and attributes.';


CREATE OR REPLACE FUNCTION retrieval.any_condition(
    kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text
)
LANGUAGE plpgsql STABLE AS $$
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
$$;
COMMENT ON FUNCTION retrieval.any_condition IS 'any: equal to one of a list.';


-- A caption's words are stored and indexed; those of an attribute are computed. The query is computed here, once: its
-- function would run again for each image.
CREATE OR REPLACE FUNCTION retrieval.match_condition(
    kind text, name text, place text, value jsonb, INOUT given text[], OUT condition text
)
LANGUAGE plpgsql STABLE AS $$
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
$$;
COMMENT ON FUNCTION retrieval.match_condition IS 'match: words in any language, as in a web search.';


-- The condition on a column or an attribute: operators, or a value that must be equal. A column may also be null.
CREATE OR REPLACE FUNCTION retrieval.condition_on(kind text, name text, value jsonb, INOUT given text[], OUT condition text)
LANGUAGE plpgsql STABLE AS $$
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
$$;
COMMENT ON FUNCTION retrieval.condition_on IS 'The condition that a filter puts on one column or attribute.';


CREATE OR REPLACE FUNCTION retrieval.condition_of(filter jsonb, INOUT given text[], OUT condition text)
LANGUAGE plpgsql STABLE AS $$
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
COMMENT ON FUNCTION retrieval.condition_of IS
    'A filter as a condition on the columns of a view, and the values that the condition calls $1; all keys must hold.';
