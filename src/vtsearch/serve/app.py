"""The HTTP application: routes under /v1, and the page."""

from __future__ import annotations

from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, FastAPI, Path, Query, Request
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from vtsearch.errors import installed_version
from vtsearch.serve import problems, wire
from vtsearch.serve.assets import add_page
from vtsearch.serve.caching import is_known, tagged
from vtsearch.serve.guard import COOKIE, Guard, GuardSettings, digest_of
from vtsearch.serve.pictures import LEAST_SIDE, MOST_SIDE, THUMBNAIL_TYPE
from vtsearch.serve.telemetry import Telemetry
from vtsearch.serve.uploads import FORM, media_type, read_form, refuse_other

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from vtsearch.serve.service import SearchService

JSON = "application/json"
DESCRIPTION = """Search, look at and clean indexes of binary codes.

Every answer that is an error has the type `application/problem+json`; its `detail` is one sentence."""
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {THUMBNAIL_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "the client has this picture"},
}

IndexName = Annotated[
    str | None, Query(alias="index", max_length=wire.LONGEST_TEXT, description="a served index; by default the first")
]
QueriesName = Annotated[
    str | None,
    Query(alias="queries", max_length=wire.LONGEST_TEXT, description="index of the queries; by default the same"),
]
Where = Annotated[str | None, Query(max_length=wire.LONGEST_TEXT, description="a condition in SQL")]
ItemId = Annotated[str, Path(description="an id, with / as %2F", max_length=3 * wire.LONGEST_TEXT)]
Offset = Annotated[int, Query(ge=0, le=2**31)]
Limit = Annotated[int, Query(ge=1, le=200)]


async def _only_json(request: Request) -> None:
    refuse_other(request, JSON)


ONLY_JSON = [Depends(_only_json)]


def build_app(service: SearchService, settings: GuardSettings | None = None) -> FastAPI:
    """The application of a service; whoever runs it starts and ends the service with it."""
    settings = settings or GuardSettings()
    telemetry = Telemetry(service.about)

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    app = FastAPI(
        title="vtsearch",
        version=f"v1 ({installed_version('vtsearch')})",
        description=DESCRIPTION,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # they would load scripts from elsewhere
        redoc_url=None,
        lifespan=life,
        redirect_slashes=False,  # an address that is nearly right is a mistake, as a word of the command line is
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app)
    _add_searches(app, service)
    _add_items(app, service)
    _add_views(app, service)
    _add_duplicates(app, service)
    _add_operations(app, service, settings, telemetry)
    add_page(app)
    app.add_middleware(Guard, settings=settings, telemetry=telemetry)
    return app


def _add_searches(app: FastAPI, service: SearchService) -> None:
    @app.post(
        "/v1/search",
        response_model=wire.SearchAnswer,
        responses=problems.documented(404, 415, 422),
        openapi_extra=_body(wire.SearchRequest, "query"),
        tags=["search"],
    )
    async def search(request: Request) -> Response:
        """The nearest items of an item, a code or an uploaded picture; or the items that a condition holds for."""
        refuse_other(request, JSON, FORM)
        if media_type(request) == JSON:
            return _answer(await service.search(_parsed(wire.SearchRequest, await request.body())))
        upload, fields = await read_form(request, "image", "query")
        return _answer(await service.search(_parsed(wire.SearchRequest, fields.get("query", "{}")), upload))

    @app.post("/v1/search/batch", responses=problems.documented(404, 415, 422), dependencies=ONLY_JSON, tags=["search"])
    async def search_batch(request: wire.BatchRequest) -> wire.BatchAnswer:
        """The answers of several queries, in one pass over each index."""
        return _answer(await service.batch(request))  # type: ignore[return-value]

    @app.post(
        "/v1/encode",
        response_model=wire.Encoded,
        responses=problems.documented(404, 415, 422),
        openapi_extra=_body(None, None),
        tags=["search"],
    )
    async def encode(request: Request, index: IndexName = None) -> Response:
        """The code of an uploaded picture."""
        refuse_other(request, FORM)
        upload, _ = await read_form(request, "image")
        return _answer(await service.encode(index, upload))


def _add_items(app: FastAPI, service: SearchService) -> None:
    @app.get("/v1/index", responses=problems.documented(), tags=["indexes"])
    async def index() -> wire.Service:
        """The server and its indexes."""
        return service.about()

    @app.get("/v1/items/{id}", responses=problems.documented(404, 422), tags=["items"])
    async def item(id: ItemId, index: IndexName = None) -> wire.Item:  # noqa: A002 (the API's word)
        """An item."""
        return _answer(await service.item(index, _decoded(id)))  # type: ignore[return-value]

    @app.get(
        "/v1/items/{id}/thumbnail",
        response_class=Response,
        responses=_PICTURE | problems.documented(404, 422),
        tags=["items"],
    )
    async def thumbnail(
        request: Request,
        id: ItemId,  # noqa: A002
        index: IndexName = None,
        side: Annotated[
            int, Query(ge=LEAST_SIDE, le=MOST_SIDE, description="pixels of the longer side, at most")
        ] = 192,
    ) -> Response:
        """The picture of an item, small."""
        picture = await service.picture(index, _decoded(id), side)
        headers = tagged(picture.name.encode(), "private, max-age=60")
        if is_known(request, headers):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(await picture.content(), media_type=THUMBNAIL_TYPE, headers=headers)

    @app.post("/v1/items", responses=problems.documented(404, 415, 422), dependencies=ONLY_JSON, tags=["items"])
    async def add_items(request: wire.AddRequest) -> wire.Changed:
        """Add items, all of them or none; only with --writable."""
        return await service.add(request)

    @app.delete("/v1/items/{id}", responses=problems.documented(404, 422), tags=["items"])
    async def remove_item(id: ItemId, index: IndexName = None) -> wire.Changed:  # noqa: A002
        """Remove an item from the index, not its picture; only with --writable."""
        return await service.remove(index, _decoded(id))


def _add_views(app: FastAPI, service: SearchService) -> None:
    @app.get("/v1/facets", responses=problems.documented(404, 422), tags=["views"])
    async def facets(index: IndexName = None, where: Where = None) -> wire.Facets:
        """Labels and values of metadata with their counts."""
        return _answer(await service.facets(index, where))  # type: ignore[return-value]

    @app.get("/v1/bits", responses=problems.documented(404, 422), tags=["views"])
    async def bits(index: IndexName = None) -> wire.Bits:
        """Balance and strongest correlation of each bit."""
        return await service.bits(index)

    @app.get("/v1/bits/{bit}", responses=problems.documented(404, 422), tags=["views"])
    async def bit(bit: Annotated[int, Path(ge=0, le=65_528)], index: IndexName = None) -> wire.BitSides:
        """Items with 0 and with 1 at a bit."""
        return await service.bit_sides(index, bit)

    @app.get("/v1/mistakes", responses=problems.documented(404, 422), tags=["views"])
    async def mistakes(
        index: IndexName = None,
        queries: QueriesName = None,
        label: Annotated[int | None, Query(alias="class", ge=0, le=2**53)] = None,
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> wire.Mistakes:
        """A sample of queries by average precision, the lowest first."""
        return _answer(await service.mistakes(index, queries, label=label, offset=offset, limit=limit))  # type: ignore[return-value]

    @app.get("/v1/mistakes/pairs", responses=problems.documented(404, 422), tags=["views"])
    async def pairs(
        row: Annotated[int, Query(ge=0, le=2**53)],
        column: Annotated[int, Query(ge=0, le=2**53)],
        index: IndexName = None,
        queries: QueriesName = None,
        limit: Limit = 50,
    ) -> wire.Pairs:
        """Queries of one class with first results of another."""
        return _answer(await service.pairs(index, queries, row, column, limit))  # type: ignore[return-value]


def _add_duplicates(app: FastAPI, service: SearchService) -> None:
    @app.get("/v1/duplicates", responses=problems.documented(404, 422), tags=["duplicates"])
    async def duplicates(  # noqa: PLR0917 (FastAPI passes all by name)
        radius: Annotated[int, Query(ge=0, le=65_528, description="bits in which two items may differ")],
        index: IndexName = None,
        keep: Annotated[str, Query(max_length=wire.LONGEST_TEXT, description="the item to keep")] = "first",
        answered: Annotated[bool, Query(description="whether decided groups are among them")] = False,
        where: Where = None,
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> wire.DuplicatePage:
        """Groups of near-duplicates."""
        page = await service.duplicates(
            index, radius, keep=keep, answered=answered, where=where, offset=offset, limit=limit
        )
        return _answer(page)  # type: ignore[return-value]

    @app.get("/v1/decisions", responses=problems.documented(404, 422), tags=["duplicates"])
    async def decisions(index: IndexName = None) -> wire.Decisions:
        """What people said of near-duplicates."""
        return await service.decisions(index)

    @app.post(
        "/v1/decisions", responses=problems.documented(404, 415, 422), dependencies=ONLY_JSON, tags=["duplicates"]
    )
    async def decide(request: wire.DecideRequest) -> wire.DecisionCount:
        """Keep decisions; nothing is removed by them."""
        return await service.decide(request)

    @app.post(
        "/v1/decisions/forget",
        responses=problems.documented(404, 415, 422),
        dependencies=ONLY_JSON,
        tags=["duplicates"],
    )
    async def forget(request: wire.ForgetRequest) -> wire.DecisionCount:
        """Forget what was said of some items."""
        return await service.forget(request)


def _add_operations(app: FastAPI, service: SearchService, settings: GuardSettings, telemetry: Telemetry) -> None:
    @app.post("/v1/session", status_code=204, responses=problems.documented(), tags=["operations"])
    async def session() -> Response:
        """Keep the token of this request in a cookie: pictures in a page cannot carry a header."""
        response = Response(status_code=204)
        if settings.token is not None:
            response.set_cookie(COOKIE, digest_of(settings.token), httponly=True, samesite="strict")
        return response

    @app.get("/healthz", responses=problems.documented(), tags=["operations"])
    async def healthz() -> wire.Health:
        """Whether the server lives."""
        return wire.Health(status="alive")

    @app.get("/readyz", responses=problems.documented(), tags=["operations"])
    async def readyz() -> wire.Health:
        """Whether the server is ready: indexes open, models loaded."""
        if not service.is_ready:
            raise HTTPException(503, "a model is being loaded; try again in a moment")
        return wire.Health(status="ready")

    @app.get("/metrics", response_class=Response, responses=problems.documented(), tags=["operations"])
    async def metrics() -> Response:
        """Counts and times of requests, for Prometheus."""
        return Response(telemetry.text(), media_type="text/plain; version=0.0.4")


def _answer(model: BaseModel) -> Response:
    """A model as JSON; what the service made is not checked again."""
    return Response(model.model_dump_json(), media_type=JSON)


def _parsed(kind: type[wire.SearchRequest], content: bytes | str) -> wire.SearchRequest:
    """A request of a JSON text.

    Raises:
        RequestValidationError: as FastAPI raises it for a body.
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise problems.of_validation(error) from error


def _decoded(name: str) -> str:
    """An id from an address, in which the guard has left its escapes."""
    return unquote(name, errors="surrogateescape")


def _body(kind: type[BaseModel] | None, field: str | None) -> dict[str, Any]:
    """The OpenAPI description of a body that is JSON, or a form with a picture."""
    form: dict[str, Any] = {"image": {"type": "string", "format": "binary", "description": "a picture of any format"}}
    content: dict[str, Any] = {}
    if kind is not None and field is not None:
        content[JSON] = {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}
        form[field] = {"type": "string", "contentMediaType": JSON, "description": f"a {kind.__name__}"}
    schema = {"type": "object", "properties": form, "required": ["image"], "additionalProperties": False}
    content[FORM] = {"schema": schema}
    return {"requestBody": {"required": True, "content": content}}
