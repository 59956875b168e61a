-- Schema version 5: shards are loaded, and loaded again, at the disk's speed.

-- A row is listed first and told about when its vector is loaded, which doubles it: with room in its page no index is
-- written then.
ALTER TABLE retrieval.image SET (fillfactor = 30);


CREATE FUNCTION retrieval.forget_digest() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.digest := NULL;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION retrieval.forget_digest IS
    'For vector tables: a vector that is changed by hand loses its digest, so the next load compares it as changed.';


-- The vector tables that are there. Those of later collections are made with it.
DO $$
DECLARE
    vectors name;
BEGIN
    FOR vectors IN
        SELECT c.relname FROM pg_class AS c
        WHERE c.relnamespace = 'retrieval'::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'vector\_%'
    LOOP
        EXECUTE format(
            $table$
            ALTER TABLE retrieval.%1$I ADD COLUMN digest bigint;
            COMMENT ON COLUMN retrieval.%1$I.digest IS 'XXH3 of the vector as it was loaded, in single precision; null where it is not known.';
            CREATE TRIGGER forget_digest BEFORE UPDATE OF embedding ON retrieval.%1$I FOR EACH ROW
                WHEN (OLD.digest = NEW.digest AND OLD.embedding <> NEW.embedding)
                EXECUTE FUNCTION retrieval.forget_digest();
            $table$, vectors);
    END LOOP;
END
$$;
