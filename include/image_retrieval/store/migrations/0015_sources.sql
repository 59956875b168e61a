-- Schema version 15: images bring metadata along from their source.

ALTER TABLE retrieval.image ADD COLUMN about jsonb;
COMMENT ON COLUMN retrieval.image.about IS
    'What the source last said of it, caption and attributes, so that a change there is told from one that people made; null: nothing.';
COMMENT ON TABLE retrieval.image IS 'Every object that a listing has found in a collection''s source.';
