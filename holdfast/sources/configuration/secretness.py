"""What looks like a secret: by its name, by the shape of its value, or because a value is too random to be a word.

It is a guess, made to leave out too much rather than too little. It can't know a password such as `sunshine` under the name
`MOOD`, a passphrase of plain words, or a secret of less than 20 characters whose name and form say nothing. It takes a long
random id for a secret, too. A UUID, a path, an address without credentials, a version, a digest that says so, a sentence and
the placeholder of an example are none. Whoever needs certainty denies by name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

from holdfast.settings.placeholder import is_placeholder

_SHORTEST_RANDOM = 20
_LEAST_ENTROPY_BITS = 3.5  # a character; English words have about 3, random letters and digits above 4
_LEAST_CHANGES = 0.2  # of a random text's neighbours nearly half are of two classes, of words few
_LEAST_CHANGES_ONE_CASE = 0.15
_SHORTEST_HEX = 32
_SHOWN_FROM = 12
_MASK = "****"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ALWAYS = re.compile(
    r".*(?:password|passwd|passphrase|secret|token|credential|apikey|privatekey|accesskey|secretkey)s?|pwd|requirepass|pepper"
)
_AT_THE_END = re.compile(r"pass|auth|salt|jwt")
_SAYS_ABOUT = re.compile(
    r"""
      files? | paths? | dir | folder | directory | url | uri | urls | endpoint | hosts? | hostname | port | names? | ids? | arn
    | length | size | min | max | count | limits? | ttl | age | expiry | expires? | expiration | lifetime | timeout | seconds
    | minutes? | hours | days | enabled | disabled | required | optional | policy | types? | algorithm | algo | alg | method
    | mode | headers? | fields? | prefix | suffix | version | rotation | interval | hint | label | location | providers? | store
    | manager | region | issuer | audience | format | encoding | rounds | cost | iterations | usage | used | budget | window
    | per | separator | env | ref | retention
    """,
    re.VERBOSE,
)
_OPENS_NOTHING = re.compile(  # such a key
    r"""
      public | primary | foreign | sort | partition | cache | routing | lookup | unique | join | group | grouping | config
    | natural | translation | index | object | map | row | host | event | topic | message | hot | short | function | dedup
    | idempotency | shard | feature | label | property | arrow | home | end | delete | escape | limit | result | output | input
    | aggregate | tag | attribute | lock
    """,
    re.VERBOSE,
)
_DIGEST = re.compile(r"sha|sha1|sha256|sha512|md5|digest|hash|checksum|commit|revision|rev|fingerprint|etag|integrity|git|head")
_SAYS_NOTHING = re.compile(r"[0-9]+|(?i:values?|data|default|text|string)")
_NO_VALUE = re.compile(
    r"|true|false|yes|no|on|off|none|null|nil|~|undefined|required|optional|\$(?-i:[A-Z_][A-Z0-9_]*)|[\^~]?\d+\.\d+\.\d+",
    re.IGNORECASE,
)

_KNOWN = re.compile(
    r"""
      -----BEGIN\ [A-Z0-9\ ]{0,40}PRIVATE\ KEY | AGE-SECRET-KEY-1 | PuTTY-User-Key-File
    | (?<![A-Za-z0-9_]) (?:
        sk-(?:proj-|ant-|live-|test-)?[A-Za-z0-9_-]{16,} | [rsp]k_(?:live|test)_[A-Za-z0-9]{10,}
      | gh[oprsu]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,} | gl(?:pat|dt|rt|ptt)-[A-Za-z0-9_-]{16,}
      | (?:AKIA|ASIA)[A-Z0-9]{16} | AIza[A-Za-z0-9_-]{30,} | ya29\.[A-Za-z0-9_-]{20,} | GOCSPX-[A-Za-z0-9_-]{20,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{10,} | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}
      | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,} | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{40,} | hf_[A-Za-z0-9]{30,}
      | do[por]_v1_[a-f0-9]{40,} | shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}
      | sb(?:p|_secret)_[A-Za-z0-9_-]{20,} | pn[ub]_[A-Za-z0-9]{20,}
      | whsec_[A-Za-z0-9+/=]{16,} | hv[sbr]\.[A-Za-z0-9_-]{20,} | dckr_pat_[A-Za-z0-9_-]{20,} | lin_api_[A-Za-z0-9]{20,}
      | (?:SK|AC)[0-9a-f]{32} | key-[0-9a-f]{32} | PMAK-[A-Za-z0-9-]{20,}
      )
    | hooks\.slack\.com/(?:services|workflows)/\w+ | discord(?:app)?\.com/api/webhooks/\d+ | \.webhook\.office\.com/
    | (?i:\bBearer\s+[A-Za-z0-9._~+/-]{12,} | \bBasic\s+[A-Za-z0-9+/]{12,}={0,2}(?![A-Za-z0-9+/]))
    | (?i:(?:^|[;\s"'])(?:SharedAccessSignature|Password|Pwd)\s*=\s*[^\s;"']+)
    """,
    re.VERBOSE,
)
_URL = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s\"'<>]+")
_CAMEL_WORD = re.compile(r"[A-Z]?[a-z]{3,}")
_MOSTLY = 0.6
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_STATED_DIGEST = re.compile(r"(?:sha(?:1|224|256|384|512)|md5)[-:][A-Za-z0-9+/=]+")
_ASSIGNMENT = re.compile(r"(?<![\w.-])-{0,2}([A-Za-z_][\w.-]{0,100})=(?=([^\s\"',;&]{1,200}))")
_BETWEEN_TOKENS = re.compile(r"[\s,;'\"&?()<>{}\[\]|:@]+|=(?!=|$)")
_TOKEN = re.compile(r"[A-Za-z0-9+/=_.~-]+")
_HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_PATH = re.compile(r"(?:~|\.{0,2})/|[A-Za-z]:[\\/]")


def looks_secret(name: str, value: str) -> bool:
    """Tell whether a value should not be shown or kept under this name, which may be a dotted path."""
    if says_nothing(name, value):
        return False
    return name_looks_secret(name) or value_looks_secret(value, name)


def name_looks_secret(name: str) -> bool:
    """Tell whether a name says that its value is a secret: `API_KEY`, `dbPassword`, `auth.tokens.0`; not `MONKEY`, `TOKEN_TTL`.

    An access key's id counts, for it is half of a credential; the id of any other key does not.
    """
    words = _words(_leaf(name))
    if not words:
        return False
    if words[-3:] == ["access", "key", "id"] or words[-2:] == ["auth", "string"] or words[-2:] == ["connection", "string"]:
        return True
    if _SAYS_ABOUT.fullmatch(words[-1]):
        return False
    if any(_ALWAYS.fullmatch(word) for word in words) or _AT_THE_END.fullmatch(words[-1]):
        return True
    return len(words) > 1 and words[-1] in {"key", "keys"} and not _OPENS_NOTHING.fullmatch(words[-2])


def says_nothing(name: str, value: str) -> bool:
    """Tell whether a value can be nobody's secret, whatever its name: empty, a truth value, an example's, a variable."""
    text = value.strip()
    if _NO_VALUE.fullmatch(text) or is_placeholder(text):
        return True
    counts_tokens = _words(_leaf(name))[-1:] == ["tokens"]  # of a language model, or of a bucket of them
    return counts_tokens and len(text) <= 7 and text.isdigit()


def value_looks_secret(value: str, name: str = "") -> bool:
    """Tell whether a value is a secret by its form, whatever its name; a name such as `commit` excuses a digest."""
    if says_nothing(name, value):
        return False
    if has_known_form(value) or any(name_looks_secret(one) and not says_nothing(one, it) for one, it in assignments_in(value)):
        return True
    if _PATH.match(value) and "\n" not in value and "=" not in value:
        return False
    is_digest = any(_DIGEST.fullmatch(word) for word in _words(_leaf(name)))
    rest = _STATED_DIGEST.sub(" ", _UUID.sub(" ", _URL.sub(" ", value)))
    return any(_is_random(token, is_digest) for token in _BETWEEN_TOKENS.split(rest))


def assignments_in(value: str) -> Iterator[tuple[str, str]]:
    """Yield what a value itself gives names to, as options of a command and lists of variables do: `--level=info`."""
    return ((found[1], found[2]) for found in _ASSIGNMENT.finditer(value))


def has_known_form(text: str) -> bool:
    """Tell whether a text holds what can only be a secret: a private key, a provider's token, an address with a password."""
    return _KNOWN.search(text) is not None or any(_has_credentials(url) for url in _URL.findall(text))


def masked(value: str) -> str:
    """Show that there is a value, and not which: nothing of a short one or of one that looks secret."""
    if len(value) < _SHOWN_FROM or "\n" in value or value_looks_secret(value):
        return _MASK
    return f"{value[0]}…{value[-1]} ({len(value)} characters)"


def shown_name(name: str) -> str:
    """Return a name, unless it is itself of a form that only secrets have."""
    return _MASK if has_known_form(name) else name


def _leaf(name: str) -> str:
    """The part of a dotted path that says what the value is: the last, with the one before where the last says nothing."""
    parts = name.split(".")
    while len(parts) > 1 and _SAYS_NOTHING.fullmatch(parts[-1]):
        parts.pop()
    refers = len(parts) > 1 and parts[-2].lower().endswith("ref")
    return ".".join(parts[-2:]) if parts[-1].lower() in {"key", "keys"} and not refers else parts[-1]


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _has_credentials(url: str) -> bool:
    try:
        parts = urlsplit(url)
        password, user = parts.password, parts.username
        query = parse_qsl(parts.query)
    except ValueError:  # no address at all
        return "@" in url
    if password:
        return not is_placeholder(password)
    if user and _is_random(user, False):
        return True
    return any(name_looks_secret(name) or name.lower() in {"sig", "x-amz-signature"} for name, value in query if value)


def _is_random(token: str, is_digest: bool) -> bool:
    if len(token) < _SHORTEST_RANDOM or not _TOKEN.fullmatch(token):
        return False
    if _HEX.fullmatch(token):
        return len(token) >= _SHORTEST_HEX and not is_digest and not token.isdigit() and _entropy_bits(token) > 3
    if is_digest or _entropy_bits(token) < _LEAST_ENTROPY_BITS:
        return False
    if token in (token.upper(), token.lower()):
        return _changes(token) >= _LEAST_CHANGES_ONE_CASE
    in_words = sum(map(len, _CAMEL_WORD.findall(token)))
    return _changes(token) >= _LEAST_CHANGES and in_words < _MOSTLY * len(token)


def _entropy_bits(text: str) -> float:
    """Shannon's entropy of a character."""
    return -sum(count / len(text) * math.log2(count / len(text)) for count in Counter(text).values())


def _changes(text: str) -> float:
    """How often a character is of another class than the one before; a capital before small letters begins a word."""
    classes = [_class_of(character) for character in text]
    changed = sum(
        one != other and (one, other) != ("upper", "lower") and "" not in (one, other) for one, other in pairwise(classes)
    )
    return changed / (len(text) - 1)


def _class_of(character: str) -> str:
    if character.isdigit():
        return "digit"
    if character.isalpha():
        return "upper" if character.isupper() else "lower"
    return ""
