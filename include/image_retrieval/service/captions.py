"""What models wrote of the images that a search found."""

from image_retrieval.service.schemas import Paged, Results
from image_retrieval.service.state import Service
from image_retrieval.store.images import find_captions


def captioned(service: Service, form: Paged, found: Results) -> Results:
    """The same results, with their captions in each language if the form asks for them."""
    if form.captions and found.results:
        with service.transaction() as connection:
            captions = find_captions(connection, found.collection, [one.image_id for one in found.results])
        for one in found.results:
            one.captions = captions.get(one.image_id)
    return found
