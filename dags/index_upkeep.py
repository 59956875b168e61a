"""### index_upkeep

Maintains every collection between its runs, once a day.

**drop_expired_vectors** drops the vectors of former models, `IMAGE_RETRIEVAL_KEEP_VECTORS_DAYS` after a switch.
**finish_changes** completes or undoes interrupted changes of the object store: files of dropped collections, pictures
that were being written or deleted. For each collection that has vectors:

1. **remove_deleted** removes images that were deleted `IMAGE_RETRIEVAL_DELETED_GRACE_DAYS` ago (row, vectors of every
   model, resampled picture), and resampled pictures without an image. It counts all orphans, and never touches an
   original.
2. **keep_index** builds or rebuilds the index, makes or proposes indexes for slow filters, and vacuums, if needed; its
   log says why. Where models run here, it embeds captions that have no vector, if the collection has a `text_model`.
3. **refresh_duplicates** finds the duplicates of new and changed images, for the view `images.duplicates`.
4. **keep_scores** fits the scores of searches again if the collection has changed much, unless its model brings a
   calibration.
5. **keep_map** makes the map of the collection if it has changed much, else places its new images there.

For a collection that is no longer in collections.yaml, only images deleted long ago are removed. You may clear any
task and run it again at any time.
"""

from airflow.sdk import DAG, task_group

from orchestration.configuration import DAG_DEFAULTS
from orchestration.upkeep import (
    drop_expired_vectors,
    finish_changes,
    keep_index,
    keep_map,
    keep_scores,
    list_collections,
    refresh_duplicates,
    remove_deleted,
)

with DAG(dag_id="index_upkeep", schedule="@daily", tags=["image-retrieval"], doc_md=__doc__, **DAG_DEFAULTS):

    @task_group
    def upkeep(collection):
        """Maintain one collection, step by step."""
        (
            remove_deleted(collection)
            >> keep_index(collection)
            >> refresh_duplicates(collection)
            >> keep_scores(collection)
            >> keep_map(collection)
        )

    drop_expired_vectors()
    finish_changes()
    upkeep.expand(collection=list_collections())
