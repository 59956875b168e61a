-- Schema version 13: the most frequent search looks its collection up.

DROP TRIGGER write_shortcut ON retrieval.collection;
DROP TRIGGER write_shortcut ON retrieval.vector_index;
DROP FUNCTION retrieval.write_shortcut;
DROP FUNCTION retrieval.shortcut_in_words;
DROP FUNCTION IF EXISTS retrieval.shortcut(text, halfvec, integer);

ALTER TABLE retrieval.vector_index DROP COLUMN operator_class;
