-- name: find
SELECT id FROM retrieval.project;
