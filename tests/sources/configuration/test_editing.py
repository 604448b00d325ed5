"""One value of a file changes, and nothing else does: a person who compares the file before and after sees one difference."""

from __future__ import annotations

import json
import tomllib

import pytest
import yaml

from holdfast.errors import NotFoundError, RefusedError
from holdfast.sources.configuration.editing import Scalar, with_value
from holdfast.sources.configuration.formats import Format

YAML = """\
# how the shop runs
server:   # two spaces
    port: 8080      # of the proxy
    hosts: [ a.example, "b.example" ]
    name: 'it''s'
empty:
flow: {level: info, on: yes}
text: |
    a
    b
base: &base {retries: 3}
copy: *base
"""
JSON = '{\n\t"server": {"port":8080, "hosts": ["a", "b"], "a.b": 1},\r\n  "on" : true, "name": "x\\u00e9\\/"\n}\n'
TOML = """\
title = "a # b" # a remark
[server]
port = 8_080 # of the proxy
'odd key' = 1.50
limits.cpu = 2
long = [
  1,
]
[[worker]]
port = 1
"""
INI = "[server]\nport: 8080\nname = x y\nodd = 1 # x\n; port = 1\n[other]\nport=1\nmulti = a\n  b\n"
ENV = "# x\nexport PORT=8080 # of the proxy\nNAME='a b'\n"


@pytest.mark.parametrize(
    ("kind", "text", "path", "value", "old", "new"),
    [
        ("YAML", YAML, "server.port", 9090, "port: 8080 ", "port: 9090 "),
        ("YAML", YAML, "server.port", "9090", "port: 8080 ", 'port: "9090" '),
        ("YAML", YAML, "server.hosts.1", "c.example", '"b.example"', '"c.example"'),
        ("YAML", YAML, "server.hosts.0", "c, d", "[ a.example", '[ "c, d"'),
        ("YAML", YAML, "server.name", "that's", "'it''s'", "'that''s'"),
        ("YAML", YAML, "empty", "x", "empty:\n", "empty: x\n"),
        ("YAML", YAML, "flow.level", "debug", "level: info", "level: debug"),
        ("YAML", YAML, "flow.level", "no", "level: info", 'level: "no"'),
        ("JSON", JSON, "server.port", 9090, '"port":8080', '"port":9090'),
        ("JSON", JSON, "server.hosts.1", 'q"', '"b"]', '"q\\""]'),
        ("JSON", JSON, "server.a.b", None, '"a.b": 1', '"a.b": null'),
        ("JSON", JSON, "on", False, '"on" : true', '"on" : false'),
        ("TOML", TOML, "server.port", 9090, "port = 8_080 #", "port = 9090 #"),
        ("TOML", TOML, "title", "c", '"a # b" #', '"c" #'),
        ("TOML", TOML, "server.odd key", 2, "1.50", "2"),
        ("TOML", TOML, "server.limits.cpu", 4, "cpu = 2", "cpu = 4"),
        ("TOML", TOML, "worker.0.port", 2, "port = 1", "port = 2"),
        ("INI", INI, "server.port", 9090, "port: 8080", "port: 9090"),
        ("INI", INI, "other.port", "a b", "port=1\n", "port=a b\n"),
        (".env", ENV, "PORT", 9090, "PORT=8080 #", "PORT=9090 #"),
        (".env", ENV, "NAME", "it's", "'a b'", '"it\'s"'),
    ],
)
def test_a_value_is_replaced_where_it_stands(kind: Format, text: str, path: str, value: Scalar, old: str, new: str) -> None:
    assert text.count(old) == 1 or (path, text.count(old)) == ("worker.0.port", 1)
    assert with_value(kind, text, path, value) == text.replace(old, new)
    marked = with_value(kind, "\ufeff" + text, path, value)
    assert marked == "\ufeff" + text.replace(old, new)


def test_values_keep_the_types_that_they_were_given() -> None:
    assert yaml.safe_load(with_value("YAML", YAML, "server.port", "9090"))["server"]["port"] == "9090"
    assert yaml.safe_load(with_value("YAML", YAML, "flow.level", "true"))["flow"]["level"] == "true"
    assert yaml.safe_load(with_value("YAML", YAML, "flow.level", True))["flow"]["level"] is True
    assert json.loads(with_value("JSON", JSON, "on", "true"))["on"] == "true"
    assert tomllib.loads(with_value("TOML", TOML, "server.port", "9090"))["server"]["port"] == "9090"


@pytest.mark.parametrize(
    ("kind", "text", "path", "value"),
    [
        ("YAML", YAML, "text", "one line"),
        ("YAML", YAML, "base.retries", 4),  # the copy would change, too
        ("YAML", "a: 1\na: 2\n", "a", 3),
        ("YAML", "a: [1\n", "a.0", 3),
        ("JSON", '{"a": 1, "a": 2}', "a", 3),
        ("TOML", TOML, "server.long.0", 3),
        ("TOML", TOML, "server.port", None),
        ("INI", INI, "server.odd", 2),
        ("INI", INI, "other.multi", "c"),
        ("INI", INI, "server.name", "c\n[third]"),
        (".env", "A=1\nA=2\n", "A", 3),
    ],
)
def test_what_can_not_be_replaced_alone_is_refused(kind: Format, text: str, path: str, value: Scalar) -> None:
    with pytest.raises(RefusedError):
        with_value(kind, text, path, value)


def test_a_value_that_is_not_there_is_not_added() -> None:
    for kind, text in (("YAML", YAML), ("JSON", JSON), ("TOML", TOML), ("INI", INI), (".env", ENV)):
        with pytest.raises(NotFoundError):
            with_value(kind, text, "server.nothing", 1)  # type: ignore[arg-type]
