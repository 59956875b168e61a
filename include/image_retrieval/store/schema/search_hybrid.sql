-- Hybrid searches: what the sides of sides.sql find, scored by every side and fused.


CREATE OR REPLACE FUNCTION retrieval.side_weights(sides text[], weight double precision) RETURNS double precision[]
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    WITH share AS (  -- rounded, since a product with a score must not become too small for PostgreSQL
        SELECT s.number, CASE s.side WHEN 'vector' THEN rounded.weight ELSE (1 - rounded.weight) / nullif(cardinality(array_remove(sides, 'vector')), 0) END AS part
        FROM unnest(sides) WITH ORDINALITY AS s (side, number), (SELECT round(weight::numeric, 6)::double precision AS weight) AS rounded
    )
    SELECT array_agg(coalesce(s.part / nullif((SELECT sum(a.part) FROM share AS a), 0), 1.0 / cardinality(sides)) ORDER BY s.number) FROM share AS s;
END;
COMMENT ON FUNCTION retrieval.side_weights IS
    'The weight of each side: that of vector, and equal shares of the rest; they add up to 1 also where a side is missing.';


CREATE OR REPLACE FUNCTION retrieval.without_of(words text) RETURNS jsonb
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT coalesce(jsonb_agg(jsonb_build_object('not', jsonb_build_object('caption', jsonb_build_object(
        'match', format('"%s"', coalesce(part[2], part[3])))))), '[]')
    FROM regexp_matches(retrieval.folded(words), retrieval.word_pattern(), 'g') AS part
    WHERE part[1] = '-' AND retrieval.phrase(coalesce(part[2], part[3])) IS NOT NULL;
END;
COMMENT ON FUNCTION retrieval.without_of IS 'The filters that the minus terms of a search for words stand for.';


-- If scores are equal, the similarities decide, that of the first side first. Ranks are fused as by Cormack et al. 2009,
-- with k = 60. Each search plans this text, so it reads only the columns that it compares, and no view.
CREATE OR REPLACE FUNCTION retrieval.fusing_in_words(
    collection text, space text, sides text[], scored text[], parts text[], weights double precision[], grouped boolean
) RETURNS text
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    WITH side AS (
        SELECT *, CASE WHEN part IS NOT NULL AND (bool_and(part IS NOT NULL OR name <> 'vector') OVER ()) THEN part
                       ELSE format('CASE WHEN s%1$s IS NOT NULL THEN 61.0 / (60 + rank() OVER (ORDER BY s%1$s DESC NULLS LAST)) END', number)
                  END AS fused
        FROM unnest(sides, scored, parts, weights) WITH ORDINALITY AS s (name, similarity, part, weight, number)
    )
    SELECT format(
        $query$
        WITH scored AS MATERIALIZED (
            SELECT i.id, i.image_id, i.group_id, %1$s
            FROM retrieval.image AS i JOIN retrieval.%2$I AS v ON v.id = i.id
            WHERE i.collection = %3$L AND i.image_id = ANY ($1) AND i.deleted IS NULL
        ), fused AS (
            SELECT *, (%4$s)::double precision AS similarity, ARRAY[%5$s] AS similarities FROM scored
        )
        SELECT array_agg(id), array_agg(similarity), array_agg(jsonb_strip_nulls(jsonb_build_object(%6$s)))
        FROM (SELECT * FROM %7$s ORDER BY similarity DESC, similarities DESC, image_id LIMIT $2) AS first
        $query$,
        string_agg(format('(%s)::double precision AS s%s', similarity, number), ', '),
        'vector_' || space, collection,
        retrieval.fused_in_words(array_agg(fused ORDER BY number), array_agg(weight ORDER BY number)),
        string_agg(format('coalesce(s%s, ''-Infinity'')', number), ', ' ORDER BY number),
        string_agg(format('%L, %s', name, coalesce(part, 's' || number)), ', ' ORDER BY number),
        CASE WHEN grouped THEN
            '(SELECT DISTINCT ON (group_id, CASE WHEN group_id IS NULL THEN image_id END) * FROM fused '
            'ORDER BY group_id, CASE WHEN group_id IS NULL THEN image_id END, similarity DESC, similarities DESC, image_id) AS best'
        ELSE 'fused' END)
    FROM side;
END;
COMMENT ON FUNCTION retrieval.fusing_in_words IS
    'The query for the best of the images $1, which the sides found: by the score of each side, or by its rank if it has no '
    'calibration; by ranks alone if the side of vectors has none.';


CREATE OR REPLACE FUNCTION retrieval.written_caption(image retrieval.image) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT c.text
    FROM retrieval.shown_captions AS s
    JOIN retrieval.caption AS c ON c.model = s.model AND c.language = s.languages[1]
    WHERE s.collection = (written_caption.image).collection AND c.image = (written_caption.image).id
      AND c.etag = (written_caption.image).etag
$$;
COMMENT ON FUNCTION retrieval.written_caption IS 'What a captioner wrote of an image, as views show it; null: nothing.';


CREATE OR REPLACE FUNCTION retrieval.have_vectors(collection retrieval.collection, ids text[]) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
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
$$;
COMMENT ON FUNCTION retrieval.have_vectors IS 'Whether all of some images have a vector of the collection''s model.';


CREATE OR REPLACE FUNCTION retrieval.hybrid(
    collection text, query halfvec, asked jsonb, k integer, filter jsonb, min_similarity double precision, grouped boolean,
    direction text, weight double precision, model text
) RETURNS TABLE (
    image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text,
    caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET max_parallel_workers_per_gather = 0
SET random_page_cost = 1.1
SET jit = off
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
COMMENT ON FUNCTION retrieval.hybrid IS
    'The function behind images.search_hybrid. query: a vector to compare images with, or null; asked: what the other sides are '
    'asked for; direction: of the calibration; model: of the vectors of images, null: the one that is shown.';


CREATE OR REPLACE FUNCTION retrieval.asked_text(text text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT
RETURN btrim(regexp_replace(
    text,
    '(?:^|[\u0009-\u0020\u00a0\u2000-\u200a\u202f\u205f\u3000]+)'
    '(?:[-\ufe63\uff0d](?:["\u00ab\u00bb\u201c-\u201f\uff02][^"\u00ab\u00bb\u201c-\u201f\uff02]*(?:["\u00ab\u00bb\u201c-\u201f\uff02]|\Z)'
    '|[^\u0009-\u0020\u00a0\u2000-\u200a\u202f\u205f\u3000"\u00ab\u00bb\u201c-\u201f\uff02]+'
    '(?![^\u0009-\u0020\u00a0\u2000-\u200a\u202f\u205f\u3000"\u00ab\u00bb\u201c-\u201f\uff02]))[\u0009-\u0020\u00a0\u2000-\u200a\u202f\u205f\u3000]*)+',
    ' ', 'g'), E'\t\n\r \u3000');
COMMENT ON FUNCTION retrieval.asked_text IS 'A text without its minus terms, since a model would read them as wanted.';


CREATE OR REPLACE FUNCTION retrieval.text_direction(text text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN text ~ '[\u2e80-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]' THEN 'text_image_zh' ELSE 'text_image_en' END;
COMMENT ON FUNCTION retrieval.text_direction IS 'The direction of a search by a text: Chinese if it has a Chinese character.';


CREATE OR REPLACE FUNCTION retrieval.reads_texts(collection text) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT m.family = 'dual_encoder' FROM retrieval.collection AS c JOIN retrieval.model AS m ON m.name = c.model
    WHERE c.name = reads_texts.collection
$$;
COMMENT ON FUNCTION retrieval.reads_texts IS 'Whether the model whose vectors a collection shows has a text side.';


CREATE OR REPLACE FUNCTION images.search_hybrid(
    collection     text,
    text           text,
    k              integer DEFAULT 10,
    filter         jsonb DEFAULT '{}',
    min_similarity double precision DEFAULT NULL,
    grouped        boolean DEFAULT false,
    query          halfvec DEFAULT NULL,
    weight         double precision DEFAULT NULL
) RETURNS TABLE (
    image_id text, similarity double precision, image_path text, resampled_image_path text, group_id text, intra_id text,
    caption text, width integer, height integer, attributes jsonb, found_by text[], scores jsonb
)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE
    asked constant text := retrieval.asked_text(search_hybrid.text);
    told  jsonb;  -- what captions are compared with
BEGIN
    IF search_hybrid.text IS NULL OR retrieval.is_blank(search_hybrid.text) THEN
        RAISE EXCEPTION 'text is %', CASE WHEN search_hybrid.text IS NULL THEN 'null' ELSE 'blank' END;
    ELSIF length(search_hybrid.text) > 1000 THEN
        RAISE EXCEPTION 'text has % characters: at most 1000 are allowed', length(search_hybrid.text);
    END IF;
    IF query IS NULL THEN
        PERFORM retrieval.view_of(search_hybrid.collection, NULL);
        IF NOT retrieval.is_blank(asked) AND retrieval.reads_texts(search_hybrid.collection) THEN
            query := retrieval.embedded_text(search_hybrid.collection, asked);
        END IF;
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
COMMENT ON FUNCTION images.search_hybrid IS
    'The k images of a collection that fit a text best by their vectors, and by the words and the vectors of their captions; with a '
    'vector, always k if that many match the filter and the minus terms. query: a vector instead of the text''s own; weight: that of '
    'vectors, 0 to 1, null: the collection''s; else as images.search.';
