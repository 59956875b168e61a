-- Searches that combine several sides: the vectors of images, and the words and the vectors of captions.
--
-- A side is one way to search. It is a row of retrieval.sides: the query for the image_ids that it finds best, in which $1
-- holds the values of the filter and $2 is how many are wanted; the expression for its similarity of any image; and the one
-- for the score of that, 0 to 1. In all of them, $3 is the vector that images are compared with, and $4 the one for captions.
-- Every side scores all images that any side finds.


CREATE OR REPLACE FUNCTION retrieval.score(cosine double precision, slope double precision, middle double precision)
RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN cosine >= 0.999999 THEN 1
    WHEN cosine <= middle THEN 1 / (1 + exp(least(700, slope * (middle - cosine))))
    ELSE least(1, 0.5 + 0.5 * (1 / (1 + exp(least(700, slope * (middle - cosine)))) - 0.5)
                        / CASE WHEN middle < 1 THEN 1 / (1 + exp(least(700, slope * (middle - 1)))) - 0.5 ELSE 1 END)
END;
COMMENT ON FUNCTION retrieval.score IS
    'The score, 0 to 1, of a cosine under a calibration, as models/calibration.py defines it.';


CREATE OR REPLACE FUNCTION retrieval.score_in_words(slope double precision, middle double precision) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE WHEN slope IS NOT NULL THEN format('retrieval.score(%%1$s, %s, %s)', slope, middle) END;
COMMENT ON FUNCTION retrieval.score_in_words IS 'The expression for the score, 0 to 1, of a cosine %1$s under a calibration; null: there is none.';


CREATE OR REPLACE FUNCTION retrieval.calibration_of(
    collection retrieval.collection, direction text, OUT slope double precision, OUT middle double precision
)
LANGUAGE sql STABLE AS $$
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
COMMENT ON FUNCTION retrieval.calibration_of IS
    'The calibration of a direction: the model''s own, else the one fitted on the collection; nulls if there is none.';


CREATE OR REPLACE FUNCTION retrieval.fused_in_words(parts text[], weights double precision[]) RETURNS text
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT string_agg(format('%s * coalesce(%s, 0)', weight, part), ' + ' ORDER BY number)
    FROM unnest(parts, weights) WITH ORDINALITY AS p (part, weight, number);
END;
COMMENT ON FUNCTION retrieval.fused_in_words IS
    'The expression for a fused score: a convex combination of the sides'' parts (Bruch et al. 2023, arXiv:2210.11934).';


CREATE OR REPLACE FUNCTION retrieval.word_terms(words text) RETURNS text[]
LANGUAGE sql STABLE AS $$
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
COMMENT ON FUNCTION retrieval.word_terms IS
    'The words of a text one by one, also those of phrases such as wool-hat, unless it has quotation marks; null if it has no word.';


CREATE OR REPLACE FUNCTION retrieval.term_fit_in_words(terms text[], weights double precision[]) RETURNS text
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    SELECT format('nullif((%s) / %s, 0)', string_agg(
        format(CASE WHEN strpos(term, ' <') > 0 THEN 'CASE WHEN words @@ %3$L::tsquery THEN ' ELSE '' END
               || '%1$s * (1 - 1 / (1 + ts_rank(words, %2$L::tsquery) / (0.07296::float8 * (0.25::float8 + 0.0375::float8 * length(words)))))'
               || CASE WHEN strpos(term, ' <') > 0 THEN ' ELSE 0 END' ELSE '' END,
               weight, regexp_replace(term, ' <\d+> ', ' | ', 'g'), term), ' + '), sum(weight))
    FROM unnest(terms, weights) AS t (term, weight);
END;
COMMENT ON FUNCTION retrieval.term_fit_in_words IS
    'The expression for how well words fit terms, by the formula of search_words.sql; null if none of them occurs.';


-- First all terms, then two of the heaviest, then the heaviest, then any: candidates of a later query hold less of what is
-- asked for.
CREATE OR REPLACE FUNCTION retrieval.term_tiers(terms text[], weights double precision[], complete boolean) RETURNS text[]
LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
    WITH term AS (
        SELECT t.term, t.weight, row_number() OVER (ORDER BY t.weight DESC, t.term) AS number, max(t.weight) OVER () AS heaviest
        FROM unnest(terms, weights) AS t (term, weight)
    )
    SELECT ARRAY[
        (SELECT string_agg(format('(%s)', t.term), ' & ') FROM term AS t HAVING count(*) > 1),
        (SELECT string_agg(format('(%s) & (%s)', a.term, b.term), ' | ')
         FROM term AS a JOIN term AS b ON a.number < b.number AND b.number <= 5 HAVING count(*) > 1),
        (SELECT t.term FROM term AS t WHERE t.number = 1),
        (SELECT string_agg(format('(%s)', t.term), ' | ') FROM term AS t WHERE complete OR t.weight >= t.heaviest / 2 HAVING count(*) > 1)];
END;
COMMENT ON FUNCTION retrieval.term_tiers IS
    'The tsqueries that find candidates, in this order; null: not needed. complete: together they find all images that hold a term.';


CREATE OR REPLACE FUNCTION retrieval.best_by_words(
    view text, condition text, terms text[], weights double precision[], complete boolean, grouped boolean, wanted integer
) RETURNS text
LANGUAGE sql STABLE AS $$
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
            view, condition, tier, CASE WHEN complete AND grouped THEN 1000000000 ELSE greatest(30, wanted) END),
            ' UNION ALL ' ORDER BY number),
        CASE WHEN complete THEN 'ALL' ELSE greatest(30, wanted)::text END)
    FROM unnest(retrieval.term_tiers(terms, weights, complete)) WITH ORDINALITY AS t (tier, number)
    WHERE tier IS NOT NULL
$$;
COMMENT ON FUNCTION retrieval.best_by_words IS
    'The query for the images whose captions fit terms best; complete: it finds as many as are wanted, if so many match.';


CREATE OR REPLACE FUNCTION retrieval.sides(
    settings retrieval.collection, model text, by_vector boolean, asked jsonb, direction text, condition text, filter jsonb,
    grouped boolean, wanted integer
) RETURNS TABLE (side text, best text, similarity text, score text)
LANGUAGE plpgsql AS $$
DECLARE
    space   constant text := settings.name || '_' || settings.model;
    terms   constant text[] := retrieval.word_terms(asked ->> 'words');
    weights constant double precision[] := retrieval.term_weights(settings.name, terms);
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
               (SELECT 'CASE WHEN %1$s IS NOT NULL THEN ' || retrieval.score_in_words(c.slope, c.middle) || ' END'
                FROM retrieval.calibration_of(jsonb_populate_record(settings, jsonb_build_object('model', texts)),
                                              coalesce(asked ->> 'text_direction', direction)) AS c)
        WHERE asked ? 'caption' AND texts IS NOT NULL;
END
$$;
COMMENT ON FUNCTION retrieval.sides IS
    'The sides that a search asks. score: an expression over a similarity %1$s; null: the side has no calibration.';
