-- The objects of each vector table: the view that people query, a view per model that outlives a switch, and a search.


CREATE OR REPLACE FUNCTION retrieval.forget_digest() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.digest := NULL;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION retrieval.forget_digest IS
    'For vector tables: removes the digest of a vector that is changed by hand, so that the next load writes it again.';


-- What views show of an image, `i`. Filters name these columns, so each view has all of them. New ones come last: an
-- existing view can be replaced by one with more columns at its end.
CREATE OR REPLACE FUNCTION retrieval.image_columns(embedding text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format(
    $columns$
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
               CASE WHEN i.width > i.height THEN 'landscape' WHEN i.width < i.height THEN 'portrait'
                    WHEN i.width = i.height THEN 'square' END AS orientation,
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
    $columns$, embedding);
COMMENT ON FUNCTION retrieval.image_columns IS 'The columns of the views of images; the text `embedding` stands in their fourth place.';


-- All views of vectors are made from this text.
CREATE OR REPLACE FUNCTION retrieval.view_text(vectors text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT format(
        'SELECT %s FROM retrieval.%I AS v JOIN retrieval.image AS i ON i.id = v.id WHERE i.deleted IS NULL',
        retrieval.image_columns('v.embedding,'), vectors)
$$;
COMMENT ON FUNCTION retrieval.view_text IS 'The query behind a view of a vector table; it ends in a condition.';


CREATE OR REPLACE FUNCTION retrieval.make_view(view text, query text, about text) RETURNS void
LANGUAGE plpgsql AS $$
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
$$;
COMMENT ON FUNCTION retrieval.make_view IS 'Creates a view of the images that have vectors, or replaces its query; its grants stay.';


CREATE OR REPLACE FUNCTION retrieval.show_vectors(collection text, vectors text) RETURNS void
LANGUAGE sql AS $$
    SELECT retrieval.make_view(
        format('images.%I', show_vectors.collection), retrieval.view_text(vectors), 'The searchable images of this collection.')
$$;
COMMENT ON FUNCTION retrieval.show_vectors IS 'Creates images.<collection>, or lets it show these vectors; its grants stay.';


CREATE OR REPLACE FUNCTION retrieval.nearest_in_words(view text, distance text) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN format(
    $query$
    SELECT array_agg((image_id, %2$s, image_path, resampled_image_path, group_id, intra_id, caption, width, height,
                      attributes)::retrieval.result ORDER BY distance + 0, image_id)  -- + 0: an index orders inexactly
    FROM (SELECT *, embedding %3$s query AS distance FROM retrieval.%1$I ORDER BY embedding %3$s query LIMIT k) AS found
    $query$,
    view, retrieval.similarity_in_words(distance), retrieval.operator(distance));
COMMENT ON FUNCTION retrieval.nearest_in_words IS 'The query for the k rows of a view that the index finds nearest to a vector.';


-- A search that compares few of many images first finds their ids, by an index and without their vectors, then reads
-- these vectors alone. That takes a view of each side.
CREATE OR REPLACE FUNCTION retrieval.make_sides(collection text, name text) RETURNS void
LANGUAGE plpgsql AS $$
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
$$;
COMMENT ON FUNCTION retrieval.make_sides IS
    'Creates retrieval.matching_<collection>_<model>, the images alone, and retrieval.vectors_<collection>_<model>, the vectors alone.';


-- Former versions let every role read this view.
CREATE OR REPLACE FUNCTION retrieval.make_face(collection text, model text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    name constant text := make_face.collection || '_' || make_face.model;
BEGIN
    PERFORM retrieval.make_view(
        format('retrieval.%I', 'images_' || name), retrieval.view_text('vector_' || name),
        'What images.<collection> shows, has shown or will show, of one model.');
    EXECUTE format('REVOKE ALL ON retrieval.%I FROM PUBLIC', 'images_' || name);
END
$$;
COMMENT ON FUNCTION retrieval.make_face IS 'Creates retrieval.images_<collection>_<model>, or replaces its query; its grants stay.';


-- Planning a search takes half as long as the search, and PL/pgSQL keeps only plans of fixed texts. So each vector table has
-- functions of its own, with fixed texts, for the most frequent search and the most frequent hybrid search. A generic plan
-- would avoid the index because of large k; with sorts disabled, the index is the only way to the requested order.
CREATE OR REPLACE FUNCTION retrieval.face_vectors(collection text, model text, distance text) RETURNS void
LANGUAGE plpgsql AS $face$
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
$face$;
COMMENT ON FUNCTION retrieval.face_vectors IS
    'Creates the views retrieval.images_, matching_ and vectors_<collection>_<model>, and the searches without filter, retrieval.nearest_ and hybrid_<collection>_<model>.';


CREATE OR REPLACE FUNCTION retrieval.write_nearest() RETURNS trigger
LANGUAGE plpgsql AS $$
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
$$;
COMMENT ON FUNCTION retrieval.write_nearest IS 'Keeps retrieval.nearest_ and hybrid_<collection>_<model> in step with the collections.';

CREATE OR REPLACE TRIGGER write_nearest AFTER INSERT OR DELETE OR UPDATE OF model, distance ON retrieval.collection
FOR EACH ROW EXECUTE FUNCTION retrieval.write_nearest();


CREATE OR REPLACE FUNCTION retrieval.drop_vectors(collection text, model text) RETURNS void
LANGUAGE plpgsql AS $$
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
$$;
COMMENT ON FUNCTION retrieval.drop_vectors IS 'Drops the vectors of a collection under a model, and the objects that search them; an error if they are shown.';


CREATE OR REPLACE FUNCTION retrieval.renew_views() RETURNS void
LANGUAGE sql AS $$
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
COMMENT ON FUNCTION retrieval.renew_views IS
    'Gives the views of a former version of the schema the columns of this one, and makes its functions; dropped views stay dropped.';
