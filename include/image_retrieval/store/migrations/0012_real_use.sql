-- Schema version 12: each vector table belongs to one collection under one model, and each database to one project.

CREATE TABLE retrieval.project (
    id     uuid NOT NULL DEFAULT gen_random_uuid(),
    single boolean NOT NULL DEFAULT true CONSTRAINT project_is_single PRIMARY KEY CHECK (single)
);
COMMENT ON TABLE retrieval.project IS 'Who this database is, to others that use the same buckets; one row.';
COMMENT ON COLUMN retrieval.project.id IS 'Written into the folders that are this project''s alone.';
COMMENT ON COLUMN retrieval.project.single IS 'Keeps a second row out.';
INSERT INTO retrieval.project DEFAULT VALUES;


-- The names of its indexes do not begin with vector_: what does, a space may ask for.
CREATE TABLE retrieval.vector_space (
    collection text NOT NULL,
    model      text NOT NULL,
    vectors    text NOT NULL GENERATED ALWAYS AS ('vector_' || collection || '_' || model) STORED,
    stem       text NOT NULL GENERATED ALWAYS AS
        (regexp_replace('vector_' || collection || '_' || model, '(_(pkey|hnsw[12]?))+$', '')) STORED CONSTRAINT space_stem UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT space_key PRIMARY KEY (collection, model)
);
COMMENT ON TABLE retrieval.vector_space IS 'Which collection under which model each vector table belongs to.';
COMMENT ON COLUMN retrieval.vector_space.collection IS 'Name of the collection.';
COMMENT ON COLUMN retrieval.vector_space.model IS 'Name of the model, retrieval.model.';
COMMENT ON COLUMN retrieval.vector_space.vectors IS 'Name of the vector table, in schema retrieval.';
COMMENT ON COLUMN retrieval.vector_space.stem IS
    'The table''s name without what indexes add to theirs: no two spaces share it, so neither share a table, an index or a view.';
COMMENT ON COLUMN retrieval.vector_space.created_at IS 'When the space was made, or this table, whichever is later.';


-- The tables that are there. One that two spaces filled goes to the one that has more in it; the other's vectors leave it,
-- and its collection is as before its first run, which tells to rename the model.
DO $$
DECLARE
    space record;
    held  bigint;
BEGIN
    CREATE TEMPORARY TABLE asking ON COMMIT DROP AS
    WITH RECURSIVE images_of (collection) AS (  -- from one collection to the next, by the index
        SELECT min(i.collection) FROM retrieval.image AS i
        UNION ALL
        SELECT (SELECT min(i.collection) FROM retrieval.image AS i WHERE i.collection > o.collection)
        FROM images_of AS o WHERE o.collection IS NOT NULL
    )
    SELECT k.collection, m.name AS model, 'vector_' || k.collection || '_' || m.name AS vectors, 0::bigint AS rows,
           EXISTS (SELECT FROM retrieval.collection AS c WHERE c.name = k.collection AND c.model = m.name) AS shown,
           count(*) OVER (PARTITION BY 'vector_' || k.collection || '_' || m.name) > 1 AS contested
    FROM (SELECT name AS collection FROM retrieval.collection UNION SELECT name FROM retrieval.made_collection
          UNION SELECT i.collection FROM images_of AS i UNION SELECT s.collection FROM retrieval.switch AS s) AS k
    CROSS JOIN retrieval.model AS m
    JOIN pg_class AS t ON t.relname = 'vector_' || k.collection || '_' || m.name
    WHERE t.relnamespace = 'retrieval'::regnamespace AND t.relkind = 'r';

    FOR space IN SELECT * FROM asking WHERE contested LOOP
        EXECUTE format('SELECT count(*) FROM retrieval.%I AS v JOIN retrieval.image AS i ON i.id = v.id WHERE i.collection = $1', space.vectors)
        INTO held USING space.collection;
        UPDATE asking AS a SET rows = held WHERE a.collection = space.collection AND a.model = space.model;
    END LOOP;

    INSERT INTO retrieval.vector_space (collection, model)
    SELECT a.collection, a.model FROM asking AS a ORDER BY a.rows DESC, a.shown DESC, a.collection
    ON CONFLICT DO NOTHING;

    FOR space IN
        SELECT a.*, s.collection AS owner, s.model AS owned
        FROM asking AS a JOIN retrieval.vector_space AS s ON s.vectors = a.vectors AND s.collection <> a.collection
    LOOP
        EXECUTE format('DELETE FROM retrieval.%I AS v USING retrieval.image AS i WHERE i.id = v.id AND i.collection = $1', space.vectors)
        USING space.collection;
        IF space.shown THEN
            BEGIN
                EXECUTE format('DROP VIEW IF EXISTS images.%I', space.collection);
            EXCEPTION WHEN dependent_objects_still_exist THEN  -- somebody's own view reads it: it stays, and is empty
                PERFORM retrieval.make_view(format('images.%I', space.collection), retrieval.view_text(space.vectors) || ' AND false',
                                            'The searchable images of this collection.');
            END;
            DELETE FROM retrieval.collection AS c WHERE c.name = space.collection;
        END IF;
        UPDATE retrieval.switch AS w SET state = 'given_up', ended_at = now()
        WHERE w.collection = space.collection AND w.state = 'open' AND space.model IN (w.from_model, w.to_model);
        EXECUTE format('DROP VIEW IF EXISTS retrieval.%I', 'images_' || space.owner || '_' || space.owned);
        PERFORM retrieval.face_vectors(space.owner, space.owned, c.distance) FROM retrieval.collection AS c WHERE c.name = space.owner;
    END LOOP;
    DROP TABLE asking;
END
$$;


-- what is about to be changed in the object store, so that what a kill leaves there is found.

CREATE TABLE retrieval.pending (
    collection    text NOT NULL,
    uri           text NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('write', 'delete', 'empty')),
    sha256        text,
    former_uri    text,
    etag          text,
    last_modified timestamptz,
    since         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (collection, uri)
);
COMMENT ON TABLE retrieval.pending IS
    'Changes of the object store that belong to a transaction. Whoever next has the collection''s lock finds those that were broken off, and carries them out or takes them back.';
COMMENT ON COLUMN retrieval.pending.collection IS 'Collection that it belongs to; it may have been dropped.';
COMMENT ON COLUMN retrieval.pending.uri IS 'Object, or folder that ends in /.';
COMMENT ON COLUMN retrieval.pending.kind IS
    'write: an object is being written, and is taken back; delete: an object, empty: a folder, is to go.';
COMMENT ON COLUMN retrieval.pending.sha256 IS 'SHA-256 of the bytes that are being written, in hexadecimal.';
COMMENT ON COLUMN retrieval.pending.former_uri IS 'Copy of what lay there before; it exists before the object is touched.';
COMMENT ON COLUMN retrieval.pending.etag IS 'Version that is to go; a later one stays. Null: whatever lies there.';
COMMENT ON COLUMN retrieval.pending.last_modified IS 'When that version was written.';
COMMENT ON COLUMN retrieval.pending.since IS 'When it was announced.';


ALTER TABLE retrieval.collection ADD COLUMN definition jsonb;
COMMENT ON COLUMN retrieval.collection.definition IS
    'Its entry of collections.yaml at the last run, every default filled in; null until one. It tells how pictures to search by are resampled when the entry is gone.';


-- objects that no table can hold under their names are rejected by the listing.

ALTER TABLE retrieval.rejected DROP CONSTRAINT rejected_stage_check;
ALTER TABLE retrieval.rejected ADD CONSTRAINT rejected_stage_check CHECK (stage IN ('list', 'resample', 'embed'));
COMMENT ON COLUMN retrieval.rejected.stage IS 'Stage that rejected it: list, resample or embed.';
COMMENT ON COLUMN retrieval.rejected.uri IS
    'Where the object lies. Of one that stage list rejected: its URI as text, with escapes, or shortened.';

ALTER TABLE retrieval.run ADD COLUMN rejected bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN retrieval.run.rejected IS
    'Objects that the listing itself rejected, by their names; those of its shards are counted there.';
