"""Searches and comparisons."""

from fastapi import APIRouter

from image_retrieval.service import search as searches
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.captions import captioned
from image_retrieval.service.choosing_schemas import Timeline, TimelineForm
from image_retrieval.service.schemas import Facets, FacetsForm, Match, MatchForm, Results, SearchForm, SimilarForm
from image_retrieval.service.state import Service


def router(service: Service) -> APIRouter:
    """The routes of one service."""
    routes = strict_router(prefix="/api", tags=["search"], reads=True)

    @routes.post("/search")
    def search(form: SearchForm) -> Results:
        """Search by pictures, by texts, or by both. A negative weight means less of it."""
        return captioned(service, form, searches.search(service, form))

    @routes.post("/similar")
    def similar(form: SimilarForm) -> Results:
        """The images most like one of the collection."""
        return captioned(service, form, searches.similar(service, form))

    @routes.post("/match")
    def match(form: MatchForm) -> Match:
        """How alike two pictures are."""
        return searches.match(service, form)

    @routes.post("/facets")
    def facets(form: FacetsForm) -> Facets:
        """How many images, of all or of those that match a filter, have each colour, format, shape, group and year."""
        return searches.facets(service, form)

    @routes.post("/timeline")
    def timeline(form: TimelineForm) -> Timeline:
        """How many images, of all or of those that match a filter, were taken when."""
        return searches.timeline(service, form)

    return routes
