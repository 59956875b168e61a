-- The captions that models wrote are copied to the rows of their images, so that one index finds the words of all captions
-- that are shown.
--
-- Triggers copy them, so that it is never forgotten, whether a run, a person or a cascade writes or removes captions.


CREATE OR REPLACE FUNCTION retrieval.told_of(image bigint, collection text, etag text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT string_agg(c.text, E'\n' ORDER BY array_position(s.languages, c.language))
    FROM retrieval.shown_captions AS s
    JOIN retrieval.caption AS c ON c.model = s.model AND c.language = ANY (s.languages)
    WHERE s.collection = told_of.collection AND c.image = told_of.image AND c.etag = told_of.etag
$$;
COMMENT ON FUNCTION retrieval.told_of IS 'What models wrote of an image''s present version, as far as views show it: a line per language.';


-- rows are locked in the order of their ids, as loads do, against deadlocks
CREATE OR REPLACE FUNCTION retrieval.copy_told() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM retrieval.image AS i WHERE i.id IN (SELECT c.image FROM changed AS c) ORDER BY i.id FOR NO KEY UPDATE;
    UPDATE retrieval.image AS i SET told = retrieval.told_of(i.id, i.collection, i.etag)
    WHERE i.id IN (SELECT c.image FROM changed AS c)
      AND i.told IS DISTINCT FROM retrieval.told_of(i.id, i.collection, i.etag);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION retrieval.copy_told IS 'Updates told of the images whose captions were written or removed.';

CREATE OR REPLACE TRIGGER told_by_insert AFTER INSERT ON retrieval.caption
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION retrieval.copy_told();

CREATE OR REPLACE TRIGGER told_by_update AFTER UPDATE ON retrieval.caption
REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION retrieval.copy_told();

CREATE OR REPLACE TRIGGER told_by_delete AFTER DELETE ON retrieval.caption
REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION retrieval.copy_told();


CREATE OR REPLACE FUNCTION retrieval.copy_all_told() RETURNS trigger
LANGUAGE plpgsql AS $$
DECLARE
    name constant text := coalesce(new.collection, old.collection);
BEGIN
    UPDATE retrieval.image AS i SET told = retrieval.told_of(i.id, i.collection, i.etag)
    WHERE i.collection = name AND i.told IS DISTINCT FROM retrieval.told_of(i.id, i.collection, i.etag);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION retrieval.copy_all_told IS 'Updates told of all images of a collection when views show other captions.';

CREATE OR REPLACE TRIGGER told_by_choice AFTER INSERT OR UPDATE OF model, languages OR DELETE ON retrieval.shown_captions
FOR EACH ROW EXECUTE FUNCTION retrieval.copy_all_told();


CREATE OR REPLACE FUNCTION retrieval.forget_told() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    new.told := NULL;
    RETURN new;
END
$$;
COMMENT ON FUNCTION retrieval.forget_told IS 'Empties told of an image that has another version.';

CREATE OR REPLACE TRIGGER told_of_former BEFORE UPDATE OF etag ON retrieval.image
FOR EACH ROW WHEN (old.told IS NOT NULL AND new.etag IS DISTINCT FROM old.etag) EXECUTE FUNCTION retrieval.forget_told();


CREATE OR REPLACE FUNCTION retrieval.has_captions(collection text, looked_at integer) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
BEGIN
    PERFORM retrieval.view_of(has_captions.collection, NULL);
    RETURN EXISTS (SELECT FROM retrieval.shown_captions AS s WHERE s.collection = has_captions.collection)
        OR EXISTS (
            SELECT FROM (
                SELECT i.words FROM retrieval.image AS i WHERE i.collection = has_captions.collection AND i.deleted IS NULL
                ORDER BY i.image_id LIMIT looked_at
            ) AS seen WHERE seen.words IS NOT NULL);
END
$$;
COMMENT ON FUNCTION retrieval.has_captions IS
    'Whether a collection shows captions of a model, or one of its first images, as many as looked_at, has a caption.';
