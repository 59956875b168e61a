-- name: search
-- model: the model of the vectors; null: the one that the view shows
SELECT image_id, similarity, image_path, resampled_image_path, group_id, intra_id, left(caption, 100001) AS caption, width,
       height, left(attributes::text, 1048577) AS attributes
FROM retrieval.nearest(
    %(collection)s, %(query)s, %(k)s, %(filter)s, %(min_similarity)s, %(grouped)s, NULL, %(model)s);

-- name: similar_to
SELECT image_id, similarity, image_path, resampled_image_path, group_id, intra_id, left(caption, 100001) AS caption, width,
       height, left(attributes::text, 1048577) AS attributes
FROM images.similar_to(%(collection)s, %(image_id)s, %(k)s, %(filter)s, %(min_similarity)s, %(grouped)s);

-- name: count_facets
SELECT facet, value, images FROM images.facets(%(collection)s, %(filter)s, %(most)s);

-- name: read_timeline
SELECT unit, since, until, images FROM images.timeline(%(collection)s, %(filter)s, %(most)s);

-- name: matching_ids
SELECT image_id FROM retrieval.matching_ids(%(collection)s, %(filter)s, %(after)s, %(limit)s) AS m (image_id);

-- name: search_words
SELECT image_id, similarity, image_path, resampled_image_path, group_id, intra_id, left(caption, 100001) AS caption, width,
       height, left(attributes::text, 1048577) AS attributes
FROM images.search_words(%(collection)s, %(words)s, %(k)s, %(filter)s, %(min_similarity)s, %(grouped)s);

-- name: search_hybrid
-- asked: what the other sides are asked for, as text; model: the model of the vector
SELECT image_id, similarity, image_path, resampled_image_path, group_id, intra_id, left(caption, 100001) AS caption, width,
       height, left(attributes::text, 1048577) AS attributes, found_by, scores
FROM retrieval.hybrid(
    %(collection)s, %(query)s, %(asked)s, %(k)s, %(filter)s, %(min_similarity)s, %(grouped)s, %(direction)s, %(weight)s, %(model)s);

-- name: find_weight
SELECT weight FROM retrieval.collection WHERE name = %(collection)s;

-- name: keep_weight
UPDATE retrieval.collection SET weight = %(weight)s WHERE name = %(collection)s RETURNING name;

-- name: known_ids
SELECT image_id FROM images.{view} WHERE image_id = ANY (%(ids)s);
