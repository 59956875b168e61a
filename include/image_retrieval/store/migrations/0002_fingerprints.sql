-- Schema version 2: fingerprints of the images, in the tables and in the views.

ALTER TABLE retrieval.image
    ADD COLUMN mode        text,
    ADD COLUMN phash       bigint,
    ADD COLUMN captured_at timestamp;
COMMENT ON COLUMN retrieval.image.mode IS 'Colour mode of the original: RGB, L, CMYK, …';
COMMENT ON COLUMN retrieval.image.phash IS 'Perceptual hash of 64 bits: pictures that look alike differ in few of them.';
COMMENT ON COLUMN retrieval.image.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';


CREATE FUNCTION images.phash_distance(a bigint, b bigint) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN bit_count((a # b)::bit(64));
COMMENT ON FUNCTION images.phash_distance IS
    'How many of their 64 bits two perceptual hashes differ in: 0 for pictures that look the same, about 32 for unrelated ones.';


-- The view's text is here and not in a query: a migration that changes it brings the views that are there along.
CREATE FUNCTION retrieval.show_vectors(collection text, vectors text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        $view$
        CREATE OR REPLACE VIEW images.%1$I AS
        SELECT i.image_id,
               i.uri AS image_path,
               i.resampled_uri AS resampled_image_path,
               v.embedding,
               i.group_id,
               i.intra_id,
               i.caption,
               i.width,
               i.height,
               i.format,
               i.attributes,
               i.first_seen AS created_at,
               i.updated AS updated_at,
               i.captured_at,
               i.sha256,
               i.phash
        FROM retrieval.%2$I AS v
        JOIN retrieval.image AS i ON i.id = v.id
        WHERE i.deleted IS NULL;
        COMMENT ON VIEW images.%1$I IS 'The searchable images of this collection.';
        COMMENT ON COLUMN images.%1$I.image_id IS 'Key under the collection''s source, without its extension.';
        COMMENT ON COLUMN images.%1$I.image_path IS 'Where the original lies.';
        COMMENT ON COLUMN images.%1$I.resampled_image_path IS 'Where the resampled picture lies; null where none is kept.';
        COMMENT ON COLUMN images.%1$I.embedding IS 'Vector of length 1; compare with <=> (cosine distance).';
        COMMENT ON COLUMN images.%1$I.group_id IS 'What several images show, such as a product.';
        COMMENT ON COLUMN images.%1$I.intra_id IS 'Which image of its group it is.';
        COMMENT ON COLUMN images.%1$I.caption IS 'What it shows, in words.';
        COMMENT ON COLUMN images.%1$I.width IS 'Pixels of the upright original.';
        COMMENT ON COLUMN images.%1$I.height IS 'Pixels of the upright original.';
        COMMENT ON COLUMN images.%1$I.format IS 'File format by content.';
        COMMENT ON COLUMN images.%1$I.attributes IS 'Anything else to filter by.';
        COMMENT ON COLUMN images.%1$I.created_at IS 'When a listing first found it.';
        COMMENT ON COLUMN images.%1$I.updated_at IS 'When its row last changed.';
        COMMENT ON COLUMN images.%1$I.captured_at IS 'When the picture was taken, by the camera''s own clock; null where the file does not tell.';
        COMMENT ON COLUMN images.%1$I.sha256 IS 'SHA-256 of the original''s bytes, in hexadecimal.';
        COMMENT ON COLUMN images.%1$I.phash IS 'Perceptual hash of 64 bits; compare with images.phash_distance.';
        $view$, collection, vectors);
END
$$;
COMMENT ON FUNCTION retrieval.show_vectors IS 'Makes images.<collection>, or lets it show these vectors; its grants stay.';

SELECT retrieval.show_vectors(c.name, 'vector_' || c.name || '_' || c.model)
FROM retrieval.collection AS c
WHERE to_regclass(format('images.%I', c.name)) IS NOT NULL;
