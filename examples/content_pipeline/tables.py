"""The rows of the big tables, as lines of COPY text.

A maker gets its own noise, so tables can be filled in any order and at once. Those with a budget yield until they have made
that many bytes; the others have so many rows a document. No line needs escaping: its words are such that there is nothing to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import NormalDist

from examples.content_pipeline.noise import Noise
from examples.content_pipeline.vocabulary import WORDS, prose, slug, title

SOURCES, FEEDS, AUTHORS, TAGS, PROMPTS, PRODUCTS = 40, 200, 500, 600, 60, 300
DOCUMENTS_A_MEGABYTE = 150
CHANNELS = ("web", "app", "newsletter", "partner-feed", "print")
PARTS_OF_AN_EMBEDDING = 64
EVERGREEN_EMBEDDINGS = 2_000

_FIRST_DAY = datetime(2025, 11, 1, tzinfo=UTC)
_DAYS = tuple((_FIRST_DAY + timedelta(days=day)).strftime("%Y-%m-%d") for day in range(181))
_LANGUAGES = ("en",) * 9 + ("de",) * 3 + ("fr",) * 2 + ("pt-BR", "ja")
_STATES = ("published",) * 10 + ("draft", "draft", "in review", "in review", "withdrawn", "editor's pick")
_JOBS = ("fetch", "extract", "embed", "summarise", "publish", "notify")
_ERRORS = (
    r"timeout after 30 s",
    r"HTTP 503 from upstream",
    r"Traceback (most recent call last):\n  File \"fetch.py\", line 41\n\tKeyError",
    r"\\\\share\\folder not found",
)
_NULL = r"\N"
_HEX = tuple(f"{number:04x}" for number in range(65536))
_COORDINATES = tuple(f"{NormalDist().inv_cdf((number * 16 + 8) / 65536) / 8:.5f}" for number in range(4096))


@dataclass(frozen=True)
class Size:
    """How much to make: MiB of COPY text in all tables together, and where numbering goes on when rows are appended."""

    megabytes: float
    first_document: int = 1
    first_number: int = 1

    @property
    def documents(self) -> int:
        """Documents, and with them tags and publications, grow with the size."""
        return max(1, int(self.megabytes * DOCUMENTS_A_MEGABYTE))

    def share(self, of_whole: float) -> int:
        """A budget in bytes."""
        return int(self.megabytes * (1 << 20) * of_whole)

    def document(self, number: int) -> int:
        """One of the documents that are made, by any number."""
        return self.first_document + number % self.documents

    def through(self, part: float) -> float:
        """How far through the half year a row lies; what is appended lies at its end."""
        return part if self.first_number == 1 else 1.0


Maker = Callable[[Noise, Size], Iterator[str]]


@dataclass(frozen=True)
class Table:
    """One table to fill: its columns as COPY wants them, and who makes its lines."""

    name: str
    columns: str
    maker: Maker


def moment(noise: Noise, through: float) -> str:
    """A time about so far through the half year that the database spans, as PostgreSQL writes it."""
    low, clock, fraction = noise.take(3)
    day = _DAYS[min(180, int(through * 180) + (low & 1))]
    seconds = clock * 86_400 >> 16
    return f"{day} {seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction * 1000 >> 16 | 1:03}+00"


def hexadecimal(noise: Noise, count: int) -> str:
    """`count` bytes that do not compress, as hex digits; `count` is even."""
    return "".join(map(_HEX.__getitem__, noise.take(count // 2)))


def _uuid(noise: Noise) -> str:
    text = hexadecimal(noise, 16)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def documents(noise: Noise, size: Size) -> Iterator[str]:
    """One line a document."""
    for nth in range(size.documents):
        number, through = size.first_document + nth, size.through(nth / size.documents)
        a, b, c, d, e = noise.take(5)
        state = _STATES[a & 15]
        created = moment(noise, through)
        published = moment(noise, through) if state in ("published", "editor's pick") else _NULL
        quality = "NaN" if b < 400 else "Infinity" if b < 450 else f"{b / 65536:.4f}"
        labels = ",".join(sorted({WORDS[at] for at in noise.take(1 + (c & 3))}))
        host = f"{WORDS[d]}.example"
        metadata = (
            f'{{"seo": {{"title": "{title(noise, 5)}", "score": {c % 101}, "robots": "{"index" if c & 1 else "noindex"}"}}, '
            f'"source": "{host}", "region": "{WORDS[c]}", "paywall": {"true" if d & 1 else "false"}, "readers": {d}, '
            f'"topics": ["{WORDS[e]}", "{WORDS[a]}"]}}'
        )
        headline = title(noise, 4 + (e & 7))
        yield (
            f"{number}\t{_uuid(noise)}\t{1 + b % FEEDS}\t{c % AUTHORS}\t{slug(noise, 4)}-{number}\t"
            f"{_LANGUAGES[d % 15]}\t{state}\t{headline}\t{prose(noise, 8 + (e >> 10))}\t{{{labels}}}\t{metadata}\t"
            f'("{WORDS[d].capitalize()} Daily",https://{host}/{slug(noise, 3)},"{created}",{a / 65536:.4f})\t'
            f"{60 + (e >> 6)}\t{quality}\t{created}\t{created}\t{published}"
        )


def revisions(noise: Noise, size: Size) -> Iterator[str]:
    """Bodies of text. A third of them are the revision before with a passage replaced, as when an editor was at it."""
    budget = size.share(0.39)
    number, body = size.first_number, ""
    made = document = passes = nth = 0
    while made < budget:
        a, b, c = noise.take(3)
        if body and nth < 7 and a < 22_000:
            nth += 1
            at = len(body) * b >> 16
            at = body.find(" ", at) % len(body)  # between words, so never inside an escape
            until = body.find(" ", min(len(body) - 1, at + 200))
            body = body[:at] + " " + prose(noise, 8 + (c & 31)) + (body[until:] if until > at else "")
        else:
            nth = 1
            passes += document == size.documents
            document = document % size.documents + 1
            body = prose(noise, 30 + (480 * b * b * b >> 48))
        note = title(noise, 4) if c & 7 == 0 else _NULL
        author = c % AUTHORS if c & 15 else _NULL
        line = (
            f"{number}\t{size.document(document - 1)}\t{passes * 7 + nth}\t{author}\t{body}\t{note}\t"
            f"{moment(noise, size.through(made / budget))}"
        )
        number += 1
        made += len(line) + 1
        yield line


def document_tags(noise: Noise, size: Size) -> Iterator[str]:
    """Two to seven tags a document: many short rows."""
    for document in range(size.first_document, size.first_document + size.documents):
        first, step, count = noise.take(3)
        for nth in range(2 + count % 6):
            yield f"{document}\t{1 + (first + nth * (1 + step % 7)) % TAGS}\t{(1 + (step >> nth) % 100) / 100:g}"


def publications(noise: Noise, size: Size) -> Iterator[str]:
    """One or two channels a document."""
    for nth_document in range(size.documents):
        a, b, c = noise.take(3)
        document, day = size.first_document + nth_document, int(170 * size.through(nth_document / size.documents))
        until = f'"{_DAYS[day + 1 + a % 9]} 00:00:00+00"' if a & 3 else ""
        for nth in range(1 + (a & 1)):
            channel = CHANNELS[(a + nth) % len(CHANNELS)]
            seen = f"{{[{b},{b + 1 + c % 50}),[{b + 100},{b + 101 + c % 900})}}" if c & 1 else "{}"
            yield f'{document}\t{channel}\t["{_DAYS[day]} 06:00:00+00",{until})\t{seen}\t{b * c >> 12}'


def embeddings(noise: Noise, size: Size) -> Iterator[str]:
    """Vectors, several a document where the size asks for it; the first ones are evergreen and so in the index."""
    budget = size.share(0.07)
    number = made = 0
    while made < budget:
        vector = ",".join([_COORDINATES[at >> 4] for at in noise.take(PARTS_OF_AN_EMBEDDING)])
        document, part = size.document(number), number // size.documents
        evergreen = "t" if number < EVERGREEN_EMBEDDINGS and size.first_number == 1 else "f"
        line = f"{document}\t{part}\tsmall-text-{1 + number % 2}\t{evergreen}\t[{vector}]"
        number += 1
        made += len(line) + 1
        yield line


def media(noise: Noise, size: Size) -> Iterator[str]:
    """Bytes that do not compress; the first one is far longer than a row usually is."""
    budget = size.share(0.05)
    made = 0
    length = min(4 << 20, budget // 8) & ~1
    while made < budget:
        a, b, c = noise.take(3)
        kind = ("image", "image", "audio", "attachment")[a & 3]
        exif = f'{{"iso": {100 << (a & 3)}, "camera": "{WORDS[b]} {c % 90}", "width": {b % 4000}}}' if a & 3 < 2 else _NULL
        line = f"{_uuid(noise)}\t{size.document(a * 31 + b)}\t{kind}\t\\\\x{hexadecimal(noise, length)}\t{exif}"
        length = 200 + (b * b >> 17) & ~1
        made += len(line) + 1
        yield line


def jobs(noise: Noise, size: Size) -> Iterator[str]:
    """A queue of half a year; some jobs lie outside of all months."""
    budget = size.share(0.05)
    number, made = size.first_number, 0
    while made < budget:
        a, b, c, d = noise.take(4)
        queued = moment(noise, size.through(made / budget)) if a > 300 else f"2024-0{1 + a % 9}-11 00:00:{a % 60:02}+00"
        state = "done" if b > 4000 else "failed" if b > 2500 else "dead" if b > 1500 else "running" if b > 900 else "queued"
        error = _ERRORS[b & 3] if state in ("failed", "dead") else _NULL
        payload = f'{{"url": "https://{WORDS[c]}.example/{slug(noise, 3)}", "depth": {d & 7}, "priority": {b % 10}}}'
        took = f"00:0{a % 10}:{b % 60:02}.{d % 1000 | 1:03}" if state == "done" else _NULL
        document = size.document(c << 16 | d)
        line = f"{number}\t{queued}\t{_JOBS[c % 6]}\t{state}\t{document}\t{1 + (b & 3)}\t{payload}\t{took}\t{error}"
        number += 1
        made += len(line) + 1
        yield line


def events(noise: Noise, size: Size) -> Iterator[str]:
    """What the pipeline reports."""
    budget = size.share(0.155)
    number, made = size.first_number, 0
    while made < budget:
        a, b, c, d = noise.take(4)
        severity = "debug" if a < 25_000 else "info" if a < 60_000 else "warning" if a < 64_500 else "error"
        payload = (
            f'{{"host": "worker-{a % 24:02}", "step": "{_JOBS[b % 6]}", "bytes": {b * c >> 8}, "took_ms": {d >> 3}, '
            f'"detail": "{title(noise, 3 + (d & 7))}"}}'
        )
        occurred = moment(noise, size.through(made / budget))
        trace = _uuid(noise) if d & 3 == 0 else _NULL
        line = f"{number}\t{occurred}\t{severity}\t{_JOBS[b % 6]}.ended\t{size.document(c << 16 | d)}\t{trace}\t{payload}"
        number += 1
        made += len(line) + 1
        yield line


def generations(noise: Noise, size: Size) -> Iterator[str]:
    """What language models were asked, and said."""
    budget = size.share(0.105)
    made = 0
    while made < budget:
        a, b, c, d = noise.take(4)
        prompt = a % PROMPTS
        text_in, text_out = prose(noise, 20 + (b >> 10)), prose(noise, 10 + (c >> 9)) if c > 500 else _NULL
        tokens_in, tokens_out = len(text_in) // 4, len(text_out) // 4
        cost = tokens_in * 0.00000025 + tokens_out * 0.00000125
        line = (
            f"{_uuid(noise)}\tprompt-{prompt:02}\t{1 + prompt % 3}\t{size.document(c << 16 | d)}\t{text_in}\t{text_out}\t"
            f"{tokens_in}\t{tokens_out}\t{cost:.8f}\t00:00:{b % 60:02}.{a % 1000 | 1:03}\t"
            f"{moment(noise, size.through(made / budget))}"
        )
        made += len(line) + 1
        yield line


def audit(noise: Noise, size: Size) -> Iterator[str]:
    """Who changed what."""
    budget = size.share(0.06)
    number, made = size.first_number, 0
    while made < budget:
        a, b, c, d = noise.take(4)
        action = "I" if a < 20_000 else "U" if a < 64_000 else "D"
        at, relation = moment(noise, size.through(made / budget)), ("documents", "revisions", "media")[c % 3]
        changes = f'{{"title": "{title(noise, 4)}", "state": "{_STATES[b & 15]}", "updated_at": "{at}", "words": {d}}}'
        line = (
            f"{number}\t{at}\t{WORDS[d]}\tcontent.{relation}\t{action}\t"
            f"{size.document(c << 16 | d)}\t{changes if action != 'D' else _NULL}"
        )
        number += 1
        made += len(line) + 1
        yield line


TABLES = (  # the largest first, so that parallel sessions end together
    Table("content.revisions", "id, document_id, number, author_id, body, note, created_at", revisions),
    Table(
        "content.documents",
        "id, guid, feed_id, lead_author_id, slug, language, state, title, summary, labels, metadata, origin, "
        "word_count, quality, created_at, updated_at, published_at",
        documents,
    ),
    Table("pipeline.events", "id, occurred_at, severity, name, document_id, trace, payload", events),
    Table(
        "pipeline.generations",
        "id, prompt, prompt_version, document_id, input, output, tokens_in, tokens_out, cost, took, created_at",
        generations,
    ),
    Table("content.embeddings", "document_id, part, model, evergreen, embedding", embeddings),
    Table("ops.audit", "id, at, actor, relation, action, row_key, changes", audit),
    Table("pipeline.jobs", "id, queued_at, kind, state, document_id, attempts, payload, took, error", jobs),
    Table("content.media", "id, document_id, kind, bytes, exif", media),
    Table("content.document_tags", "document_id, tag_id, weight", document_tags),
    Table("content.publications", "document_id, channel, visible, seen_by, clicks", publications),
)
