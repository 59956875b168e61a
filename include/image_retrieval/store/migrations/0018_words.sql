-- Schema version 18: the words of captions are indexed. The table is written once more, since each row gets a column.

ALTER TABLE retrieval.image ADD COLUMN words tsvector GENERATED ALWAYS AS (retrieval.words(caption)) STORED;
CREATE INDEX image_words ON retrieval.image USING gin (words) WHERE words IS NOT NULL;
COMMENT ON COLUMN retrieval.image.words IS 'The words of the caption, as searches compare them; null: it has no caption.';
