-- name: find_two
-- a drawn scene and its near-duplicate
SELECT image_id FROM images.{view} ORDER BY NOT starts_with(image_id, 'red-circle/0000'), image_id LIMIT 2;

-- name: similar_to
SELECT image_id, round(similarity::numeric, 4) AS similarity
FROM images.similar_to({collection}, {first}, k => 5);

-- name: by_distance
SELECT image_id, round((1 - (embedding <=> query))::numeric, 4) AS similarity
FROM images.{view}, (SELECT embedding AS query FROM images.{view} WHERE image_id = {second})
ORDER BY embedding <=> query LIMIT 5;

-- name: match
SELECT round(images.match({collection}, {first}, {second})::numeric, 4) AS similarity;
