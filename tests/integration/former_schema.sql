-- What schema version 1 holds after a run: one image with its vector, the view of that version, and a rejected object.

INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token)
VALUES ('random', 'models/random', 'vision_transformer', 3, true);

INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES ('things', 's3://images/', 'random', 3);

INSERT INTO retrieval.image (collection, image_id, uri, etag, size, sha256, width, height, format, attributes)
VALUES ('things', 'a', 's3://images/a.jpg', 'e1', 9, 'f00', 640, 480, 'JPEG', '{"colour": "red"}');

CREATE TABLE retrieval.vector_things_random (
    id        bigint PRIMARY KEY REFERENCES retrieval.image,
    etag      text NOT NULL,
    embedding halfvec(3) NOT NULL
);
INSERT INTO retrieval.vector_things_random SELECT id, etag, '[1,0,0]' FROM retrieval.image;

CREATE VIEW images.things AS
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
       i.updated AS updated_at
FROM retrieval.vector_things_random AS v
JOIN retrieval.image AS i ON i.id = v.id
WHERE i.deleted IS NULL;

INSERT INTO retrieval.rejected (collection, uri, etag, stage, reason, attempts, final, run_id)
VALUES ('things', 's3://images/b.jpg', 'e2', 'resample', 'timeout', 1, true, 'first');
