-- Schema version 18: vectors of captions, captions in runs, hybrid searches, and maps.

ALTER TABLE retrieval.collection ADD COLUMN text_model text REFERENCES retrieval.model;
COMMENT ON COLUMN retrieval.collection.text_model IS
    'Model of the vectors of captions that searches compare; null: captions have no vectors, or not all of them yet.';
COMMENT ON COLUMN retrieval.model.family IS
    'vision_transformer, pooled_backbone (both images only), dual_encoder (images and text) or text_encoder (captions).';

ALTER TABLE retrieval.collection ADD COLUMN weight double precision NOT NULL DEFAULT 0.5 CHECK (weight BETWEEN 0 AND 1);
COMMENT ON COLUMN retrieval.collection.weight IS
    'How much the vectors count in hybrid searches, 0 to 1; the rest is shared by the other sides, such as words of captions.';

ALTER TABLE retrieval.run
    ADD COLUMN captions bigint,
    ADD COLUMN captions_due bigint;
COMMENT ON COLUMN retrieval.run.captions IS 'Captions that the captioner wrote during it; null: it captioned nothing.';
COMMENT ON COLUMN retrieval.run.captions_due IS 'Images that lacked a caption at its end, and will be tried again.';

CREATE TABLE retrieval.map (
    collection text PRIMARY KEY,
    model      text NOT NULL,
    images     bigint NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (collection, model) REFERENCES retrieval.vector_space ON DELETE CASCADE
);
COMMENT ON TABLE retrieval.map IS 'The map of each collection: its images in the plane, those that are alike side by side.';
COMMENT ON COLUMN retrieval.map.collection IS 'Collection that it shows.';
COMMENT ON COLUMN retrieval.map.model IS 'Model whose vectors were laid out.';
COMMENT ON COLUMN retrieval.map.images IS 'Images that it was made of; later ones were placed among them.';
COMMENT ON COLUMN retrieval.map.made_at IS 'When all of it was last laid out.';


CREATE TABLE retrieval.map_place (
    image   bigint PRIMARY KEY REFERENCES retrieval.image ON DELETE CASCADE,
    x       real NOT NULL CHECK (x BETWEEN 0 AND 1),
    y       real NOT NULL CHECK (y BETWEEN 0 AND 1),
    cluster integer NOT NULL,
    anchor  boolean NOT NULL,
    late    boolean NOT NULL,
    etag    text NOT NULL
);
COMMENT ON TABLE retrieval.map_place IS 'Where each image lies on the map of its collection.';
COMMENT ON COLUMN retrieval.map_place.image IS 'Image, retrieval.image.id.';
COMMENT ON COLUMN retrieval.map_place.x IS 'From 0, left, to 1.';
COMMENT ON COLUMN retrieval.map_place.y IS 'From 0, top, to 1.';
COMMENT ON COLUMN retrieval.map_place.cluster IS 'The smallest cluster that it lies in, retrieval.map_cluster.number.';
COMMENT ON COLUMN retrieval.map_place.anchor IS 'Whether it was laid out itself; the others lie among their nearest anchors.';
COMMENT ON COLUMN retrieval.map_place.late IS 'Whether it was placed after the map was made: new or changed since.';
COMMENT ON COLUMN retrieval.map_place.etag IS 'Version of the object whose vector was placed.';


CREATE TABLE retrieval.map_cluster (
    collection text NOT NULL REFERENCES retrieval.map ON DELETE CASCADE,
    number     integer NOT NULL,
    level      integer NOT NULL,
    parent     integer,
    x          real NOT NULL,
    y          real NOT NULL,
    images     bigint NOT NULL DEFAULT 0,
    typical    bigint REFERENCES retrieval.image ON DELETE SET NULL,
    words      text[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (collection, number)
);
CREATE INDEX map_cluster_typical ON retrieval.map_cluster (typical);
COMMENT ON TABLE retrieval.map_cluster IS 'The clusters of each map, at up to three levels.';
COMMENT ON COLUMN retrieval.map_cluster.collection IS 'Collection whose map it is on.';
COMMENT ON COLUMN retrieval.map_cluster.number IS 'Number of the cluster on its map.';
COMMENT ON COLUMN retrieval.map_cluster.level IS '1 for the largest clusters; those of the next level are parts of them.';
COMMENT ON COLUMN retrieval.map_cluster.parent IS 'Number of the cluster that it is a part of; null on level 1.';
COMMENT ON COLUMN retrieval.map_cluster.x IS 'Its middle, as in retrieval.map_place.';
COMMENT ON COLUMN retrieval.map_cluster.y IS 'Its middle, as in retrieval.map_place.';
COMMENT ON COLUMN retrieval.map_cluster.images IS 'Images in it, as the upkeep last counted them.';
COMMENT ON COLUMN retrieval.map_cluster.typical IS 'The image whose vector is nearest to their mean; null once it was removed.';
COMMENT ON COLUMN retrieval.map_cluster.words IS 'Words of captions that are more frequent in it than elsewhere.';
