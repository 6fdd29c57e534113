"""The types of the HTTP API: what a request may say and what an answer holds, as the OpenAPI schema describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_RESULTS = 1_000
"""Results of one query."""
MOST_QUERIES = 256
"""Queries of one batch."""
MOST_ITEMS = 10_000
"""Items that one request adds."""
LONGEST_TEXT = 4_096
"""Characters of an id or a condition."""
LARGEST_INT = 2**63 - 1

Name = Annotated[str, Field(max_length=LONGEST_TEXT)]
Value = Annotated[int, Field(ge=-LARGEST_INT - 1, le=LARGEST_INT)] | Annotated[float, Field(allow_inf_nan=False)] | str


class Wire(BaseModel):
    """A type of the API; a field that it does not have is an error, as a misspelt option is."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(description="the status in words", examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(
        description="one sentence: what was expected and what came", examples=["k: expected at least 1, got 0"]
    )


class Limits(Wire):
    """Bounds of the server."""

    k: int
    batch: int
    upload_bytes: int
    pixels: int


class IndexInfo(Wire):
    """A served index."""

    name: str = Field(description="what requests call it", examples=["photos"])
    items: int
    bits: int
    labels: Literal["none", "single", "multi"]
    classes: list[str] = Field(description="class names by class id; empty if unknown")
    columns: dict[str, str] = Field(description="columns of metadata with their types", examples=[{"width": "INTEGER"}])
    pictures: bool = Field(description="whether the index says where its pictures are")
    encodes: bool = Field(description="whether a picture can be the query")
    model: str | None = Field(description="fingerprint of the model")
    folder: str = Field(description="last part of the index's path")
    generation: str = Field(description="changes whenever the items do")


class Service(Wire):
    """The server and its indexes."""

    version: str
    writable: bool = Field(description="whether items can be added and removed")
    decides: bool = Field(description="whether decisions on near-duplicates are kept")
    limits: Limits
    indexes: list[IndexInfo]


class Item(Wire):
    """An item of an index."""

    id: str
    labels: list[int] = Field(description="class ids")
    names: list[str] = Field(description="class names, or the ids as text")
    code: str = Field(description="in hexadecimal", examples=["9f3c6a0277e1d405"])
    metadata: dict[str, int | float | str | None]
    thumbnail: str | None = Field(description="address of a small picture")
    image: str | None = Field(description="address of a larger picture")


class Result(Item):
    """An item that a search found."""

    distance: int | None = Field(description="Hamming distance; null where a condition alone was asked")
    relevant: bool | None = Field(description="whether it shares a label with the query; null where that is unknown")


class Query(Wire):
    """The query of an answer, as far as it is known."""

    id: str | None
    code: str | None
    labels: list[int]
    names: list[str]
    metadata: dict[str, int | float | str | None]
    thumbnail: str | None
    image: str | None


class Histogram(Wire):
    """Items by distance."""

    counts: list[int] = Field(description="items at distance 0, 1, ..., bits")
    relevant: list[int] | None = Field(description="those that share a label with the query")


class Timings(Wire):
    """Milliseconds."""

    decode: float = 0
    model: float = 0
    ranking: float = 0
    total: float = 0


class SearchRequest(Wire):
    """A query: an item, a code, or an uploaded picture; without one, the items that a condition holds for."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "dog/00421.jpg", "k": 50},
                {"code": "9f3c6a0277e1d405", "radius": 4, "where": "label = 3"},
            ]
        }
    )

    index: Name | None = Field(None, description="name of a served index; by default the first")
    id: Name | None = Field(None, description="an item of the index as query")
    code: Name | None = Field(None, description="a code in hexadecimal as query")
    k: int = Field(50, ge=1, le=MOST_RESULTS, description="results at most")
    radius: int | None = Field(None, ge=0, le=65_528, description="largest distance of a result")
    where: Name | None = Field(None, description="a condition in SQL on id, label and the columns of metadata")
    exclude_self: bool = Field(True, description="whether an item does not find itself")
    exclude: list[Name] = Field([], max_length=MOST_RESULTS, description="ids that are not found")
    bits: int | None = Field(None, ge=1, le=65_528, description="compare the first bits of the codes alone")
    histogram: bool = Field(True, description="whether the answer has the number of items at each distance")


class SearchAnswer(Wire):
    """The nearest items, in the order (distance, position in the index)."""

    index: str
    generation: str
    bits: int
    items: int = Field(description="how many could be found")
    query: Query | None
    histogram: Histogram | None = Field(description="of all items that could be found; null for a condition alone")
    results: list[Result]
    timings: Timings
    how: str = Field(description="how the answers were found")


class BatchRequest(Wire):
    """Several queries at once."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"queries": [{"id": "dog/00421.jpg", "k": 5}, {"code": "9f3c6a0277e1d405"}]}]}
    )

    queries: list[SearchRequest] = Field(min_length=1, max_length=MOST_QUERIES)


class BatchAnswer(Wire):
    """Answers, in the order of the queries."""

    answers: list[SearchAnswer]


class Encoded(Wire):
    """The code of a picture."""

    index: str
    code: str
    bits: int
    fingerprints: dict[str, str]
    timings: Timings


class NewItem(Wire):
    """An item to add."""

    id: Name
    code: Name = Field(description="in hexadecimal")
    labels: list[Annotated[int, Field(ge=0, le=LARGEST_INT)]] | None = Field(None, max_length=LONGEST_TEXT)
    metadata: dict[Name, Value | None] = Field({}, max_length=256)


class AddRequest(Wire):
    """Items to add: all of them, or after an error none."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"id": "a.jpg", "code": "9f3c6a0277e1d405", "metadata": {"width": 640}}]}]
        }
    )

    index: Name | None = None
    items: list[NewItem] = Field(min_length=1, max_length=MOST_ITEMS)
    upsert: bool = Field(False, description="whether items take the place of those with the same ids")


class Changed(Wire):
    """The index after a change."""

    index: str
    items: int
    generation: str


class LabelCount(Wire):
    """Items of a class."""

    label: int
    name: str
    count: int


class ValueCount(Wire):
    """Items with a value."""

    value: int | float | str
    count: int


class Column(Wire):
    """The values of a column of metadata."""

    name: str
    type: str
    missing: int
    least: int | float | str | None
    most: int | float | str | None
    distinct: int
    values: list[ValueCount] = Field(description="the most frequent, at most 50")


class Facets(Wire):
    """What one can filter by."""

    items: int
    sampled: int = Field(description="items whose columns were counted; fewer than all in a large index")
    labels: list[LabelCount]
    columns: list[Column]


class Bits(Wire):
    """Statistics of each bit, over a sample of the items."""

    bits: int
    sampled: int
    balance: list[float] = Field(description="share of ones")
    partner: list[int] = Field(description="the bit of the strongest correlation")
    correlation: list[float] = Field(description="with the partner")


class BitSides(Wire):
    """Items with 0 and with 1 at a bit."""

    bit: int
    balance: float
    partner: int
    correlation: float
    zeros: list[Item]
    ones: list[Item]


class MeanAveragePrecision(Wire):
    """mAP over the whole index, with its bounds and its interval."""

    expected: float
    best: float
    worst: float
    low: float
    high: float


class ClassScore(Wire):
    """mAP of the queries of a class."""

    label: int
    name: str
    queries: int
    map: float


class Confusion(Wire):
    """Classes of the first results, by class of the query."""

    top: int = Field(description="first results of each query that are counted")
    labels: list[int]
    names: list[str]
    counts: list[list[int]] = Field(description="a row for each class of queries, a column for each of results")


class Mistake(Wire):
    """A query with its average precision."""

    item: Item
    average_precision: float
    relevance: str = Field(description="1 or 0 for each of its first results", examples=["1110110"])
    wrong: int


class Mistakes(Wire):
    """Queries, the lowest average precision first."""

    index: str
    queries: str = Field(description="the index whose items are the queries")
    sampled: int
    of: int
    map: MeanAveragePrecision
    classes: list[ClassScore]
    confusion: Confusion | None
    total: int
    offset: int
    results: list[Mistake]


class Pair(Wire):
    """A query and one of its results."""

    query: Item
    found: Item
    distance: int
    rank: int


class Pairs(Wire):
    """Queries of one class with results of another."""

    row: int
    column: int
    total: int
    pairs: list[Pair]


Verdict = Literal["keep", "remove", "distinct"]


class Member(Item):
    """An item of a group of near-duplicates."""

    verdict: Literal["keep", "remove"] | None


class Group(Wire):
    """Near-duplicates, the one to keep first."""

    key: str = Field(description="the same for the same items")
    diameter: int = Field(description="largest distance between two of them")
    size: int = Field(description="how many items there are; the answer has 1,000 at most")
    items: list[Member]


class DuplicatePage(Wire):
    """Groups of near-duplicates."""

    index: str
    radius: int
    groups: int
    undecided: int
    redundant: int = Field(description="items that could go")
    offset: int
    results: list[Group]


class DecisionOf(Wire):
    """What a person said: keep or remove one item, or that several are distinct."""

    verdict: Verdict
    ids: list[Name] = Field(min_length=1, max_length=MOST_RESULTS)


class Decision(Wire):
    """What a person said, here or elsewhere."""

    verdict: Verdict
    ids: list[str]


class Decisions(Wire):
    """All decisions, in the order in which they were made."""

    decisions: list[Decision]


class DecideRequest(Wire):
    """Decisions to keep."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decisions": [{"verdict": "keep", "ids": ["dog/00421.jpg"]}]}]}
    )

    index: Name | None = None
    decisions: list[DecisionOf] = Field(min_length=1, max_length=MOST_RESULTS)


class ForgetRequest(Wire):
    """Items whose decisions are to be forgotten."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": ["dog/00421.jpg"]}]})

    index: Name | None = None
    ids: list[Name] = Field(min_length=1, max_length=MOST_RESULTS)


class DecisionCount(Wire):
    """How many decisions there are."""

    decisions: int


class Health(Wire):
    """Whether the server lives, or is ready."""

    status: str
    detail: dict[str, Any] = {}
