"""Label selectors, as kubectl's `-l` takes them: by equality and by sets.

The grammar and the semantics are those of `k8s.io/apimachinery/pkg/labels`, but for `<` and `>`,
which its documents do not tell of.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from keyturn.domain.errors import InvalidParameterError

MAX_NAME = 63
MAX_PREFIX = 253

_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+|\Z)")
_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_SYMBOLS = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">"})
_END = ""


class Operator(StrEnum):
    """What a requirement asks of a label."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement; `a=b` is `a in (b)`, and `a!=b` is `a notin (b)`."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels meet it; a label that is missing is not in any set."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.ABSENT:
                return self.key not in labels


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Selects what meets every requirement; without any, all."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(text: str) -> LabelSelector:
    """Read a selector.

    >>> parse_selector("app=shop,tier in (db, cache)").matches({"app": "shop", "tier": "db"})
    True
    >>> parse_selector("!canary,tier!=db").matches({"tier": "db"})
    False

    Raises:
        InvalidParameterError: it is none, or names what no label can be.
    """
    parser = _Parser(text)
    requirements = []
    if parser.next != _END:
        requirements.append(parser.requirement())
    while parser.next == ",":
        parser.take()
        requirements.append(parser.requirement())
    if parser.next != _END:
        raise parser.unexpected("',' or the end")
    return LabelSelector(tuple(requirements))


class _Parser:
    """Reads one requirement after the other; `next` is the token that comes."""

    def __init__(self, text: str) -> None:
        self._tokens = [found[1] for found in _TOKEN.finditer(text) if found[1]]
        self._at = 0

    @property
    def next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else _END

    def take(self) -> str:
        taken = self.next
        self._at += 1
        return taken

    def unexpected(self, wanted: str) -> InvalidParameterError:
        found = f"{self.next!r}" if self.next else "the end"
        return InvalidParameterError(
            f"the label selector has {found} where {wanted} should be; write for example "
            "app=shop,tier in (db,cache),!canary"
        )

    def requirement(self) -> Requirement:
        if self.next == "!":
            self.take()
            return Requirement(self._key(), Operator.ABSENT)
        key = self._key()
        match self.next:
            case "=" | "==":
                self.take()
                return Requirement(key, Operator.IN, frozenset({self._value()}))
            case "!=":
                self.take()
                return Requirement(key, Operator.NOT_IN, frozenset({self._value()}))
            case Operator.IN | Operator.NOT_IN as word:
                self.take()
                return Requirement(key, Operator(word), self._values())
            case "," | "":
                return Requirement(key, Operator.EXISTS)
            case _:
                raise self.unexpected("=, ==, !=, in, notin or ','")

    def _key(self) -> str:
        if self.next in _SYMBOLS or self.next == _END:
            raise self.unexpected("the key of a label")
        key = self.take()
        prefix, slash, name = key.rpartition("/")
        prefixed = len(prefix) <= MAX_PREFIX and _PREFIX.fullmatch(prefix) is not None
        if not _is_name(name) or (slash and not prefixed):
            raise InvalidParameterError(f"{key!r} in the label selector is no key of a label")
        return key

    def _value(self) -> str:
        """Read a value; the empty one is written as nothing."""
        if self.next in (",", ")", _END):
            return ""
        if self.next in _SYMBOLS:
            raise self.unexpected("the value of a label")
        value = self.take()
        if not _is_name(value):
            raise InvalidParameterError(f"{value!r} in the label selector is no value of a label")
        return value

    def _values(self) -> frozenset[str]:
        if self.next != "(":
            raise self.unexpected("'('")
        self.take()
        values = {self._value()}
        while self.next == ",":
            self.take()
            values.add(self._value())
        if self.next != ")":
            raise self.unexpected("',' or ')'")
        self.take()
        return frozenset(values)


def _is_name(text: str) -> bool:
    return len(text) <= MAX_NAME and _NAME.fullmatch(text) is not None
