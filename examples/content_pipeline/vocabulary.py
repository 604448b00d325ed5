"""Prose, made by looking numbers up in a table of words whose frequencies fall off as those of real language do.

A made text has sentences, commas and paragraphs, because some entries of the table carry the punctuation with them. It means
nothing, and compresses about as well as what people write.
"""

from __future__ import annotations

from examples.content_pipeline.noise import Noise

# The commonest first: an entry's place decides how often it is drawn.
_WORDS = """
the of and to a in is for that it on with as was are by this be at from or have an which not its more has but can their will
new other than about when one also had they been into after what first there some all time out up two only most over may such
we people between these many use would if year how system where each through while during make no work very before used well
any because data content them number same our part three under both story day then state market might long editor however
reader even should without high small within source since against company report article world city week between general
public large service still research known week according group local major show information later set several another early
team place right water power start list second record result light model change point process document school level order
issue author case question problem account support member house event review value history network business change section
government control standard minister language science century energy image course rate share growth future policy journal
figure student office culture product project street market author series version practice quality interest director plan
community method village family season station summer theatre climate museum archive garden bridge harbour mountain library
release draft publish schedule update revise translate summarise collect compare deliver describe explain improve increase
measure observe prepare present produce propose protect receive reduce remain replace require respond restore return reveal
select separate suggest supply travel understand visit welcome write answer appear arrive believe belong bring build carry
choose consider continue create decide develop discover discuss enter establish expect follow gather happen include inform
introduce invite involve keep learn leave listen matter mention move notice offer open operate organise own participate pass
perform permit pick point prefer prevent promise prove provide raise reach recognise refer reflect refuse regard relate rely
remember repeat represent rise rule save seem sense serve settle share sign speak spend stand stay stop study succeed suffer
able ancient available broad careful central certain clear close common complete complex constant cool correct current deep
detailed digital direct distant double early eastern effective empty entire equal evident exact expensive extra fair familiar
famous final fine firm flat foreign formal former fresh friendly full gentle global golden grand heavy hidden honest human
ideal important independent inner instant joint keen large late leading legal likely linear literary logical lucky main
mature medical mental mild mobile modern modest moral narrow native natural neat necessary nervous neutral noble normal
northern obvious odd official ordinary organic original outer pale parallel partial patient peaceful permanent personal
physical plain pleasant popular positive possible practical precise previous prime private proper proud pure quick quiet
rapid rare raw ready real recent regional regular relevant remote rich rough round rural safe scientific secret secure
senior serious severe sharp short silent similar simple single slight slow smooth social soft solar solid southern special
stable steady steep strange strict strong sudden suitable super supreme sure sweet technical tender thick thin tight tiny
total tough traditional typical unique universal upper urban usual vague valid valuable various vast vital warm weak western
wide wild wise wooden young acre agent angle animal apple army arrow artist aunt autumn balance band bank barrel basin basket
battery beach bell benefit bicycle bird board boat border bottle boundary branch bread breath brick budget butter cabinet
cable calendar camera canal candle captain castle ceiling cellar chain chapel chapter charter choice chorus circle citizen
claim clerk cliff clock cloth cloud coast coffee college colour column comment committee compass concert copper corner cotton
council country county courage cousin craft crew crop crowd crown current curtain custom dance danger daughter dealer debate
debt decade degree demand desert design desk detail device dialogue diary dinner distance district dock doctor dream drawer
driver dust duty eagle earth east edge effort egg election element empire engine entry error essay estate evening evidence
example exchange exercise export expert eye fabric factor factory failure faith fashion father feather feature fence ferry
festival field film finger fire fish flag fleet flight floor flour flower folk food forest form fortune foundation fountain
frame freight friend frontier fruit fuel function furniture gallery gate giant glass goal grain grammar grass gravity ground
guard guest guide guild hall hammer handle heart heat hedge height hero highway hill horse hospital hotel hour husband ice
idea income index industry injury ink inquiry insect institute instrument insurance iron island item ivory jacket joint jury
key kingdom kitchen knowledge labour lake lamp land lane law lawyer layer leaf league leather lecture legend lens letter
liberty limb line link lion liquid literature loan lock loss machine magazine manner map marble margin mark master material
mayor meadow meal meaning medicine meeting memory merchant metal midnight mill mind mine mirror mission mistake mixture moment
money month monument mood moon morning motion motor mouth movement music mystery myth name nation nature navy neighbour nerve
nest night noise noon north note novel nurse oak object ocean oil opera opinion orchard organ origin outline oxygen package
page paint palace panel paper parade parent parish park parliament particle partner party passage path pattern peace pearl
pension pepper percent period permission phase phrase piano picture piece pilot pioneer pipe planet plant plastic plate
platform play pleasure poem poet pole police pond pool population port portrait position post potato powder prayer president
press price priest prince principle printer prison prize profession professor profile profit programme proof property
""".split()  # noqa: SIM905

_STOCK = """
according to the; in the course of the; at the same time; as soon as possible; one of the most; on the other hand; for the
first time; the end of the; at the beginning of the; in addition to; a large number of; it is important to note that; over
the past few years; the editors of this page; read the full report; all rights reserved; published under licence; photograph
by the author; a spokesperson for the company said; this article was updated to correct; sources close to the matter; the
following week; more than half of the; in spite of the; with regard to the; as a result of the; from the point of view of; in
cooperation with the; according to people familiar with the plan; the report was first published in; subscribe to the weekly
letter; “it is too early to say”; a café in São Paulo; between 8 °C and 21 °C; the price is 12,50 € a month; from 東京 to
Zürich
""".replace("\n", " ").split(";")

_ENDINGS = ("s", "ing", "ed", "er", "less", "able", "ness", "like", "ful")
_PARAGRAPH = r"\n\n"  # as COPY writes two line breaks
_TABLE_SIZE = 65536


def _vocabulary() -> list[str]:
    roots = list(dict.fromkeys(_WORDS))
    made = (_joined(root, ending) for ending in _ENDINGS for root in roots[120:] if len(root) < 8)
    return list(dict.fromkeys([*roots, *made]))


def _joined(root: str, ending: str) -> str:
    return root[:-1] + ending if root.endswith("e") and ending[0] in "aei" else root + ending


def _weighted(entries: list[str], slots: int, offset: float) -> list[str]:
    """Give each entry slots by Zipf's law, at least one for as long as there are slots."""
    total = sum(1 / (rank + offset) for rank in range(len(entries)))
    table: list[str] = []
    for rank, entry in enumerate(entries):
        table += [entry] * max(1, round(slots / total / (rank + offset)))
    return table[:slots] + entries[: max(0, slots - len(table))]


def _prose_table() -> list[str]:
    words, stock = _vocabulary(), [phrase.strip() for phrase in _STOCK]
    plain = _weighted(words, 48_000, 2.7)
    stops = [f"{word}. {follower.capitalize()}" for word, follower in zip(plain[7::19], plain[::11], strict=False)][:2_400]
    commas = [f"{word}," for word in plain[5::17]][:2_400]
    ends = zip(plain[3::61], plain[::29], strict=False)
    paragraphs = [f"{word}.{_PARAGRAPH}{follower.capitalize()}" for word, follower in ends][:500]
    table = plain + stops + commas + paragraphs
    return table + _weighted(stock, _TABLE_SIZE - len(table), 6)


PROSE = tuple(_prose_table())
WORDS = tuple(_weighted(_vocabulary(), _TABLE_SIZE, 2.7))
"""Single words without punctuation, for titles, labels and names."""


def prose(noise: Noise, words: int) -> str:
    """About `words` words of text, as COPY text: it needs no more escaping."""
    return " ".join(map(PROSE.__getitem__, noise.take(words)))


def title(noise: Noise, words: int) -> str:
    """A few words, the first one with a capital."""
    return " ".join(map(WORDS.__getitem__, noise.take(words))).capitalize()


def slug(noise: Noise, words: int) -> str:
    """A few words joined by dashes."""
    return "-".join(map(WORDS.__getitem__, noise.take(words)))
